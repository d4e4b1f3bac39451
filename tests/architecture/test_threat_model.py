"""Every line of the threat model names a test, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
TESTS: Final = frozenset(
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
)
NAMED: Final = sorted(set(re.findall(r"`(test_\w+(?:\.\.\.)?)`", PAGE)))
PATHS: Final = sorted(set(re.findall(r"`(tests/[\w/.]+)`", PAGE)))


def lines() -> list[list[str]]:
    """The cells of every table that has a column of tests."""
    found: list[list[str]] = []
    columns: list[str] = []
    for line in PAGE.splitlines():
        cells = [each.strip() for each in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif "test" in columns and not line.startswith("| ---"):
            assert len(cells) == len(columns), line
            found.append(cells)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_the_threat_model_names_exists(name: str) -> None:
    begin = name.removesuffix("...")
    assert begin in TESTS if begin == name else any(each.startswith(begin) for each in TESTS), name


@pytest.mark.parametrize("path", PATHS)
def test_a_file_of_tests_that_the_threat_model_names_exists(path: str) -> None:
    assert (ROOT / path).exists(), path


def test_every_line_of_the_threat_model_names_a_test() -> None:
    found = lines()
    assert len(found) > 50
    without = [cells[0] for cells in found if "test" not in cells[-1] or not all(cells)]
    assert not without
