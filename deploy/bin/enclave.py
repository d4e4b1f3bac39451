"""Starts the enclave and stays with it: the unit's main process.

The image's measurement is compared with what was deployed before it is started, and the enclave's flags afterwards.
That protects from a mix-up, not from root on this machine: who must not be deceived verifies the attestation.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from host_dispatch.watchdog import Notifier

_LOOK_S = 5.0
_NAME = "casemate"
_NEEDED = frozenset({"pcr0", "pcr1", "pcr2"})


class Refused(Exception):
    """Image or enclave is not the one that was deployed; the text says why."""


def nitro(*words: str) -> Any:  # noqa: ANN401 - JSON
    """Call nitro-cli and read its answer, before which it prints texts; raises Refused with its own words."""
    done = subprocess.run(["nitro-cli", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        message = f"nitro-cli {words[0]}: {(done.stderr or done.stdout).strip()[-500:]}"
        raise Refused(message)
    start = min((at for at in (done.stdout.find("{"), done.stdout.find("[")) if at >= 0), default=0)
    return json.loads(done.stdout[start:])


def check_image(described: dict[str, Any], expected: dict[str, str]) -> None:
    """Compare what nitro-cli measures with what was deployed; raises Refused."""
    if described.get("CheckCRC") is not True:
        raise Refused("the image is damaged: its checksum is wrong")
    # Settings that name nothing would let every image through.
    if not expected.keys() >= _NEEDED:
        message = f"the settings' measurement lacks {', '.join(sorted(_NEEDED - expected.keys()))}"
        raise Refused(message)
    measured = described.get("Measurements", {})
    for name, wanted in sorted(expected.items()):
        found = measured.get(name.upper(), "none")
        if found != wanted:
            message = f"{name.upper()} of the image is {found}, deployed was {wanted}"
            raise Refused(message)
    if "pcr8" in expected and described.get("SignatureCheck") is not True:
        raise Refused("the image's signature is wrong")


def check_enclave(found: dict[str, Any]) -> None:
    """Refuse an enclave that is not running, or that runs in debug mode."""
    if found.get("State") != "RUNNING":
        message = f"the enclave is {found.get('State')}"
        raise Refused(message)
    if found.get("Flags") != "NONE":
        message = f"the enclave has flags {found.get('Flags')}: a debug enclave's memory is open to this machine"
        raise Refused(message)


def ours() -> dict[str, Any]:
    """Return the enclave of our name; raises Refused if there is none."""
    for each in nitro("describe-enclaves"):
        if each.get("EnclaveName") == _NAME:
            return dict(each)
    raise Refused("the enclave has ended")


def start(settings: dict[str, Any], image: str) -> None:
    """Check and start; an enclave that an earlier process left behind is ended first. Raises Refused."""
    check_image(nitro("describe-eif", "--eif-path", image), settings["measurement"])
    stop()
    nitro(
        "run-enclave", "--eif-path", image, "--enclave-name", _NAME, "--enclave-cid", str(settings["enclave_cid"]),
        "--cpu-count", str(settings["enclave_cpus"]), "--memory", str(settings["enclave_memory_mib"]),
    )  # fmt: skip
    check_enclave(ours())


def stop() -> None:
    """End the enclave of our name, if there is one."""
    if any(each.get("EnclaveName") == _NAME for each in nitro("describe-enclaves")):
        nitro("terminate-enclave", "--enclave-name", _NAME)


def watch(notifier: Notifier, end: threading.Event, every: float) -> None:
    """Feed the watchdog while the enclave runs, until ``end``; raises Refused when it does not."""
    while not end.is_set():
        check_enclave(ours())
        notifier.tell("STATUS=running", "WATCHDOG=1")
        end.wait(every)


def main(settings: Path, image: str) -> int:
    """Start, watch, and end on SIGTERM: 0; 1 if the enclave is refused or ends by itself."""
    notifier, end = Notifier(os.environ, os.getpid()), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    try:
        start(json.loads(settings.read_text()), image)
        notifier.tell("READY=1")
        watch(notifier, end, _LOOK_S)
        notifier.tell("STOPPING=1")
        stop()
    except Refused as error:
        sys.stderr.write(f"casemate enclave: {error}\n")
        # Nothing that was refused goes on running.
        with contextlib.suppress(Refused):
            stop()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
