"""The mock enclave: the real service, with stand-ins that believe everybody. DEVELOPMENT ONLY.

Judging, signing and counting are the production code; what is missing is everything that keeps a stranger out.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

from casemate_mock.fake_nitro import EverybodyApproves, EverybodyAuthenticates
from enclave_signer.boot import make_boot_key
from enclave_signer.pauses import Pauses
from enclave_signer.ports import Clock
from enclave_signer.server import CannotListen, Server, serve_until_told
from enclave_signer.service import Service
from enclave_signer.system import SystemClock, SystemRandomness, pause_counter

_LOUD = (
    "casemate-mock enclave: DEVELOPMENT ONLY. It believes every sender's name, checks no MAC, and takes every policy\n"
    "casemate-mock enclave: and credential as approved. Never give it a key that can trade anything of value.\n"
)


def make_service(*, clock: Clock | None = None, pauses: Callable[[], Pauses] = Pauses) -> Service:
    """Build the real service over the stand-ins. ``clock`` replaces the system's."""
    return Service(
        clock or SystemClock(),
        SystemRandomness(),
        EverybodyAuthenticates(),
        EverybodyApproves(),
        pauses=pauses,
        boot_key=make_boot_key(SystemRandomness()).public_bytes(),
    )


async def serve(listen: str, *, clock: Clock | None = None) -> None:
    """Serve on `listen` (unix:PATH or 127.0.0.1:PORT) until cancelled. Raises ValueError if it cannot be bound."""
    await _server(listen, clock).serve()


def _server(listen: str, clock: Clock | None) -> Server:
    sys.stderr.write(_LOUD)
    counter = pause_counter()
    service = make_service(clock=clock, pauses=lambda: counter.pauses)
    try:
        return Server(service.handle, listen, counter.watch)
    except CannotListen as error:
        raise ValueError(str(error)) from None


async def _serve_until_told(listen: str) -> None:
    await serve_until_told(_server(listen, None))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop: 0; 1 if the address cannot be bound; 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="casemate-mock-enclave", description="The enclave without its walls.")
    parser.add_argument("--listen", required=True, metavar="ADDR", help="unix:PATH or 127.0.0.1:PORT")
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(_serve_until_told(arguments.listen))
    except ValueError as error:
        sys.stderr.write(f"casemate-mock enclave: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
