"""``casemate-enclave``: wiring, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from enclave_signer.admins import MAX_FILE, BadQuorum, read_admins
from enclave_signer.boot import make_boot_key
from enclave_signer.boot_codes import BootCode
from enclave_signer.closed import NobodyAuthenticates
from enclave_signer.nitro.nsm import DEVICE, open_device
from enclave_signer.quorum import Quorum
from enclave_signer.server import CannotListen, Server, serve_until_told
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from enclave_signer.system import SystemClock, SystemRandomness, pause_counter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enclave_signer.admins import Admins

_NO_DEVICE = f"casemate-enclave: no sessions, every intent is refused: {DEVICE}: "


def _sessions() -> Sessions | None:
    """Return what opens sessions, or None where there is no security module to attest them: then say so."""
    try:
        device = open_device()
    except OSError as error:
        sys.stderr.write(f"{_NO_DEVICE}{error.strerror}\n")
        return None
    return Sessions(SystemClock(), SystemRandomness(), device)


async def _serve(listen: str, admins: Admins) -> None:
    counter = pause_counter()
    sessions = _sessions()
    # One key names this boot: the document shows it where there is one, and a RESUME has to name it.
    boot_key = sessions.keys.receipt_public if sessions else make_boot_key(SystemRandomness()).public_bytes()
    service = Service(
        SystemClock(),
        SystemRandomness(),
        sessions or NobodyAuthenticates(),
        Quorum(admins, boot_key),
        sessions=sessions,
        pauses=lambda: counter.pauses,
        boot_key=boot_key,
    )
    server = Server(service.handle, listen, counter.watch)
    sys.stderr.write(f"casemate-enclave: listening on {server.address}\n")
    await serve_until_told(server)


def _admins(path: Path) -> Admins:
    try:
        with path.open("rb") as file:
            return read_admins(file.read(MAX_FILE + 1))
    except OSError as error:
        raise BadQuorum(error.strerror or "cannot be read") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop: 0; 2 for wrong use; else the boot code of why not, which the init passes on."""
    parser = argparse.ArgumentParser(prog="casemate-enclave", description="Judges and signs orders.")
    parser.add_argument("--listen", required=True, metavar="ADDR", help="unix:PATH, vsock:CID:PORT or 127.0.0.1:PORT")
    parser.add_argument("--quorum", required=True, type=Path, metavar="FILE", help="quorum.cbor, part of the image")
    arguments = parser.parse_args(argv)
    try:
        admins = _admins(arguments.quorum)
    except BadQuorum as error:
        sys.stderr.write(f"casemate-enclave: no quorum, so no start: {arguments.quorum}: {error}\n")
        return BootCode.QUORUM
    sys.stderr.write(
        f"casemate-enclave: deployment {admins.deployment}: {admins.threshold} of {len(admins.keys)} administrators\n"
    )
    try:
        asyncio.run(_serve(arguments.listen, admins))
    except CannotListen as error:
        sys.stderr.write(f"casemate-enclave: {error}\n")
        return BootCode.LISTEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
