"""What can be wrong with an administrator's files."""

from __future__ import annotations

from casemate.errors import CasemateError


class QuorumError(CasemateError, ValueError):
    """A key, a quorum file or an approval that is not one; the text says what was expected, and shows no key."""
