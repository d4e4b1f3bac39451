"""Waits until the autoscaling group wants the instance gone, stops the host, and says so.

The host finishes what is under way; the group waits `drain_seconds` for the word and no longer. Orders that rest at a
venue stay: cancelling is the engine's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_METADATA = "http://169.254.169.254"
_LOOK_S = 5.0
_TIMEOUT_S = 2.0
_GOING = "Terminated"


def metadata(path: str, base: str = _METADATA) -> str:
    """Ask the instance's metadata service, version 2; "" if it has no answer."""
    try:
        asked = urllib.request.Request(  # noqa: S310 - a fixed address
            f"{base}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        )
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            token = answer.read().decode()
        request = urllib.request.Request(  # noqa: S310 - as above
            f"{base}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return str(answer.read().decode())
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return ""


def wait(look: Callable[[str], str], pause: Callable[[float], None]) -> None:
    """Return when the group wants this instance gone."""
    while look("autoscaling/target-lifecycle-state") != _GOING:
        pause(_LOOK_S)


def drain(settings: dict[str, str], instance: str, run: Callable[[list[str]], object]) -> None:
    """Stop the host, then the enclave, then let the instance go."""
    run(["systemctl", "stop", "casemate-host.service"])
    run(["systemctl", "stop", "casemate-enclave.service"])
    # The last words of both.
    run(["systemctl", "start", "casemate-report.service"])
    run([
        "aws", "autoscaling", "complete-lifecycle-action", "--region", settings["region"],
        "--auto-scaling-group-name", settings["group"], "--lifecycle-hook-name", settings["drain_hook"],
        "--instance-id", instance, "--lifecycle-action-result", "CONTINUE",
    ])  # fmt: skip


def main(settings: Path) -> int:
    """Wait, drain, end."""
    wait(metadata, time.sleep)
    sys.stderr.write("casemate drain: the group wants this instance gone\n")
    drain(
        json.loads(settings.read_text()),
        metadata("instance-id"),
        lambda command: subprocess.run(command, check=False),
    )
    # Restart=always would look again: there is nothing more to do.
    while True:
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
