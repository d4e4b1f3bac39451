"""``casemate seal``: a credential into a bundle, and what it is in words beside it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli.names import name_of, whole
from casemate.cli.output import DONE, note, print_json, print_lines
from casemate.cli.usage import UsageError
from casemate.provisioning import bundles, kms
from casemate.provisioning.credential import MAX_CREDENTIAL, canonical, parse, read_private
from casemate.provisioning.descriptions import description
from casemate.provisioning.errors import SealError

if TYPE_CHECKING:
    import argparse

_NS_IN_MS: Final = 1_000_000


def add_seal(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate seal``."""
    parser = commands.add_parser(
        "seal",
        help="encrypt an account's credential for the enclave",
        description="Encrypt an account's credential under a data key that KMS hands out to the attested enclave alone,"
        " or with --direct prepare it for `casemate provision`. Writes the file, and beside it what it is in words."
        " Then administrators approve it: `casemate credential sign`.",
    )
    parser.add_argument(
        "credential", metavar="CREDENTIAL.json", help="ccxt's field names with their texts, mode 0600; - reads stdin"
    )
    parser.add_argument("--deployment", required=True, type=name_of, metavar="NAME", help="as in the policy")
    parser.add_argument("--account", required=True, type=name_of, metavar="NAME", help="as in the policy")
    parser.add_argument(
        "--version", required=True, type=whole, metavar="N", help="of the account's credential; rises with each change"
    )
    parser.add_argument(
        "--venue", metavar="NAME", help="check the credential's format for this venue (casemate[tools])"
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--kms-key", metavar="KEY", help="id, ARN or alias of the KMS key; the bundle names its ARN")
    way.add_argument(
        "--direct", action="store_true", help="for `casemate provision`: the file holds the credential in clear"
    )
    parser.add_argument(
        "--region", metavar="NAME", help="of KMS (default: environment AWS_REGION, then as boto3 finds it)"
    )
    parser.add_argument("--endpoint-url", metavar="URL", help="of KMS, for stand-ins")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default ACCOUNT-VERSION.bundle or .content")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=seal)


def seal(arguments: argparse.Namespace) -> int:
    """Seal; 0 if both files are written."""
    label = bundles.Label(
        deployment=arguments.deployment,
        account=arguments.account,
        version=arguments.version,
        created=time.time_ns() // _NS_IN_MS,
    )
    try:
        credential = canonical(_checked(arguments))
        ending, data = "bundle", b""
        if arguments.direct:
            ending, data = "content", bundles.content(label, credential, os.urandom(bundles.SALT_BYTES))
        else:
            client = kms.client(_region(arguments), arguments.endpoint_url)
            key = kms.data_key(client, arguments.kms_key, label.context())
            data = bundles.kms_bundle(label, key, credential, os.urandom(bundles.NONCE_BYTES))
        output = arguments.output or Path(f"{label.account}-{label.version}.{ending}")
        words = _write(output, data)
    except (SealError, OSError) as error:
        raise UsageError(str(error)) from None
    if arguments.direct:
        note(f"{output} holds the credential in clear: keep it where `casemate provision` runs, and delete it then")
    _show(arguments, bundles.read(data), output, words)
    return DONE


def _region(arguments: argparse.Namespace) -> str | None:
    """Return the region asked for; boto3 itself reads AWS_DEFAULT_REGION alone."""
    region: str | None = arguments.region or os.environ.get("AWS_REGION")
    return region or None


def _checked(arguments: argparse.Namespace) -> dict[str, str]:
    if arguments.credential == "-":
        fields = parse(sys.stdin.buffer.read(MAX_CREDENTIAL + 1), "stdin")
    else:
        fields = parse(read_private(Path(arguments.credential)), arguments.credential)
    if arguments.venue:
        _check_format(arguments.venue, fields)
    return fields


def _check_format(venue: str, fields: dict[str, str]) -> None:
    if importlib.util.find_spec("enclave_signer") is None:
        message = "--venue needs the enclave's own code: install casemate[tools]"
        raise UsageError(message)
    # Only here: the base SDK reaches no module of the enclave.
    tools = importlib.import_module("casemate.tools.credentials")
    if venue not in tools.venues():
        message = f'venue "{venue}": expected one of {", ".join(tools.venues())}'
        raise UsageError(message)
    wrong = tools.mistake(venue, fields)
    if wrong:
        message = f"not a credential of {venue}: {wrong}"
        raise UsageError(message)


def _write(output: Path, data: bytes) -> Path:
    """Write both files; neither is ever written over another."""
    words = output.with_name(f"{output.name}.txt")
    text = description(bundles.read(data)).encode()
    for path, content in ((output, data), (words, text)):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    return words


def _show(arguments: argparse.Namespace, sealed: bundles.Sealed, output: Path, words: Path) -> None:
    label, way = sealed.label, "KMS" if sealed.kind == bundles.KMS else "direct"
    if arguments.json:
        document = {"output": str(output), "description": str(words), "sealed": sealed.kind, **label.fields()}
        print_json({**document, "key_id": sealed.key_id or None, "sha256": sealed.subject.hex()})
        return
    print_lines(
        [
            f"{output}: credential version {label.version} of {label.account} in {label.deployment}, {way}",
            f"sha256 {sealed.subject.hex()}",
        ]
    )
