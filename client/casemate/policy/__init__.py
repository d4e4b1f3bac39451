"""The policy compiler: TOML that people write -> canonical CBOR that the enclave accepts.

Canonical means that every default is written out, every ``"*"`` is expanded, sets are sorted, decimals have
no trailing zeros, and the bytes are RFC 8949's deterministic encoding. So two texts that mean the same compile
to the same bytes. All mistakes come back in one :class:`casemate.errors.PolicyError`, each with dotted path, value and
expectation. Needs cbor2 alone.
"""

from casemate.errors import PolicyError
from casemate.policy.compiler import FORMAT, Compiled, compile_policy
from casemate.policy.mistakes import Mistake

__all__ = ["FORMAT", "Compiled", "Mistake", "PolicyError", "compile_policy"]
