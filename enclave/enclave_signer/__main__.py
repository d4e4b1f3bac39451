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
from enclave_signer.closed import NobodyAuthenticates, NoKeysIn
from enclave_signer.drift import Drift
from enclave_signer.errors import EnclaveError
from enclave_signer.nitro.entropy import needs_seed, seed
from enclave_signer.nitro.nsm import DEVICE, open_device
from enclave_signer.nitro.recipients import RsaRecipients
from enclave_signer.quorum import Quorum
from enclave_signer.sealed.keys_in import SealedKeys
from enclave_signer.server import CannotListen, Server, serve_until_told
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from enclave_signer.system import KeptClock, SystemRandomness, pause_counter
from enclave_signer.timekeeping import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enclave_signer.admins import Admins
    from enclave_signer.nitro.nsm import NsmDevice

_NO_DEVICE = f"casemate-enclave: no sessions, every intent is refused: {DEVICE}: "


def _device() -> NsmDevice | None:
    """Return the security module, or None where there is none to attest sessions: then say so."""
    try:
        return open_device()
    except OSError as error:
        sys.stderr.write(f"{_NO_DEVICE}{error.strerror}\n")
        return None


def _timekeeper(clock: KeptClock, device: NsmDevice, drift: Drift) -> Timekeeper:
    """Compare the clocks once; and before the first key is made, give the kernel entropy."""
    try:
        if needs_seed():
            seed(device)
    except (OSError, EnclaveError) as error:
        # Making a key waits for the kernel's own then.
        sys.stderr.write(f"casemate-enclave: the kernel was given no entropy: {error}\n")
    timekeeper = Timekeeper(clock, device, drift)
    timekeeper.compare()
    return timekeeper


async def _serve(listen: str, admins: Admins) -> bool:
    """Serve; True if the boot came to its end by itself."""
    counter = pause_counter()
    ended = asyncio.Event()
    clock, device, drift = KeptClock(), _device(), Drift()
    timekeeper = None if device is None else _timekeeper(clock, device, drift)
    sessions = None if device is None else Sessions(clock, SystemRandomness(), device)
    # One key names this boot and signs its receipts: the document shows it where there is one, a RESUME names it.
    boot_key = sessions.keys.receipts if sessions else make_boot_key(SystemRandomness())
    quorum = Quorum(admins, boot_key.public_bytes())
    service = Service(
        clock,
        SystemRandomness(),
        sessions or NobodyAuthenticates(),
        quorum,
        SealedKeys(quorum, RsaRecipients(), sessions.keys.provision, sessions.keys.receipt_public)
        if sessions
        else NoKeysIn(),
        sessions=sessions,
        pauses=lambda: counter.pauses,
        boot_key=boot_key,
        drift=drift if device else None,
        end=ended.set,
    )
    server = Server(service.handle, listen, counter.watch, between=service.sign_head)
    sys.stderr.write(f"casemate-enclave: listening on {server.address}\n")
    keeping = None if timekeeper is None else asyncio.create_task(timekeeper.keep())
    try:
        return await serve_until_told(server, ended)
    finally:
        if keeping is not None:
            keeping.cancel()


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
        ended = asyncio.run(_serve(arguments.listen, admins))
    except CannotListen as error:
        sys.stderr.write(f"casemate-enclave: {error}\n")
        return BootCode.LISTEN
    if ended:
        sys.stderr.write("casemate-enclave: a sealed bundle could not be opened: this boot has ended\n")
    return BootCode.BUNDLE if ended else 0


if __name__ == "__main__":
    sys.exit(main())
