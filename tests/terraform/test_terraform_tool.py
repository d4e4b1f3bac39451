"""What `make check` does about Terraform where there is none, and what it sees all the same."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tools import terraform

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "terraform"
    shutil.copytree(terraform.FOLDER, folder, ignore=shutil.ignore_patterns(".terraform*"))
    monkeypatch.setattr(terraform, "ROOT", tmp_path)
    monkeypatch.setattr(terraform, "FOLDER", folder)
    return folder


def test_without_terraform_it_says_what_was_not_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CASEMATE_TF_PLUGINS", raising=False)
    monkeypatch.delenv("CASEMATE_CHECKOV", raising=False)
    assert terraform.check() == 0
    told = capsys.readouterr().err
    assert "NOT DONE: fmt, validate and test: there is no terraform on this machine" in told
    assert "NOT DONE: checkov" in told


def test_a_file_that_does_not_parse_is_named(copy: Path) -> None:
    (copy / "modules" / "key" / "main.tf").write_text('resource "aws_kms_key" "this" {')
    (told,) = terraform.mistakes()
    assert told.startswith("terraform/modules/key/main.tf: ")


def test_a_table_that_is_stale_is_named(copy: Path) -> None:
    path = copy / "modules" / "key" / "variables.tf"
    path.write_text(path.read_text().replace("Name of the key's alias", "Alias of the key"))
    assert terraform.mistakes() == ["terraform/modules/key/README.md: stale; run python -m tools.terraform docs"]


@pytest.mark.parametrize(("file", "what"), [("variables.tf", "variable"), ("outputs.tf", "output")])
def test_what_has_no_description_is_named(copy: Path, file: str, what: str) -> None:
    path = copy / "modules" / "key" / file
    path.write_text(f'{path.read_text()}\n{what} "bare" {{\n}}\n')
    assert any(f"{what} bare lacks" in line for line in terraform.mistakes())
