"""What can go wrong with the officer itself; what goes wrong with an enclave or its host is an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemate.errors import CasemateError

if TYPE_CHECKING:
    from collections.abc import Sequence


class DutyError(CasemateError):
    """The officer cannot go on."""


class ConfigError(DutyError, ValueError):
    """The configuration cannot be used; ``mistakes`` has all of them, one line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        """All of them."""
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Held(DutyError):
    """Another officer holds this state: two with one key would grant the same duty twice."""


class StateLost(DutyError):
    """The state cannot be read or written, or somebody else wrote it: nothing may be granted any more."""


class NotFresh(DutyError):
    """``--fresh`` was said of a deployment that has a history."""


class BadBytes(DutyError, ValueError):
    """Bytes that are not the checkpoint or head of the boot they are said to come from."""
