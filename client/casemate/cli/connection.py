"""Options of every command that talks to a gateway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from casemate.channel import Endpoint, TlsFiles
from casemate.cli.output import note
from casemate.cli.usage import UsageError
from casemate.profile import Profile, ProfileError, engine_sealer, read_profile
from casemate.sealing import UnauthenticatedSealer
from casemate.sync_gateway import SyncGateway

if TYPE_CHECKING:
    import argparse

    from casemate.sealing import Sealer
    from casemate.session import AttestedSealer

_NOWHERE: Final = Profile(path=Path("profile"))


def add_options(parser: argparse.ArgumentParser, *, engine: bool = True) -> None:
    """Add --profile, --gateway and its TLS files; with ``engine`` also who sends, and to which enclave."""
    group = parser.add_argument_group("connection")
    add_address(group)
    group.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="deadline of a call (default 10)")
    if engine:
        add_engine(group)
        group.add_argument(
            "--unauthenticated",
            action="store_true",
            help="DEVELOPMENT ONLY: prove nothing; no enclave but `casemate-mock all --unauthenticated` takes it",
        )


def add_address(group: argparse._ArgumentGroup) -> None:
    """Add where the gateway is."""
    group.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="gateway, engine, key and pins in one TOML file (default: environment CASEMATE_PROFILE); the other"
        " options come before what it says",
    )
    group.add_argument(
        "--gateway", metavar="ADDR", help="unix:PATH or HOST:PORT (default: environment CASEMATE_GATEWAY)"
    )
    group.add_argument("--tls-ca", type=Path, metavar="PEM", help="authority of the gateway's certificate (TCP)")
    group.add_argument("--tls-certificate", type=Path, metavar="PEM", help="own certificate (TCP)")
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="own key (TCP)")
    group.add_argument(
        "--insecure-plaintext-for-development",
        action="store_true",
        help="TCP without TLS; never in production",
    )


def add_engine(group: argparse._ArgumentGroup) -> None:
    """Add who sends, and to which enclave."""
    group.add_argument(
        "--engine", metavar="NAME", help="the engine's name in the policy (default: environment CASEMATE_ENGINE)"
    )
    group.add_argument("--key", type=Path, metavar="PEM", help="the engine's own Ed25519 key, which the policy names")
    group.add_argument(
        "--pins", type=Path, metavar="FILE", help="which enclave it must be: a profile, of which [pins] is read"
    )


def connect(arguments: argparse.Namespace, *, seals: bool = True) -> SyncGateway:
    """Open the gateway that the options name; without ``seals`` no intent will be sent. Raises UsageError."""
    profile = profile_of(arguments)
    endpoint = endpoint_of(arguments, profile)
    try:
        sealer = _sealer(arguments, profile) if seals else UnauthenticatedSealer("")
        return SyncGateway(endpoint, sealer, timeout_s=arguments.timeout)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from None


def profile_of(arguments: argparse.Namespace) -> Profile:
    """Read the profile that the options or the environment name; an empty one without. Raises UsageError."""
    path = arguments.profile or os.environ.get("CASEMATE_PROFILE")
    if not path:
        return _NOWHERE
    try:
        return read_profile(path)
    except ProfileError as error:
        raise UsageError(str(error)) from None


def endpoint_of(arguments: argparse.Namespace, profile: Profile) -> Endpoint:
    """Return where the gateway is; raises UsageError."""
    target = arguments.gateway or ("" if arguments.profile else os.environ.get("CASEMATE_GATEWAY", ""))
    if not target and profile.endpoint is not None:
        return profile.endpoint
    if not target:
        message = "which gateway? Give --profile FILE or --gateway ADDR, or set CASEMATE_PROFILE or CASEMATE_GATEWAY"
        raise UsageError(message)
    tls = _tls(arguments)
    plaintext = arguments.insecure_plaintext_for_development
    if not (target.startswith("unix:") or tls or plaintext) and target.rpartition(":")[2].isdigit():
        message = (
            f'gateway "{target}": TCP needs TLS: give --tls-ca, --tls-certificate and --tls-key'
            " (or, never in production, --insecure-plaintext-for-development)"
        )
        raise UsageError(message)
    try:
        return Endpoint(target=target, tls=tls, insecure_plaintext_for_development=plaintext)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _tls(arguments: argparse.Namespace) -> TlsFiles | None:
    paths = (arguments.tls_ca, arguments.tls_certificate, arguments.tls_key)
    if not any(paths):
        return None
    if not all(paths):
        message = "TLS needs all of --tls-ca, --tls-certificate and --tls-key"
        raise UsageError(message)
    return TlsFiles(ca=paths[0], certificate=paths[1], key=paths[2])


def _sealer(arguments: argparse.Namespace, profile: Profile) -> Sealer:
    if not hasattr(arguments, "engine"):
        return UnauthenticatedSealer("")
    if arguments.unauthenticated:
        note("intents prove nothing: only the development stand-in of the enclave takes them, started so")
        return UnauthenticatedSealer(engine_of(arguments, profile))
    return attested_sealer(arguments, profile)


def engine_of(arguments: argparse.Namespace, profile: Profile) -> str:
    """Return the engine's name; raises UsageError."""
    name: str = arguments.engine or profile.engine or os.environ.get("CASEMATE_ENGINE", "")
    if not name:
        message = "which engine? Give --profile FILE or --engine NAME, or set CASEMATE_PROFILE or CASEMATE_ENGINE"
        raise UsageError(message)
    return name


def attested_sealer(arguments: argparse.Namespace, profile: Profile, *, alone: bool = False) -> AttestedSealer:
    """Return what seals under sessions with the pinned enclave; raises UsageError."""
    engine, key, pins = engine_of(arguments, profile), arguments.key or profile.key, profile.pins
    try:
        if arguments.pins:
            pins = read_profile(arguments.pins).pins
        if key is None or pins is None:
            lacking = " and ".join(name for name, value in (("--key", key), ("--pins", pins)) if value is None)
            message = (
                f"an intent counts only under a session with the enclave that is meant: {lacking} missing"
                " (or a profile that says it)"
            )
            raise UsageError(message)
        return engine_sealer(engine, key, pins, alone=alone)
    except ProfileError as error:
        raise UsageError(str(error)) from None
