"""What can be wrong with what is sealed."""

from __future__ import annotations

from casemate.errors import CasemateError


class SealError(CasemateError, ValueError):
    """A credential, a bundle or a description that is not one; the text never shows anything of a key."""


class KmsError(CasemateError):
    """KMS gave no data key; the text says why, in KMS's own word."""
