"""Every import rule catches a planted violation: a contract that nobody saw fail is not trusted."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
BASES = {
    "casemate": "client",
    "casemate_mock": "mock",
    "dispatch_api": "proto",
    "enclave_signer": "enclave",
    "host_dispatch": "host",
    "signer_api": "proto",
}

# For each contract: who imports what. Where it matters, the import hides in a function or behind another module.
PLANTED = {
    "enclave": [("enclave_signer.ports", "host_dispatch"), ("enclave_signer.policy", "dispatch_api.v1")],
    "host": [("host_dispatch.enclave_link", "enclave_signer.model"), ("host_dispatch", "casemate.gateway")],
    "client": [("casemate.channel", "host_dispatch")],
    "mock-does-not-ship": [("casemate.demo", "casemate_mock.venues"), ("host_dispatch", "casemate_mock")],
    "wire": [("signer_api.v1", "dispatch_api")],
    "enclave-importers": [("casemate.channel", "enclave_signer.model"), ("casemate_mock.serving", "enclave_signer")],
    "duty-core": [("casemate.duty.decide", "time"), ("casemate.duty.model", "os")],
    "base-sdk": [("casemate.duty.officer", "casemate.tools.venues"), ("casemate.gateway", "casemate.tools.venues")],
    "tools-import-pure-modules": [("casemate.tools.dry_run", "enclave_signer.vault")],
    "oracle": [("casemate_mock.venues.okx", "enclave_signer.venues.okx"), ("casemate_mock.exchange", "signer_api.v1")],
    "enclave-venues": [("enclave_signer.venues.okx", "enclave_signer.venues.bybit")],
    "host-venues": [("host_dispatch.venues.kraken", "host_dispatch.venues.coinbase")],
    "enclave-pure": [
        ("enclave_signer.service", "secrets"),
        ("enclave_signer.decimals", "time"),
        ("enclave_signer.policy", "asyncio"),
        ("enclave_signer.venues.okx", "os"),
    ],
    "host-pure": [
        ("host_dispatch.dispatcher.machine", "time"),
        ("host_dispatch.dispatcher.retry", "random"),
        ("host_dispatch.venues.okx", "socket"),
    ],
    "vault": [("enclave_signer.policy", "enclave_signer.vault")],
}


def module_file(tree: Path, module: str) -> Path:
    path = tree / BASES[module.partition(".")[0]] / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def plant(tree: Path, module: str, target: str) -> None:
    with module_file(tree, module).open("a") as file:
        file.write(f"\n\ndef planted() -> None:\n    import {target}\n")


def sections(report: str) -> dict[str, str]:
    """Cut the report of broken contracts at its underlined names."""
    parts = re.split(r"^(.+)\n-{3,}\n", report.partition("Broken contracts")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report on a copy of the tree with all violations in it, by contract."""
    tree = tmp_path_factory.mktemp("tree")
    for package, base in BASES.items():
        shutil.copytree(ROOT / base / package, tree / base / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copyfile(ROOT / "pyproject.toml", tree / "pyproject.toml")
    for violations in PLANTED.values():
        for module, target in violations:
            plant(tree, module, target)
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={
            **os.environ,
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(sorted({str(tree / base) for base in BASES.values()})),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Broken contracts" in done.stdout, done.stdout + done.stderr
    return sections(done.stdout)


def test_a_violation_is_planted_for_every_contract() -> None:
    assert set(PLANTED) == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [(contract, *violation) for contract, violations in PLANTED.items() for violation in violations],
)
def test_the_violation_is_caught(broken: dict[str, str], contract: str, importer: str, imported: str) -> None:
    (name,) = [entry["name"] for entry in CONTRACTS if entry["id"] == contract]
    assert re.search(
        rf"\b{re.escape(importer)} (->|is not allowed to import|imports) {re.escape(imported)}\b", broken[name]
    )
