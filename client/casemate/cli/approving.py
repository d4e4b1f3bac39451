"""``casemate policy sign | load`` and ``casemate credential sign | load``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate.cli import connection
from casemate.cli.output import DONE, note, print_json, print_lines
from casemate.cli.quorum import add_approvals, add_signing, approvals_of, sign
from casemate.cli.usage import UsageError
from casemate.quorum.errors import QuorumError
from casemate.quorum.statements import CREDENTIAL, POLICY, credential_fields, policy_fields, read_policy

if TYPE_CHECKING:
    import argparse

    from casemate.models import Loaded

_LOUD: Final = (
    "WARNING: sealed credentials do not exist yet: this credential travels in clear through the host. For the"
    " development stand-ins only; never with a key that can trade anything of value."
)


def add_policy_commands(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate policy sign`` and ``load``."""
    parser = commands.add_parser(
        "sign",
        help="add one administrator's approval",
        description="Approve a compiled policy as one administrator, on an offline machine. Check it first: `casemate"
        " policy check` of the TOML, and the digest that `compile` prints.",
    )
    parser.add_argument("file", type=Path, metavar="POLICY.cbor")
    add_signing(parser, "90d", "the policy's version")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=sign_policy)
    loading = commands.add_parser(
        "load",
        help="give the enclave an approved policy",
        description="Give the enclave a compiled policy with the approvals of enough administrators.",
    )
    loading.add_argument("file", type=Path, metavar="POLICY.cbor")
    _add_loading(loading)
    loading.set_defaults(run=load_policy)


def add_credential(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate credential``."""
    parser = commands.add_parser(
        "credential", help="DEVELOPMENT ONLY: credentials in clear", description="Credentials in clear."
    )
    inner = parser.add_subparsers(dest="credential_command", required=True, metavar="COMMAND", title="commands")
    signing = inner.add_parser(
        "sign",
        help="add one administrator's approval",
        description=f"Approve an account's credential as one administrator. {_LOUD}",
    )
    _add_credential(signing)
    signing.add_argument("--deployment", required=True, metavar="NAME", help="as in the policy")
    signing.add_argument(
        "--version", required=True, type=int, metavar="N", help="of the account's credential; rises with each change"
    )
    add_signing(signing, "24h")
    signing.add_argument("--json", action="store_true", help="one JSON document on stdout")
    signing.set_defaults(run=sign_credential)
    loading = inner.add_parser(
        "load",
        help="give the enclave a credential",
        description=f"Give the enclave an account's credential with the approvals of enough administrators. {_LOUD}",
    )
    _add_credential(loading)
    _add_loading(loading)
    loading.set_defaults(run=load_credential)


def _add_credential(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="CREDENTIAL.json", help="ccxt's field names with their texts")
    parser.add_argument("--account", required=True, metavar="NAME", help="as in the policy")


def _add_loading(parser: argparse.ArgumentParser) -> None:
    add_approvals(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)


def sign_policy(arguments: argparse.Namespace) -> int:
    """Approve a policy."""
    data = _read(arguments.file)
    try:
        deployment, fields = read_policy(data)["deployment"], policy_fields(data)
    except QuorumError as error:
        message = f"{arguments.file}: {error}"
        raise UsageError(message) from None
    return sign(arguments, POLICY, deployment, fields, arguments.file.stem)


def load_policy(arguments: argparse.Namespace) -> int:
    """Load a policy; 0 if the enclave took it."""
    data, approvals = _read(arguments.file), approvals_of(arguments)
    with connection.connect(arguments) as gateway:
        return _show(gateway.load_policy(data, approvals), as_json=arguments.json)


def sign_credential(arguments: argparse.Namespace) -> int:
    """Approve a credential."""
    note(_LOUD)
    fields = credential_fields(arguments.account, arguments.version, _credential(arguments.file))
    return sign(arguments, CREDENTIAL, arguments.deployment, fields, f"credential-{arguments.account}")


def load_credential(arguments: argparse.Namespace) -> int:
    """Load a credential; 0 if the enclave took it."""
    note(_LOUD)
    data, approvals = _credential(arguments.file), approvals_of(arguments)
    with connection.connect(arguments) as gateway:
        return _show(gateway.provision(arguments.account, data, approvals), as_json=arguments.json)


def _show(loaded: Loaded, *, as_json: bool) -> int:
    phase = loaded.phase.name if loaded.phase else "unknown phase"
    if as_json:
        print_json({"policy_version": loaded.policy_version, "policy_digest": loaded.policy_digest, "phase": phase})
    else:
        print_lines([f"taken: policy version {loaded.policy_version}, {loaded.policy_digest}, enclave {phase}"])
    return DONE


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(str(error)) from None


def _credential(path: Path) -> bytes:
    """Return the credential's canonical bytes; an error shows nothing of the content."""
    try:
        fields = json.loads(_read(path))
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        message = f"{path}: expected a JSON object of field names and texts"
        raise UsageError(message)
    return cbor2.dumps(fields, canonical=True)
