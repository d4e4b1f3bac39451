"""Authenticated sessions: who sent an intent, and which enclave answered (docs/client-protocol.md, docs/adr/0008).

Pure: time, randomness and the security module come in as ports.
"""
