"""``casemate agent``: plain typed gRPC for an engine on the same machine, sessions and proofs behind it.

For engines in languages without a client of ours (docs/agent.md): the agent holds the engine's key, verifies the
enclave, opens and reopens the session, seals every intent, and checks the enclave's word in every answer.
"""
