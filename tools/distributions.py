"""Where our distributions are and what they ask for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# In the order in which they are installed: each after what it needs.
FOLDERS = ("proto/signer_api", "proto/dispatch_api", "enclave", "host", "client", "mock")


def canonical(requirement: str) -> str:
    """Return the normalised name at the head of a requirement or of a lock's line."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        message = f"not a requirement: {requirement!r}"
        raise ValueError(message)
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def project(folder: str) -> dict[str, Any]:
    """Return the [project] table of the distribution in this folder."""
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return table


def names() -> dict[str, str]:
    """Return the folder of each of our distributions, by name."""
    return {canonical(project(folder)["name"]): folder for folder in FOLDERS}


def third_party(folder: str, *, extras: bool = False) -> list[str]:
    """Return what this distribution needs from others, with what our own ones in its list need."""
    ours = names()
    found: set[str] = set()
    waiting, seen = [folder], set[str]()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        table = project(here)
        wanted = list(table["dependencies"])
        if extras and here == folder:
            wanted += [line for lines in table.get("optional-dependencies", {}).values() for line in lines]
        for line in wanted:
            inner = ours.get(canonical(line))
            if inner is None:
                found.add(line)
            else:
                waiting.append(inner)
    return sorted(found)


def group(name: str) -> list[str]:
    """Return a dependency group of the root pyproject.toml."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return [str(line) for line in groups[name]]
