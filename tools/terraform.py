"""Terraform: what `make check` does about it; `python -m tools.terraform docs` writes the tables of the README files.

Everywhere: parse every file, compare the tables. With a `terraform` on the machine: its format. With a directory of
providers in CASEMATE_TF_PLUGINS (`terraform init -plugin-dir`): validate and test, offline. With checkov
(CASEMATE_CHECKOV or PATH; it wants an environment of its own): checkov. What could not be done is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hcl2

from tools.distributions import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = ROOT / "terraform"
EXAMPLE: Final = "examples/complete"
BEGIN: Final = "<!-- BEGIN_TF_DOCS -->"
END: Final = "<!-- END_TF_DOCS -->"
_CHECKOV: Final = ("--quiet", "--compact", "--skip-download", "--framework", "terraform", "--directory")


def sources() -> list[Path]:
    """Return every file of Terraform's language."""
    found = [*FOLDER.rglob("*.tf"), *FOLDER.rglob("*.hcl")]
    return sorted(path for path in found if not any(part.startswith(".terraform") for part in path.parts))


def modules() -> list[Path]:
    """Return the folders that have a README: the root and each module."""
    return sorted(path.parent for path in FOLDER.rglob("README.md"))


def parse(path: Path) -> dict[str, Any]:
    """Parse one file; raises ValueError with its place."""
    try:
        return dict(hcl2.loads(path.read_text()))
    except Exception as error:
        message = f"{path.relative_to(ROOT)}: {str(error).splitlines()[0]}"
        raise ValueError(message) from error


def _blocks(parsed: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in parsed.get(kind, []):
        for name, body in block.items():
            if name != "__is_block__":
                yield name.strip('"'), body


def _words(value: object) -> str:
    """Return an expression as it was written, without the parser's wrapping."""
    text = str(value)
    text = text[2:-1] if text.startswith("${") and text.endswith("}") else text
    return text.replace("|", "\\|").replace("\n", " ")


def _default(body: dict[str, Any]) -> str:
    if "default" not in body:
        return "required"
    value = body["default"]
    if value is None or value in ("null", "${null}"):
        return "`null`"
    return f"`{_words(value).replace(chr(39), '')}`"


def tables(folder: Path) -> str:
    """Return the tables of one module's inputs and outputs; raises ValueError for one without description or type."""
    lines = ["", "| input | what | default |", "| --- | --- | --- |"]
    for name, body in _blocks(parse(folder / "variables.tf"), "variable"):
        if "description" not in body or "type" not in body:
            message = f"{folder.relative_to(ROOT)}: variable {name} lacks description or type"
            raise ValueError(message)
        lines.append(f"| `{name}` | {_described(body)} | {_default(body)} |")
    lines += ["", "| output | what |", "| --- | --- |"]
    for name, body in _blocks(parse(folder / "outputs.tf"), "output"):
        if "description" not in body:
            message = f"{folder.relative_to(ROOT)}: output {name} lacks a description"
            raise ValueError(message)
        lines.append(f"| `{name}` | {_described(body)} |")
    return "\n".join([*lines, ""])


def _described(body: dict[str, Any]) -> str:
    return _words(body["description"])[1:-1].replace('\\"', '"')


def with_tables(folder: Path) -> str:
    """Return a module's README as it should be; raises ValueError if there is no place for the tables."""
    text = (folder / "README.md").read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        message = f"{(folder / 'README.md').relative_to(ROOT)}: {BEGIN} and {END} stand not once each"
        raise ValueError(message)
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{tables(folder)}\n{END}{after}"


def mistakes() -> list[str]:
    """Say what is wrong with files and tables, without any Terraform."""
    told = []
    for path in sources():
        try:
            parse(path)
        except ValueError as error:
            told.append(str(error))
    if told:
        return told
    for folder in modules():
        try:
            if with_tables(folder) != (folder / "README.md").read_text():
                told.append(f"{folder.relative_to(ROOT)}/README.md: stale; run python -m tools.terraform docs")
        except ValueError as error:
            told.append(str(error))
    return told


def _run(folder: Path, *command: str, quiet: bool = False) -> bool:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    # checkov is a program of another environment's.
    environment.pop("PYTHONPATH", None)
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, check=False, cwd=folder, env=environment, stdout=out).returncode == 0


def _on_a_copy(plugins: str) -> list[str]:
    """Validate and test: on a copy, since `init` leaves things behind."""
    with tempfile.TemporaryDirectory() as place:
        leave = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        root = Path(shutil.copytree(FOLDER, Path(place, "terraform"), ignore=leave))
        shutil.copytree(ROOT / "deploy", Path(place, "deploy"))
        failed = []
        for folder in (root, root / EXAMPLE):
            name = str(folder.relative_to(place))
            if not _run(folder, "terraform", "init", "-input=false", "-no-color", f"-plugin-dir={plugins}", quiet=True):
                failed.append(f"{name}: init")
            elif not _run(folder, "terraform", "validate", "-no-color"):
                failed.append(f"{name}: validate")
        return failed or ([] if _run(root, "terraform", "test", "-no-color") else ["terraform: test"])


def check() -> int:
    """Do what can be done here; 1 if something is wrong."""
    failed = mistakes()
    undone = []
    plugins = os.environ.get("CASEMATE_TF_PLUGINS", "")
    if shutil.which("terraform") is None:
        undone.append("fmt, validate and test: there is no terraform on this machine")
    else:
        if not _run(FOLDER, "terraform", "fmt", "-check", "-diff", "-recursive", "-no-color"):
            failed.append("terraform fmt")
        if not Path(plugins or "/nowhere").is_dir():
            undone.append("validate and test: CASEMATE_TF_PLUGINS names no directory of providers")
        else:
            failed += _on_a_copy(plugins)
    checkov = os.environ.get("CASEMATE_CHECKOV") or shutil.which("checkov")
    if not checkov:
        undone.append("checkov: there is none on this machine, nor in CASEMATE_CHECKOV")
    elif not _run(FOLDER, checkov, *_CHECKOV, str(FOLDER)):
        failed.append("checkov")
    for line in undone:
        sys.stderr.write(f"terraform: NOT DONE: {line}\n")
    for line in failed:
        sys.stderr.write(f"terraform: {line}\n")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Check, or write the tables."""
    if arguments == ["docs"]:
        for folder in modules():
            (folder / "README.md").write_text(with_tables(folder))
        return 0
    return check()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
