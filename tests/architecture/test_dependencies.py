"""A distribution imports only what its pyproject.toml names: nothing leans on what another one happens to install."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.distributions import FOLDERS, ROOT, canonical, project

# The import names of what we depend on, where they are not the distribution's own.
PROVIDES = {
    # Its errors and settings are botocore's, and it brings exactly the botocore that it fits.
    "boto3": {"boto3", "botocore"},
    "casemate": {"casemate"},
    "casemate-dispatch-api": {"dispatch_api"},
    "casemate-enclave": {"enclave_signer"},
    "casemate-host": {"host_dispatch"},
    "casemate-mock": {"casemate_mock"},
    "casemate-signer-api": {"signer_api"},
    "googleapis-common-protos": {"google.rpc"},
    "grpcio": {"grpc"},
    "grpcio-health-checking": {"grpc_health"},
    "grpcio-reflection": {"grpc_reflection"},
    "grpcio-status": {"grpc_status"},
    "opentelemetry-sdk": {"opentelemetry"},
    "prometheus-client": {"prometheus_client"},
    "protobuf": {"google.protobuf"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            yield from (f"{module}.{name.name}" for name in node.names) if module == "google" else (module,)


def top(module: str) -> str:
    """Return the part of a module's name that a distribution answers for."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "google" else names[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_distribution_names_what_it_imports(folder: str) -> None:
    table = project(folder)
    named = [table["name"], *table["dependencies"]]
    named += [line for lines in table.get("optional-dependencies", {}).values() for line in lines]
    allowed = {name for line in named for name in PROVIDES.get(canonical(line), {canonical(line)})}
    foreign = {
        (str(path.relative_to(ROOT)), top(module))
        for path in (ROOT / folder).rglob("*.py")
        if "build" not in path.parts
        for module in imported(path)
        if top(module) not in allowed | sys.stdlib_module_names
    }
    assert foreign == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_dependency_is_imported(folder: str) -> None:
    used = {top(module) for path in (ROOT / folder).rglob("*.py") for module in imported(path)}
    idle = {
        line for line in project(folder)["dependencies"] if not PROVIDES.get(canonical(line), {canonical(line)}) & used
    }
    assert idle == set()
