"""What is wrong with a file that was given to the audit; what is wrong with a chain is a finding, and no error."""

from __future__ import annotations

from casemate.errors import CasemateError


class BadFile(CasemateError):
    """A file that cannot be read, or is not what it should be; the text says which and why."""
