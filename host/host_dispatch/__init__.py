"""Untrusted half: gRPC gateway, journal, dispatch and what venues reply."""

__version__ = "0.1.0"
