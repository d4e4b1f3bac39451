"""Options of every command that talks to a gateway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.channel import Endpoint, TlsFiles
from casemate.cli.output import note
from casemate.cli.usage import UsageError
from casemate.sealing import UnauthenticatedSealer
from casemate.sync_gateway import SyncGateway

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser, *, engine: bool = True) -> None:
    """Add --gateway and its TLS files; with ``engine`` also who sends."""
    group = parser.add_argument_group("connection")
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
    group.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="deadline of a call (default 10)")
    if engine:
        group.add_argument(
            "--engine",
            metavar="NAME",
            help="the engine's name in the policy (default: environment CASEMATE_ENGINE)",
        )


def connect(arguments: argparse.Namespace) -> SyncGateway:
    """Open the gateway that the options name; raises UsageError."""
    target = arguments.gateway or os.environ.get("CASEMATE_GATEWAY", "")
    if not target:
        message = "which gateway? Give --gateway ADDR or set CASEMATE_GATEWAY"
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
        endpoint = Endpoint(
            target=target,
            tls=tls,
            insecure_plaintext_for_development=plaintext,
        )
        return SyncGateway(endpoint, _sealer(arguments), timeout_s=arguments.timeout)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from None


def _tls(arguments: argparse.Namespace) -> TlsFiles | None:
    paths = (arguments.tls_ca, arguments.tls_certificate, arguments.tls_key)
    if not any(paths):
        return None
    if not all(paths):
        message = "TLS needs all of --tls-ca, --tls-certificate and --tls-key"
        raise UsageError(message)
    return TlsFiles(ca=paths[0], certificate=paths[1], key=paths[2])


def _sealer(arguments: argparse.Namespace) -> UnauthenticatedSealer:
    if not hasattr(arguments, "engine"):
        return UnauthenticatedSealer("")
    name = arguments.engine or os.environ.get("CASEMATE_ENGINE", "")
    if not name:
        message = "which engine? Give --engine NAME or set CASEMATE_ENGINE"
        raise UsageError(message)
    note("intents are not authenticated yet: only the development stand-in of the enclave takes them")
    return UnauthenticatedSealer(name)
