"""A stack for tests of the wire alone, which write every byte themselves and open no session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate_mock.pytest_plugin import RunningStack


@pytest.fixture(scope="session")
def unauthenticated_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The stack whose mock enclave believes every sender's name."""
    # Not at the top: pytest wants to load the plugin itself first.
    from casemate_mock.pytest_plugin import RunningStack  # noqa: PLC0415

    stack = RunningStack(tmp_path_factory.mktemp("unauthenticated"), "--unauthenticated")
    yield stack
    stack.stop()
