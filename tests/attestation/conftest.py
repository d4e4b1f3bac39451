"""A pretended machine with a pretended root, and AWS's own documents where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from casemate_mock.nitro import AWS_PROFILE, FakeChain
from casemate_mock.nitro.forge import Forge

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def forge() -> Forge:
    """One machine for all tests that do not change it."""
    return Forge(FakeChain())


@pytest.fixture
def forge_with() -> Callable[..., Forge]:
    """Make a machine whose chain differs from AWS's at one level: ``forge_with(3, path_length=None)``."""

    def make(level: int, **changes: Any) -> Forge:
        profile = list(AWS_PROFILE)
        profile[level] = profile[level]._replace(**changes)
        return Forge(FakeChain(profile))

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder with AWS's own documents ($CASEMATE_SHARED, or beside the repository), or skip."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("CASEMATE_SHARED", beside)) / "attestation"
    if not (folder / "index.json").is_file():
        pytest.skip("no AWS-signed documents at hand (CASEMATE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def real_entries(shared: Path) -> list[dict[str, Any]]:
    """Give the index of AWS's own documents."""
    entries: list[dict[str, Any]] = json.loads((shared / "index.json").read_text())["entries"]
    return entries
