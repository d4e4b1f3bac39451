"""``casemate policy sign | load`` and ``casemate credential sign | load``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli import connection
from casemate.cli.output import DONE, note, print_json, print_lines
from casemate.cli.quorum import add_approvals, add_signing, approvals_of, sign
from casemate.cli.usage import UsageError
from casemate.provisioning.bundles import KMS, read
from casemate.provisioning.credential import canonical, parse
from casemate.provisioning.descriptions import read_any
from casemate.provisioning.errors import SealError
from casemate.quorum.errors import QuorumError
from casemate.quorum.statements import CREDENTIAL, POLICY, credential_fields, policy_fields, read_policy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from casemate.models import Loaded
    from casemate.provisioning.bundles import Sealed

_LOUD: Final = (
    "WARNING: this credential travels in clear through the host, and only the development stand-in takes it so. Never"
    " with a key that can trade anything of value: see `casemate seal`."
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
        "credential", help="approve and load sealed credentials", description="Sealed credentials."
    )
    inner = parser.add_subparsers(dest="credential_command", required=True, metavar="COMMAND", title="commands")
    signing = inner.add_parser(
        "sign",
        help="add one administrator's approval",
        description="Approve an account's sealed credential as one administrator, on an offline machine: a bundle of"
        " `casemate seal`, or the description of one that is to be sealed directly.",
    )
    signing.add_argument("file", type=Path, metavar="FILE", help="FILE.bundle, or FILE.content.txt of --direct")
    add_signing(signing, "90d", "when it was sealed, in milliseconds")
    signing.add_argument("--json", action="store_true", help="one JSON document on stdout")
    signing.set_defaults(run=sign_credential)
    loading = inner.add_parser(
        "load",
        help="give the enclave a sealed credential",
        description="Have the host ask KMS to open a bundle for the enclave. A JSON file instead of a bundle goes in"
        f" clear (with --account). {_LOUD}",
    )
    loading.add_argument("file", type=Path, metavar="FILE.bundle", help="of `casemate seal`")
    loading.add_argument("--account", metavar="NAME", help="of a credential in clear")
    _add_loading(loading)
    loading.set_defaults(run=load_credential)


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
    """Approve a sealed credential."""
    sealed = _sealed(arguments.file, _read(arguments.file), read_any)
    label = sealed.label
    fields = credential_fields(label.account, label.version, sealed.subject)
    # The same for every administrator, and rising: nobody has to keep count.
    arguments.sequence = arguments.sequence or label.created
    return sign(arguments, CREDENTIAL, label.deployment, fields, str(arguments.file).removesuffix(".txt"))


def load_credential(arguments: argparse.Namespace) -> int:
    """Load a credential; 0 if the enclave took it."""
    data, approvals = _read(arguments.file), approvals_of(arguments)
    if arguments.account:
        note(_LOUD)
        credential = _clear(arguments.file, data)
        with connection.connect(arguments) as gateway:
            return _show(gateway.provision(arguments.account, credential, approvals), as_json=arguments.json)
    sealed = _sealed(arguments.file, data, read)
    if sealed.kind != KMS:
        message = f"{arguments.file}: not sealed through KMS: use `casemate provision`"
        raise UsageError(message)
    with connection.connect(arguments) as gateway:
        return _show(gateway.unseal(sealed.label.account, data, approvals), as_json=arguments.json)


def _sealed(path: Path, data: bytes, reader: Callable[[bytes], Sealed]) -> Sealed:
    try:
        return reader(data)
    except SealError as error:
        message = f"{path}: {error}"
        raise UsageError(message) from None


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


def _clear(path: Path, data: bytes) -> bytes:
    """Return the credential's canonical bytes; an error shows nothing of the content."""
    try:
        return canonical(parse(data, str(path)))
    except SealError as error:
        raise UsageError(str(error)) from None
