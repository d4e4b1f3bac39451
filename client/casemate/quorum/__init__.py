"""What administrators sign, on their own machines: statements, their files, their keys (``docs/quorum.md``)."""
