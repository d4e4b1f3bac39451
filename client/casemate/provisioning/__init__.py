"""Sealing credentials for an enclave, through KMS or directly (``docs/sealed-keys.md``)."""
