"""Fixtures of the client's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.fake_host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    """A scripted host on a unix socket."""
    fake = FakeHost(tmp_path)
    fake.start()
    yield fake
    fake.stop()
