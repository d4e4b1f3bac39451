"""``casemate-enclave``: wiring, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from enclave_signer.closed import NobodyApproves, NobodyAuthenticates
from enclave_signer.nitro.nsm import DEVICE, open_device
from enclave_signer.server import CannotListen, Server, serve_until_told
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from enclave_signer.system import SystemClock, SystemRandomness, pause_counter

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOSED = "casemate-enclave: quorum statements do not exist yet: every policy and credential is refused\n"
_NO_DEVICE = f"casemate-enclave: no sessions, every intent is refused: {DEVICE}: "


def _sessions() -> Sessions | None:
    """Return what opens sessions, or None where there is no security module to attest them: then say so."""
    try:
        device = open_device()
    except OSError as error:
        sys.stderr.write(f"{_NO_DEVICE}{error.strerror}\n")
        return None
    return Sessions(SystemClock(), SystemRandomness(), device)


async def _serve(listen: str) -> None:
    counter = pause_counter()
    sessions = _sessions()
    service = Service(
        SystemClock(),
        SystemRandomness(),
        sessions or NobodyAuthenticates(),
        NobodyApproves(),
        sessions=sessions,
        pauses=lambda: counter.pauses,
    )
    server = Server(service.handle, listen, counter.watch)
    sys.stderr.write(f"casemate-enclave: listening on {server.address}\n")
    await serve_until_told(server)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop: 0; 1 if the address cannot be bound; 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="casemate-enclave", description="Judges and signs orders.")
    parser.add_argument("--listen", required=True, metavar="ADDR", help="unix:PATH, vsock:CID:PORT or 127.0.0.1:PORT")
    arguments = parser.parse_args(argv)
    sys.stderr.write(_CLOSED)
    try:
        asyncio.run(_serve(arguments.listen))
    except CannotListen as error:
        sys.stderr.write(f"casemate-enclave: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
