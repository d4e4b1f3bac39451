"""``casemate-mock``: the stand-ins as programs. Development and CI only."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from casemate_mock.config import demo_servers, demo_venue_config, read_venue_config, with_spare_keys
from casemate_mock.serving import serve_venues, write_private
from casemate_mock.stack import Stack, StackError, checked_directory, checked_listen, run_all
from casemate_mock.venues.registry import VENUES

T = TypeVar("T")

_WARNING = "casemate-mock: stand-ins for development and CI; nothing here keeps a key safe\n"


class _WrongUseError(Exception):
    """Options that do not go together."""


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    root = argparse.ArgumentParser(prog="casemate-mock", description="Stand-ins for development and CI.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_enclave(commands)
    _add_kms(commands)
    _add_venue(commands)
    _add_all(commands)
    _add_bench(commands)
    return root


def _add_enclave(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "The real enclave service over a pretended security module: --quorum and --root, or --unauthenticated."
    enclave = commands.add_parser("enclave", help="mock enclave", description=text)
    enclave.add_argument("--listen", required=True, metavar="ADDR", help="unix:PATH or 127.0.0.1:PORT")
    enclave.add_argument("--quorum", type=Path, metavar="FILE", help="quorum.cbor: whose approvals it takes")
    text = "root certificate of its attestation documents, to be pinned; made here, with its key, if it is not there"
    enclave.add_argument("--root", type=Path, metavar="ROOT.pem", help=text)
    text = "how many milliseconds the module's clock is ahead, read anew for every document; 0 without a file"
    enclave.add_argument("--clock-skew", type=Path, metavar="FILE", help=text)
    text = "believe every sender's name and take every policy and credential as approved"
    enclave.add_argument("--unauthenticated", action="store_true", help=text)
    text = "only with --unauthenticated: load this compiled policy at start"
    enclave.add_argument("--policy", type=Path, metavar="FILE.cbor", help=text)
    text = "only with --unauthenticated: JSON, {account: {ccxt's field: text}}"
    enclave.add_argument("--credentials", type=Path, metavar="FILE", help=text)
    enclave.set_defaults(run=_run_enclave)


def _add_kms(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "moto's KMS with Recipient: it verifies documents, keeps key policies, and encrypts to the enclave's key."
    kms = commands.add_parser("kms", help="mock KMS", description=text)
    text = "root certificate that documents must end in: the mock enclave writes it"
    kms.add_argument("--root", required=True, type=Path, metavar="ROOT.pem", help=text)
    text = "make a key with this alias and key policy (JSON, as KMS has it); repeat for each"
    kms.add_argument("--key", required=True, action="append", type=_key, metavar="ALIAS=POLICY.json", help=text)
    kms.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    kms.set_defaults(run=_run_kms)


def _key(text: str) -> tuple[str, Path]:
    alias, found, path = text.partition("=")
    if not (alias and found and path):
        message = f'"{text}": expected ALIAS=POLICY.json'
        raise argparse.ArgumentTypeError(message)
    return alias, Path(path)


def _add_venue(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "A simulated venue that verifies every signature by its own code. Prints one READY line."
    venue = commands.add_parser("venue", help="one simulated venue", description=text)
    venue.add_argument("--venue", required=True, choices=sorted(VENUES), help="which one")
    venue.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    venue.add_argument("--config", type=Path, metavar="FILE", help="TOML: [[key]], [[instrument]], [settings]")
    venue.add_argument("--credentials", type=Path, metavar="FILE", help="without --config: write the random keys here")
    venue.add_argument("--seed", type=int, help="fix the venue's own ids")
    venue.set_defaults(run=_run_venue)
    venues = commands.add_parser("venues", help="all simulated venues in one process")
    venues.add_argument("--credentials", type=Path, required=True, metavar="FILE", help="write the random keys here")
    text = "write a second random key of each account here, good as well: to try a rotation"
    venues.add_argument("--spare", type=Path, metavar="FILE", help=text)
    venues.add_argument("--seed", type=int, help="fix the venues' own ids")
    venues.set_defaults(run=_run_venues)


def _directory(text: str) -> Path:
    return _said(checked_directory, Path(text))


def _port(text: str) -> int:
    _listen(f"127.0.0.1:{text}")
    return int(text)


def _listen(text: str) -> str:
    return _said(checked_listen, text)


def _said(check: Callable[[T], T], value: T) -> T:
    """Have argparse say why, in the check's own words."""
    try:
        return check(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_all(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "Venues, mock enclave and host, ready to trade. Prints one READY line; ends with stdin or SIGTERM."
    everything = commands.add_parser("all", help="the whole system", description=text)
    everything.add_argument("--dir", type=_directory, metavar="DIR", help="sockets, journal, logs (default: temporary)")
    everything.add_argument(
        "--listen", type=_listen, metavar="127.0.0.1:PORT", help="also plaintext TCP, for development"
    )
    everything.add_argument("--seed", type=int, help="fix the venues' own ids")
    everything.add_argument("--keep", action="store_true", help="run on when stdin ends; stop with SIGTERM")
    everything.add_argument("--no-rate-limits", action="store_true", help="the host holds no order back; for measuring")
    text = "no sessions and no quorum: the mock enclave believes everybody; for tests of the wire alone"
    everything.add_argument("--unauthenticated", action="store_true", help=text)
    text = "seal credentials through a mock KMS (needs casemate-mock[kms]), not to the key of the boot"
    everything.add_argument("--kms", action="store_true", help=text)
    text = "new orders need the grants of a duty officer, which runs as well"
    everything.add_argument("--duty", action="store_true", help=text)
    text = "the host shows its metrics on 127.0.0.1:PORT/metrics"
    everything.add_argument("--metrics", type=_port, metavar="PORT", help=text)
    everything.set_defaults(run=_run_all)


def _add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "The enclave's handle beside one bare hmac.digest, in one process; prints one JSON document."
    bench = commands.add_parser("bench-handle", help="cost of the enclave's handle", description=text)
    bench.add_argument("--orders", type=int, default=5_000, metavar="N", help="distinct orders (default 5000)")
    bench.add_argument("--unauthenticated", action="store_true", help="without sessions")
    bench.set_defaults(run=_run_bench)


def _run_bench(arguments: argparse.Namespace) -> None:
    # Here alone: no other stand-in may import the enclave.
    from casemate_mock import bench_handle  # noqa: PLC0415

    bench_handle.main(arguments.orders, sessions=not arguments.unauthenticated)


def _run_enclave(arguments: argparse.Namespace) -> None:
    # Here alone: no other stand-in may import the enclave.
    from casemate_mock import enclave_process  # noqa: PLC0415

    loads, guarded = (arguments.policy, arguments.credentials), (arguments.quorum, arguments.root)
    if arguments.unauthenticated and not any(guarded):
        run = enclave_process.run_unauthenticated(arguments.listen, *loads)
    elif arguments.unauthenticated or any(loads) or not all(guarded):
        message = "enclave: --quorum with --root, or --unauthenticated (with --policy and --credentials or without)"
        raise _WrongUseError(message)
    else:
        guard = {"root": arguments.root, "quorum": arguments.quorum, "skew": arguments.clock_skew}
        run = enclave_process.run(arguments.listen, **guard)
    try:
        asyncio.run(run)
    except enclave_process.BootEnded as error:
        # As the shipped enclave does.
        sys.stderr.write(f"casemate-mock enclave: {error}\n")
        raise SystemExit(error.code) from None


def _run_kms(arguments: argparse.Namespace) -> None:
    try:
        from casemate_mock.kms import serve  # noqa: PLC0415 - moto takes a while, and is an extra
    except ImportError:
        message = "the mock KMS needs moto: install casemate-mock[kms]"
        raise ValueError(message) from None
    asyncio.run(serve.run(serve.make(arguments.root, dict(arguments.key)), arguments.port))


def _run_venue(arguments: argparse.Namespace) -> None:
    if arguments.config:
        config = read_venue_config(arguments.config)
    else:
        server = "binance" if arguments.venue == "binanceusdm" else arguments.venue
        config, credentials = demo_venue_config(server)
        if arguments.credentials:
            write_private(arguments.credentials, json.dumps(credentials))
    ports = {arguments.venue: arguments.port}
    asyncio.run(serve_venues({arguments.venue: config}, ports, arguments.seed))


def _run_venues(arguments: argparse.Namespace) -> None:
    made = {server: demo_venue_config(server) for server in demo_servers()}
    credentials = {name: fields for _, accounts in made.values() for name, fields in accounts.items()}
    write_private(arguments.credentials, json.dumps({name: dict(fields) for name, fields in credentials.items()}))
    configs = {name: config for name, (config, _) in made.items()}
    if arguments.spare:
        spared = {name: with_spare_keys(config, name) for name, config in configs.items()}
        configs = {name: config for name, (config, _) in spared.items()}
        spare = {name: dict(fields) for _, accounts in spared.values() for name, fields in accounts.items()}
        write_private(arguments.spare, json.dumps(spare))
    asyncio.run(serve_venues(configs, {}, arguments.seed))


def _run_all(arguments: argparse.Namespace) -> None:
    directory = arguments.dir or Path(tempfile.mkdtemp(prefix="casemate-"))
    try:
        stack = Stack(
            directory,
            seed=arguments.seed,
            listen=arguments.listen,
            rate_limits=not arguments.no_rate_limits,
            authenticated=not arguments.unauthenticated,
            kms=arguments.kms,
            duty=arguments.duty,
            metrics=arguments.metrics,
        )
        asyncio.run(run_all(stack, watch_stdin=not arguments.keep))
    finally:
        if arguments.dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it was told to stop, 1 when something did not work, 2 for wrong use."""
    arguments = parser().parse_args(argv)
    sys.stderr.write(_WARNING)
    try:
        arguments.run(arguments)
    except _WrongUseError as error:
        sys.stderr.write(f"casemate-mock {error}\n")
        return 2
    except (StackError, ValueError, OSError) as error:
        sys.stderr.write(f"casemate-mock: {error}\n")
        return 1
    return 0
