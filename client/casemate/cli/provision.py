"""``casemate provision``: a credential to one attested boot, past everybody between."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate import attest_cli
from casemate.cli import connection
from casemate.cli.names import whole
from casemate.cli.output import DONE, print_json, print_lines
from casemate.cli.quorum import add_approvals, approvals_of
from casemate.cli.usage import UsageError
from casemate.provisioning import bundles
from casemate.provisioning.credential import read_private
from casemate.provisioning.errors import SealError
from casemate.session.pins import Pins

if TYPE_CHECKING:
    import argparse

    from casemate.models import Loaded
    from casemate.session.forms import Boot

_NONCE_BYTES: Final = 32


def add_provision(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate provision``."""
    parser = commands.add_parser(
        "provision",
        help="give one attested enclave a credential directly, without KMS",
        description="Verify the enclave's attestation, seal the credential to the key that it shows, and send it by way"
        " of the host, which cannot read it. Repeat after every restart of the enclave: it is for one boot.",
    )
    parser.add_argument("content", type=Path, metavar="FILE.content", help="of `casemate seal --direct`")
    add_approvals(parser)
    attest_cli.add_pins(parser)
    parser.add_argument(
        "--minimum-policy-version", type=whole, default=1, metavar="N", help="refuse an older live policy (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=provision)


def provision(arguments: argparse.Namespace) -> int:
    """Provision; 0 if the enclave took it."""
    approvals = approvals_of(arguments)
    try:
        content = read_private(arguments.content)
        label = bundles.read(content).label
        pins = Pins(
            pcrs=attest_cli.expected_pcrs(arguments.pcr),
            deployment=label.deployment,
            minimum_policy_version=arguments.minimum_policy_version,
            root=arguments.root,
        )
    except (SealError, OSError, ValueError) as error:
        message = f"{arguments.content}: {error}" if isinstance(error, SealError) else str(error)
        raise UsageError(message) from None
    with connection.connect(arguments) as gateway:
        nonce = os.urandom(_NONCE_BYTES)
        boot, _ = pins.check(gateway.attest(nonce), nonce, time.time_ns())
        sealed = bundles.direct_bundle(content, boot.receipt_key, boot.provision_key)
        loaded = gateway.provision_bundle(label.account, sealed, approvals)
    _show(arguments, label, boot, loaded)
    return DONE


def _show(arguments: argparse.Namespace, label: bundles.Label, boot: Boot, loaded: Loaded) -> None:
    phase = loaded.phase.name if loaded.phase else "unknown phase"
    pinned = sorted({index for index, _ in arguments.pcr})
    if arguments.json:
        verified = {"pcrs": pinned, "deployment": boot.deployment, "policy_version": boot.policy_version}
        verified |= {"policy_digest": boot.policy_digest.hex(), "boot": boot.receipt_key.hex()}
        print_json({"account": label.account, "version": label.version, "phase": phase, "verified": verified})
        return
    root = "the root given" if arguments.root else "AWS root"
    registers = ", ".join(f"PCR{index}" for index in pinned)
    print_lines(
        [
            f"verified: {root}, fresh nonce, no debug mode, {registers}",
            f"verified: deployment {boot.deployment}, policy version {boot.policy_version}, {boot.policy_digest.hex()}",
            f"verified: boot {boot.receipt_key.hex()}",
            f"taken: credential version {label.version} of {label.account}, enclave {phase}",
        ]
    )
