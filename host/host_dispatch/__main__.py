"""``casemate-host --config FILE``: wires, serves, and drains on SIGTERM. Nothing else happens here."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from host_dispatch.api.server import BindError
from host_dispatch.application import Host
from host_dispatch.collector import Collector
from host_dispatch.config import Config, ConfigError, load
from host_dispatch.journal.records import JournalError
from host_dispatch.telemetry.exporter import CannotExport
from host_dispatch.telemetry.logs import start_logging
from host_dispatch.venues.registry import READERS
from host_dispatch.watchdog import Notifier

# The journal's thread waits at most this long for the interpreter lock of a busy event loop.
_SWITCH_SECONDS: Final = 0.0005


def main(arguments: list[str] | None = None) -> int:
    """Run the host; returns the exit code: 0 drained, 1 could not start, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="casemate-host", description="Casemate's untrusted half.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file (docs/host.md)")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config, {name: [b.name for b in reader.buckets] for name, reader in READERS.items()})
    except ConfigError as error:
        for mistake in error.mistakes:
            print(f"casemate-host: {mistake}", file=sys.stderr)
        return 2
    start_logging(config.log_level)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: Config) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    collector = Collector(loop)
    host = Host(config, collector=collector)
    try:
        await host.start()
    except (JournalError, BindError, CannotExport) as error:
        print(f"casemate-host: {error}", file=sys.stderr)
        return 1
    collector.start()
    print(f"READY {json.dumps({'listen': host.listen})}", flush=True)
    notifier = Notifier(os.environ, os.getpid())
    notifier.tell("READY=1")
    feeding = loop.create_task(notifier.feed(host.trouble))
    await stop.wait()
    feeding.cancel()
    notifier.tell("STOPPING=1", "STATUS=finishing what is under way")
    await host.stop()
    collector.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
