"""Wrong use of a command."""

from __future__ import annotations


class UsageError(Exception):
    """The command was called in a way that cannot work: exit code 2."""
