"""The trusted part of Casemate: judges order intents, builds and signs the venue's own request.

Every file here is measured into PCR0. The package makes no network call of its own, has no disk and
starts no process: what it needs from outside is named in :mod:`enclave_signer.ports`.
"""
