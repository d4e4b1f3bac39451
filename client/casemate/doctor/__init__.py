"""``casemate doctor``: is this machine fit to be an enclave's parent? Pure checks over what a few probes read."""
