"""Terraform on a copy of ours, offline: CASEMATE_TF_PLUGINS names a directory of providers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = os.environ.get("CASEMATE_TF_PLUGINS", "")
MISSING = (
    "there is no terraform on this machine"
    if shutil.which("terraform") is None
    else "CASEMATE_TF_PLUGINS names no directory of providers"
    if not Path(PLUGINS or "/nowhere").is_dir()
    else ""
)
needs_terraform = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def copied(target: Path) -> Path:
    """Copy terraform/ and the files of deploy/ that it sends; returns the root module's folder."""
    leave = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(ROOT / "terraform", target / "terraform", ignore=leave)
    shutil.copytree(ROOT / "deploy", target / "deploy")
    return target / "terraform"


def terraform(folder: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it, far from the user's own settings."""
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    return subprocess.run(
        ["terraform", *words], cwd=folder, check=False, capture_output=True, text=True, input=text, env=environment
    )


def ready(folder: Path) -> None:
    """Let it find its providers."""
    done = terraform(folder, "init", "-no-color", f"-plugin-dir={PLUGINS}")
    assert done.returncode == 0, done.stderr
