"""``casemate duty``: run the officer, ask it, and what is done by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli.output import DONE, NO, note, print_json, print_lines
from casemate.cli.usage import UsageError
from casemate.duty.config import load
from casemate.duty.errors import ConfigError, Held, NotFresh, StateLost
from casemate.duty.gateway import Gateway
from casemate.duty.officer import Officer, granted
from casemate.duty.reports import Reporter
from casemate.duty.store import open_store
from casemate.quorum.keys import new_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from casemate.duty.config import Config
    from casemate.duty.model import Boot, Decision, State
    from casemate.duty.store import Store

_SECOND: Final = 1_000_000_000
_WAIT_S: Final = 60.0


def add_duty(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate duty``."""
    text = "The duty officer (docs/duty-officer.md): grants each boot of an enclave its duty, for minutes at a time."
    parser = commands.add_parser("duty", help="who may sign new orders", description=text)
    inner = parser.add_subparsers(dest="duty_command", required=True, metavar="COMMAND", title="commands")
    keygen = inner.add_parser(
        "keygen",
        help="make the duty key",
        description="Make the duty key in a new file that only you can read (PEM, mode 0600), on the officer's machine"
        " and never on an enclave's host. Prints the public key, which goes into the policy.",
    )
    keygen.add_argument("file", type=Path, metavar="DUTY.pem")
    keygen.set_defaults(run=duty_keygen)
    run = _add(inner, "run", "grant duty until told to stop", "Look at every gateway each second, witness, grant.")
    _add_fresh(run)
    run.add_argument("--log-json", action="store_true", help="log JSON lines")
    run.set_defaults(run=duty_run)
    grant = _add(inner, "grant", "grant once", "Grant once, for one length, where no officer runs.")
    grant.add_argument("--once", action="store_true", required=True, help="said, so that nobody takes it for `run`")
    _add_fresh(grant)
    _add_wait(grant)
    grant.set_defaults(run=duty_grant)
    retire = _add(
        inner,
        "retire",
        "have a boot sign nothing new any more",
        "Retire the boot behind a gateway, for an upgrade or a planned fail-over, and wait until its own signature"
        " says so. A running officer is asked to; where none runs, this does it.",
    )
    retire.add_argument("--gateway", metavar="NAME", help="as in the configuration (default: the holder's)")
    _add_wait(retire)
    retire.set_defaults(run=duty_retire)
    status = _add(inner, "status", "who holds duty", "Show the state. Exit code 0 if a boot holds duty now, else 1.")
    status.set_defaults(run=duty_status)
    for each in (grant, retire, status):
        each.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add(inner: Any, name: str, text: str, description: str) -> argparse.ArgumentParser:  # noqa: ANN401 - as above
    parser: argparse.ArgumentParser = inner.add_parser(name, help=text, description=description)
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="TOML")
    return parser


def _add_fresh(parser: argparse.ArgumentParser) -> None:
    text = "this deployment has no history: the first boot counts from nothing (refused where there is one)"
    parser.add_argument("--fresh", action="store_true", help=text)


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", type=float, default=_WAIT_S, metavar="SECONDS", help="how long (default 60)")


def duty_keygen(arguments: argparse.Namespace) -> int:
    """Make a key."""
    try:
        print_lines([new_key(arguments.file)])
    except OSError as error:
        raise UsageError(str(error)) from None
    note(f"{arguments.file}: the private key; the line on stdout is the public one")
    return DONE


def duty_run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT: 0. The state held or lost: 1."""
    config = _config(arguments.config)
    with _fresh_or_usage():
        return asyncio.run(_run(config, _reporter(as_json=arguments.log_json), fresh=arguments.fresh))


async def _run(config: Config, reporter: Reporter, *, fresh: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    officer = _officer(config, reporter, fresh=fresh)
    try:
        await officer.begin()
        reporter.line("begins", deployment=config.terms.deployment, gateways=len(config.targets))
        while not stop.is_set():
            await officer.round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), config.poll_s)
    except (Held, StateLost) as error:
        reporter.line("alarm", alarm="STATE_HELD" if isinstance(error, Held) else "STATE_LOST", text=str(error))
        return NO
    finally:
        await officer.close()
    reporter.line("ends", text="grants already given run out by themselves")
    return DONE


@contextlib.contextmanager
def _fresh_or_usage() -> Iterator[None]:
    try:
        yield
    except NotFresh as error:
        raise UsageError(str(error)) from None


def duty_grant(arguments: argparse.Namespace) -> int:
    """Grant once: 0 if the boot's own signature shows the grant in force."""
    config = _config(arguments.config)
    with _fresh_or_usage():
        done = asyncio.run(_until(config, granted, arguments.wait, fresh=arguments.fresh))
    return _said(arguments, _read(config), done=done)


def duty_retire(arguments: argparse.Namespace) -> int:
    """Retire: 0 once the boot's own signature says so."""
    config = _config(arguments.config)
    begun = time.monotonic()
    with contextlib.closing(_store(config)) as store:
        gateway, boot = _to_retire(store.read(), arguments.gateway, {each.name for each in config.targets})
        store.ask(gateway)
        try:
            done = asyncio.run(_until(config, lambda decision: _retired(decision.state, boot), arguments.wait))
        except Held:
            done = _wait(lambda: _retired(store.read(), boot), arguments.wait)
        store.done(gateway)
        state = store.read()
    if done:
        note(f"retired in {time.monotonic() - begun:.1f} s: it cancels and reads; a successor gets duty at once")
    return _said(arguments, state, done=done)


def duty_status(arguments: argparse.Namespace) -> int:
    """Show the state: 0 if a boot holds duty."""
    state = _read(_config(arguments.config))
    holder = state.boots.get(state.holder)
    done = holder is not None and not holder.retired and time.time_ns() < holder.witnessed.until
    return _said(arguments, state, done=done)


def _to_retire(state: State, gateway: str | None, known: set[str]) -> tuple[str, bytes]:
    holder = state.boots.get(state.holder)
    if gateway is None and holder is None:
        message = "no boot holds duty: nothing to retire"
        raise UsageError(message)
    name = gateway or (holder.gateway if holder else "")
    if name not in known:
        message = f"--gateway {name}: expected one of {', '.join(sorted(known))}"
        raise UsageError(message)
    found = [key for key, boot in state.boots.items() if boot.gateway == name and not boot.retired]
    if not found:
        message = f"no boot was seen behind {name}"
        raise UsageError(message)
    return name, max(found, key=lambda key: state.boots[key].witnessed.time)


def _retired(state: State, boot: bytes) -> bool:
    return boot in state.boots and state.boots[boot].retired


async def _until(config: Config, done: Callable[[Decision], bool], wait_s: float, *, fresh: bool = False) -> bool:
    officer = _officer(config, _reporter(as_json=False), fresh=fresh)
    try:
        await officer.begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not done(await officer.round()):  # noqa: ASYNC110 - asks others, who tell nobody
                    await asyncio.sleep(min(config.poll_s, 0.2))
                return True
    finally:
        await officer.close()
    return False


def _wait(done: Callable[[], bool], wait_s: float) -> bool:
    end = time.monotonic() + wait_s
    while not (found := done()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _config(path: Path) -> Config:
    try:
        return load(path)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _store(config: Config) -> Store:
    return open_store(config.state, config.terms.deployment)


def _read(config: Config) -> State:
    with contextlib.closing(_store(config)) as store:
        return store.read()


def _officer(config: Config, reporter: Reporter, *, fresh: bool) -> Officer:
    gateways = [
        Gateway(each.name, each.endpoint, config.pins, os.urandom, timeout_s=config.timeout_s)
        for each in config.targets
    ]
    return Officer(config, _store(config), gateways, time.time_ns, reporter, fresh=fresh)


def _reporter(*, as_json: bool) -> Reporter:
    def write(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    return Reporter(write, time.time_ns, as_json=as_json)


def _said(arguments: argparse.Namespace, state: State, *, done: bool) -> int:
    if arguments.json:
        print_json({"done": done, **_shown(state)})
    else:
        print_lines(_lines(state))
    return DONE if done else NO


def _shown(state: State) -> dict[str, Any]:
    return {
        "deployment": state.deployment,
        "sequence": state.sequence,
        "holder": state.holder.hex(),
        "boots": {key.hex(): _boot(boot) for key, boot in state.boots.items()},
    }


def _boot(boot: Boot) -> dict[str, Any]:
    return {
        "gateway": boot.gateway,
        "pcr0": boot.pcr0.hex(),
        "witnessed": {
            "seq": boot.witnessed.seq,
            "hash": boot.witnessed.hash.hex(),
            "time": boot.witnessed.time,
        },
        "granted": boot.grant.sequence if boot.grant else 0,
        "taken": boot.taken,
        "until": boot.until,
        "in_force_until": boot.witnessed.until,
        "retired": boot.retired,
        "forked": boot.forked,
    }


def _lines(state: State) -> list[str]:
    now = time.time_ns()
    lines = [f"deployment {state.deployment}: last number {state.sequence}"]
    for key, boot in state.boots.items():
        duty = "retired" if boot.retired else "forked" if boot.forked else _left(boot, now)
        mark = "*" if key == state.holder else " "
        lines.append(f"{mark} {key.hex()[:16]} behind {boot.gateway}: {duty}, receipt {boot.witnessed.seq} witnessed")
    return lines


def _left(boot: Boot, now: int) -> str:
    """By what its own signature shows: a grant that was sent may have been refused."""
    if now < boot.witnessed.until:
        return f"{(boot.witnessed.until - now) / _SECOND:.1f} s left"
    return "no duty: its grant was not seen in force" if now < boot.until else "no duty"
