"""Getting sealed credentials to the enclave: what KMS opens for it, this host cannot read."""
