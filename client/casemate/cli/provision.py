"""``casemate provision``: a credential to one attested boot, past everybody between."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate import attest_cli
from casemate.attestation.errors import Reason
from casemate.cli import connection
from casemate.cli.names import whole
from casemate.cli.output import DONE, print_json, print_lines
from casemate.cli.quorum import add_approvals, approvals_of
from casemate.cli.usage import UsageError
from casemate.errors import NotAttested
from casemate.profile import ProfileError, read_profile
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
        " of the host, which cannot read it. Repeat after every restart of the enclave: it is for one boot. Which"
        " enclave it must be is in the profile's [pins]; --pcr and --root come before what they say.",
    )
    parser.add_argument("content", type=Path, metavar="FILE.content", help="of `casemate seal --direct`")
    add_approvals(parser)
    parser.add_argument(
        "--pins", type=Path, metavar="FILE", help="a profile, of which [pins] is read (default: the profile's own)"
    )
    attest_cli.add_pins(parser)
    parser.add_argument(
        "--minimum-policy-version",
        type=whole,
        metavar="N",
        help="refuse an older live policy (default: as pinned, or 1)",
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
    except (SealError, OSError, ValueError) as error:
        message = f"{arguments.content}: {error}" if isinstance(error, SealError) else str(error)
        raise UsageError(message) from None
    pins = _pins(arguments, label)
    with connection.connect(arguments) as gateway:
        nonce = os.urandom(_NONCE_BYTES)
        boot = _checked(pins, gateway.attest(nonce), nonce)
        sealed = bundles.direct_bundle(content, boot.receipt_key, boot.provision_key)
        loaded = gateway.provision_bundle(label.account, sealed, approvals)
    _show(arguments, pins, label, boot, loaded)
    return DONE


def _pins(arguments: argparse.Namespace, label: bundles.Label) -> Pins:
    """Return which enclave it must be: what the options say before what the profile does; raises UsageError."""
    try:
        said = (read_profile(arguments.pins) if arguments.pins else connection.profile_of(arguments)).pins
    except ProfileError as error:
        raise UsageError(str(error)) from None
    pcrs = attest_cli.expected_pcrs(arguments.pcr) or (said.pcrs if said else {})
    if 0 not in pcrs:
        message = "which enclave? Give --pcr 0=HEX, PCR0 of the image, or a profile with [pins] (--profile or --pins)"
        raise UsageError(message)
    if said and said.deployment != label.deployment:
        message = f"the credential is for deployment {label.deployment}, the profile pins {said.deployment}"
        raise UsageError(message)
    pins = said or Pins(pcrs=pcrs, deployment=label.deployment)
    return replace(
        pins,
        pcrs=pcrs,
        minimum_policy_version=arguments.minimum_policy_version or pins.minimum_policy_version,
        root=arguments.root or pins.root,
    )


def _checked(pins: Pins, document: bytes, nonce: bytes) -> Boot:
    """Return what the boot says of itself; raises NotAttested, with the option that says otherwise."""
    try:
        return pins.check(document, nonce, time.time_ns())[0]
    except NotAttested as error:
        hints = {Reason.UNTRUSTED_ROOT: "--root PEM trusts a stand-in's", Reason.PCR_MISMATCH: "--pcr N=HEX says which"}
        hint = next((hint for reason, hint in hints.items() if str(error).startswith(reason)), "")
        message = f"{error} ({hint})" if hint else str(error)
        raise NotAttested(message) from None


def _show(arguments: argparse.Namespace, pins: Pins, label: bundles.Label, boot: Boot, loaded: Loaded) -> None:
    phase = loaded.phase.name if loaded.phase else "unknown phase"
    pinned = sorted(pins.pcrs)
    if arguments.json:
        verified = {"pcrs": pinned, "deployment": boot.deployment, "policy_version": boot.policy_version}
        verified |= {"policy_digest": boot.policy_digest.hex(), "boot": boot.receipt_key.hex()}
        print_json({"account": label.account, "version": label.version, "phase": phase, "verified": verified})
        return
    root = "the root given" if pins.root else "AWS root"
    registers = ", ".join(f"PCR{index}" for index in pinned)
    print_lines(
        [
            f"verified: {root}, fresh nonce, no debug mode, {registers}",
            f"verified: deployment {boot.deployment}, policy version {boot.policy_version}, {boot.policy_digest.hex()}",
            f"verified: boot {boot.receipt_key.hex()}",
            f"verified: quorum {boot.quorum.hex()}{'' if pins.quorum else ', not pinned'}",
            f"taken: credential version {label.version} of {label.account}, enclave {phase}",
        ]
    )
