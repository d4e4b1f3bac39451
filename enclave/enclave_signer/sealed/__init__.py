"""Credentials that come in sealed: through KMS, or directly to a key of this boot (``docs/sealed-keys.md``)."""
