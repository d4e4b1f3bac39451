"""The shape of the tree, and the commands that the documents name."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEEPEST = 4
MADE = re.compile(r"\.(?!ci$|github$).*|__pycache__|.*\.egg-info|build|dist|node_modules")


def files() -> Iterator[Path]:
    """Every file of ours, without what tools leave behind."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if not MADE.fullmatch(name)]
        yield from (Path(folder, name).relative_to(ROOT) for name in names)


def test_no_file_lies_deeper_than_four_names() -> None:
    assert [str(path) for path in files() if len(path.parts) > DEEPEST] == []


TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCUMENTS = sorted(path for path in files() if path.suffix == ".md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_make_command_that_a_document_names_exists(document: Path) -> None:
    text = (ROOT / document).read_text()
    fenced = "".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`make ([a-z][a-z-]*)", text) + re.findall(r"^make ([a-z][a-z-]*)", fenced, re.MULTILINE)
    assert set(named) <= TARGETS


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme


def test_help_lists_every_target() -> None:
    described = set(re.findall(r"^([a-z][a-z-]*):.* ## \S", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert described == TARGETS
