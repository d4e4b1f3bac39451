"""PID 1 of the parent guest: calls by name what the driver asks for, one JSON line each way on the second serial port.

``{"call": "orders", "with": {"count": 10}}`` -> ``{"value": ...}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import termios
import traceback
import tty
from pathlib import Path
from typing import Any

from tools.vm.guest import system

_LINE = "/dev/ttyS1"


async def _serve() -> None:
    # Here: before the mounts there is no /proc, and some packages look into it.
    from tools.vm.guest.parent import Parent  # noqa: PLC0415

    parent = Parent(Path("/tmp/casemate"))  # noqa: S108 - the machine is ours alone
    with Path(_LINE).open("r+b", buffering=0) as line:
        tty.setraw(line.fileno(), termios.TCSANOW)
        line.write(_encoded({"value": "ready"}))
        while raw := await asyncio.to_thread(_read_line, line):
            line.write(_encoded(await _answer(parent, json.loads(raw))))


def _read_line(line: Any) -> bytes:  # noqa: ANN401 - a raw file
    collected = bytearray()
    while not collected.endswith(b"\n"):
        collected += line.read(4096)
    return bytes(collected)


async def _answer(parent: Any, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - imported late
    try:
        return {"value": await getattr(parent, asked["call"])(**asked["with"])}
    except Exception as error:  # noqa: BLE001 - the driver is told of whatever it was
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-3_000:]}


def _encoded(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def main() -> None:
    """Serve for ever: PID 1 must not end."""
    system.prepare()
    try:
        asyncio.run(_serve())
    finally:
        traceback.print_exc()
        sys.stdout.flush()
        system.power_off()


if __name__ == "__main__":
    main()
