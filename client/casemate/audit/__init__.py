"""Checking the enclave's receipts offline: the chain, its signatures, who signed, and what a witness saw."""
