"""Sends the units' log lines to CloudWatch, and a line of its own: which units are down, how full the journal is.

Its absence is an alarm too (terraform/modules/observability). A cursor says what was sent; what could not be sent is
sent by the next run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

UNITS = ("casemate-host.service", "casemate-enclave.service", "casemate-drain.service")
_JOURNAL = "/var/lib/casemate"
_GIB = 1 << 30
# CloudWatch's own: 1 MiB, 10,000 events and 24 hours a call, 26 bytes counted for each.
_BATCH_BYTES = 900_000
_BATCH_LINES = 5_000
_BATCH_MS = 24 * 3_600_000
_EVENT_BYTES = 26
_LINE_BYTES = 200_000
# After a long silence the newest lines are what matters.
_LINES_A_RUN = 20_000


def event(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Turn one entry of `journalctl -o json` into one of CloudWatch's; None if it says nothing.

    A service's own JSON stays as it is; texts of systemd and nitro-cli are wrapped.
    """
    text = entry.get("MESSAGE")
    if not isinstance(text, str) or not text:
        return None
    if not text.startswith("{"):
        text = json.dumps({"unit": entry.get("_SYSTEMD_UNIT") or entry.get("UNIT", ""), "message": text})
    return {
        "timestamp": int(entry["__REALTIME_TIMESTAMP"]) // 1000,
        "message": text.encode()[:_LINE_BYTES].decode(errors="ignore"),
    }


def batches(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Sort by time and cut into what CloudWatch takes at once."""
    made: list[list[dict[str, Any]]] = []
    room = 0
    for each in sorted(events, key=lambda one: int(one["timestamp"])):
        size = len(each["message"].encode()) + _EVENT_BYTES
        is_full = not made or size > room or len(made[-1]) == _BATCH_LINES
        if is_full or int(each["timestamp"]) - int(made[-1][0]["timestamp"]) >= _BATCH_MS:
            made.append([])
            room = _BATCH_BYTES
        made[-1].append(each)
        room -= size
    return made


def own_line(states: dict[str, str], free_bytes: int, now_ms: int) -> dict[str, Any]:
    """Return the sign of life."""
    down = sorted(unit for unit, state in states.items() if state != "active")
    line = {"event": "report", "units_down": len(down), "down": down, "journal_free_gib": round(free_bytes / _GIB, 2)}
    return {"timestamp": now_ms, "message": json.dumps(line)}


def _states() -> dict[str, str]:
    asked = subprocess.run(["systemctl", "is-active", *UNITS], check=False, capture_output=True, text=True)
    words = asked.stdout.split()
    return dict(zip(UNITS, words + ["unknown"] * (len(UNITS) - len(words)), strict=False))


def _entries(cursor: Path) -> tuple[list[dict[str, Any]], str]:
    """Return what journald has after the cursor, and the new cursor."""
    after = [f"--after-cursor={cursor.read_text()}"] if cursor.exists() else ["--boot"]
    units = [f"--unit={unit}" for unit in UNITS]
    asked = subprocess.run(
        ["journalctl", "--output=json", "--no-pager", f"--lines={_LINES_A_RUN}", *after, *units],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    entries = [json.loads(line) for line in asked.stdout.splitlines() if line.startswith("{")]
    return entries, entries[-1]["__CURSOR"] if entries else ""


def send(settings: dict[str, str], stream: str, batch: list[dict[str, Any]]) -> None:
    """Put one batch; raises CalledProcessError."""
    place = ["--region", settings["region"], "--log-group-name", settings["log_group"], "--log-stream-name", stream]
    # There already, usually.
    subprocess.run(["aws", "logs", "create-log-stream", *place], check=False, capture_output=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(batch, file)
        file.flush()
        subprocess.run(
            ["aws", "logs", "put-log-events", *place, "--log-events", f"file://{file.name}"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def main(settings: Path) -> int:
    """Send what is new; 1 if CloudWatch took not all of it."""
    wanted = json.loads(settings.read_text())
    cursor = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/casemate-report"), "cursor")
    entries, newest = _entries(cursor)
    space = os.statvfs(_JOURNAL)
    events = [made for entry in entries if (made := event(entry))]
    events.append(own_line(_states(), space.f_bavail * space.f_frsize, time.time_ns() // 1_000_000))
    try:
        for batch in batches(events):
            send(wanted, Path("/etc/machine-id").read_text().strip(), batch)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"casemate report: {error}\n")
        return 1
    if newest:
        cursor.write_text(newest)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
