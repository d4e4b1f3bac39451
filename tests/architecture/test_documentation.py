"""The documentation's examples are the ones that are run, and its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from casemate.cli.reference import reference
from casemate.policy import compile_policy
from casemate.tools.dry_run import run
from casemate.tools.dry_run_input import _CREDENTIALS, _INSTRUMENT, _KEYS, _OPS
from enclave_signer.venues.registry import VENUES

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINES: Final = (ROOT / "examples" / "orders.jsonl").read_text(encoding="utf-8").splitlines()


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "") -> list[str]:
    """The code blocks of a page in one language; unnamed ones are for the shell."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page(name), flags=re.DOTALL | re.MULTILINE)
    return [text for named, text in found if named == language]


def answer(line: str) -> dict[str, Any]:
    (text,) = run([line])
    shown: dict[str, Any] = json.loads(text)
    return shown


@pytest.mark.parametrize("line", LINES, ids=lambda line: "-".join(json.loads(line)[key] for key in ("venue", "op")))
def test_each_example_line_of_dry_run_gives_a_request(line: str) -> None:
    assert set(answer(line)) == {"method", "url", "headers", "body"}, answer(line)


def test_the_example_lines_create_at_every_venue_and_use_every_operation() -> None:
    lines = [json.loads(line) for line in LINES]
    assert {line["venue"] for line in lines if line["op"] == "create"} == set(VENUES)
    assert {line["op"] for line in lines} == set(_OPS)


def test_the_dry_run_page_names_every_key_venue_and_operation() -> None:
    text = page("docs/dry-run.md")
    for word in (*_KEYS, *_OPS, *VENUES, *_CREDENTIALS, *_INSTRUMENT):
        assert f"`{word}`" in text, word


def test_the_first_line_that_the_dry_run_page_shows_gives_a_request() -> None:
    shown = blocks("docs/dry-run.md", "json")[0]
    assert json.loads(shown) == json.loads(LINES[0])
    assert "url" in answer(json.dumps(json.loads(shown)))


def test_the_error_that_the_dry_run_page_shows_is_the_one_that_comes() -> None:
    line = json.loads(LINES[0])
    line["intent"]["price"] = "60000.001"
    assert json.loads(blocks("docs/dry-run.md", "json")[-1]) == answer(json.dumps(line))


def test_the_code_of_the_readme_is_the_example_file() -> None:
    file = page("examples/first_order.py")
    head, start, code = file.partition("from casemate import")
    assert blocks("README.md", "python") == [start + code]
    assert all(line.startswith(('"""', "#")) for line in head.splitlines() if line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_every_file_of_the_repository_that_a_page_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = {path.parent / link for link in re.findall(r"\]\(((?!https?:|#)[^)#]+)", text)}
    names = {
        ROOT / name for name in re.findall(r"(?<![\w/.-])((?:docs|examples)/[\w./-]+\.(?:md|py|toml|jsonl?))", text)
    }
    assert [str(target) for target in sorted(links | names) if not target.exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in page("README.md")]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md", "docs/dry-run.md", "docs/testing.md"])
def test_every_command_and_option_that_is_printed_is_in_the_reference(name: str) -> None:
    headings = reference().split("\n## ")[1:]
    sections = {text.partition("\n")[0]: text for text in headings}
    for command in re.findall(r"^casemate [^#\n]*(?:\\\n[^#\n]*)*", "\n".join(blocks(name)), flags=re.MULTILINE):
        section = next((text for title, text in sections.items() if f"{command} ".startswith(f"{title} ")), None)
        assert section is not None, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in section, command


def test_the_example_policy_compiles() -> None:
    assert compile_policy(page("examples/policy.toml"))
