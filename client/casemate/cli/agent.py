"""``casemate agent``."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from casemate.cli import connection
from casemate.cli.output import DONE, note
from casemate.cli.usage import UsageError

if TYPE_CHECKING:
    import argparse


def add_agent(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate agent``."""
    parser = commands.add_parser(
        "agent",
        help="plain gRPC for an engine on this machine",
        description="Serve plain typed gRPC (dispatch_api/v1/agent.proto) on a unix socket that only its owner can"
        " open, for an engine that does not speak the session protocol itself: verifies the enclave, opens and reopens"
        " the session, seals, and checks the enclave's word in every answer. Prints one READY line; SIGTERM ends it.",
    )
    parser.add_argument("--listen", metavar="unix:PATH", help="where to serve (default: the profile's `listen`)")
    parser.add_argument("--alone", action="store_true", help="end every other session of the engine when one is opened")
    group = parser.add_argument_group("connection")
    connection.add_address(group)
    connection.add_engine(group)
    parser.set_defaults(run=agent)


def agent(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    # Here: the other commands start faster without it.
    from casemate.agent import server  # noqa: PLC0415

    profile = connection.profile_of(arguments)
    listen = arguments.listen or profile.listen
    if not listen:
        message = "where to serve? Give --listen unix:PATH, or `listen` in the profile"
        raise UsageError(message)
    try:
        path = server.checked_listen(listen)
    except ValueError as error:
        raise UsageError(str(error)) from None
    endpoint = connection.endpoint_of(arguments, profile)
    engine = connection.engine_of(arguments, profile)
    sealer = connection.attested_sealer(arguments, profile, alone=arguments.alone)

    async def run() -> None:
        await server.serve(server.Agent(path, endpoint, sealer, engine, clock=time.time_ns, note=note), listen)

    asyncio.run(run())
    return DONE
