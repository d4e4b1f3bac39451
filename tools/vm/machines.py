"""The emulated machines: started as processes of ours, and ended by their ids."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_POLITE: Final = ("nice", "-n", "15")
# One CPU: two, each a thread of the emulator, lose a virtqueue's notification now and then.
_CPU: Final = ("-accel", "tcg", "-cpu", "max", "-smp", "1")
_BARE: Final = ("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot")
_KERNEL: Final = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"
# Chosen for the emulated module: what a real parent's identity looks like.
MODULE_ID: Final = "i-0123456789abcdef0-enc0123456789abcdef"
PARENT_ID: Final = "i-0123456789abcdef0"
PARENT_ROLE: Final = "arn:aws:iam::000000000000:role/casemate-test"
_START_S: Final = 120.0
_CALL_S: Final = 300.0


def clock_options() -> str:
    """Return what a guest's kernel is told about its clock: its rate, and to believe in it.

    An emulator that has to wait for a processor drops ticks. A kernel that checks its clock by them finds the clock
    wrong: it waits for its first tick for ever, or loses seconds while it counts ticks instead.
    """
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^cpu MHz\s*: ([0-9]+)\.([0-9]{3})", processor, re.MULTILINE)
    rate = f" tsc_early_khz={found[1]}{found[2]}" if found else ""
    return f"no_timer_check tsc=reliable{rate}"


class GuestError(Exception):
    """A machine did not do what it should have; the text has the end of its console."""


class Process:
    """One process of ours, whose output is a file."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        """Start it."""
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*_POLITE, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float) -> int:
        """Wait for its end; raises GuestError if it does not come."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failure("does not end") from None

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def failure(self, what: str) -> GuestError:
        """Say what happened, with the end of its output."""
        tail = self.log.read_text(errors="replace")[-3_000:]
        return GuestError(f"{self.name} {what}; the end of {self.log}:\n{tail}")


def vsock_daemon(program: Path, folder: Path, cids: Sequence[int]) -> Process:
    """Join machines with these context ids by vsock; each attaches at ``folder/CID.sock``."""
    options = []
    for cid in cids:
        options += ["--vm", f"guest-cid={cid},socket={folder}/{cid}.sock,uds-path={folder}/{cid}.uds,groups=casemate"]
    daemon = Process("vhost-device-vsock", [program, *options], folder / "vsock.log")
    _wait_for(lambda: all((folder / f"{cid}.sock").exists() for cid in cids), daemon)
    return daemon


class ParentGuest(Process):
    """The parent: a PC with our agent as PID 1, called over its second serial port."""

    def __init__(self, qemu: Path, kernel: Path, ramdisk: Path, folder: Path, vsock: Path | None = None) -> None:
        """Boot, and wait until the agent answers. ``vsock``: where the daemon has its context id 3."""
        self._path = folder / "agent.sock"
        # Another guest may have been here before.
        self._path.unlink(missing_ok=True)
        environment = "PYTHONHOME=/usr PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PATH=/usr/bin HOME=/tmp"
        device: list[str] = []
        if vsock is not None:
            device = ["-chardev", f"socket,id=v,path={vsock}", "-device", "vhost-user-vsock-pci,chardev=v"]
        command: list[str | Path] = [
            *(qemu, *_CPU, *_BARE, "-m", "1280", "-M", "q35,memory-backend=mem", "-nic", "none"),
            *("-object", "memory-backend-memfd,id=mem,size=1280M,share=on"),
            *(
                "-serial",
                "stdio",
                "-chardev",
                f"socket,id=a,path={self._path},server=on,wait=off",
                "-serial",
                "chardev:a",
            ),
            *device,
            *("-kernel", kernel, "-initrd", ramdisk),
            *(
                "-append",
                f"{_KERNEL} {clock_options()} rdinit=/usr/bin/python3 {environment} -- -m tools.vm.guest.agent",
            ),
        ]
        super().__init__("parent", command, folder / "parent.log")
        _wait_for(self._path.exists, self)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(self._path))
        self._pending = b""
        self._read(_START_S)

    def call(self, name: str, /, **arguments: Any) -> Any:  # noqa: ANN401 - JSON values
        """Have the agent do something; raises GuestError with its words."""
        self._line.sendall(json.dumps({"call": name, "with": arguments}).encode() + b"\n")
        answer = self._read(_CALL_S)
        if "error" in answer:
            raise GuestError(f"{name}: {answer['error']}\n{answer.get('trace', '')}")
        return answer["value"]

    def _read(self, seconds: float) -> dict[str, Any]:
        self._line.settimeout(seconds)
        while b"\n" not in self._pending:
            try:
                piece = self._line.recv(65_536)
            except TimeoutError:
                raise self.failure("does not answer") from None
            if not piece:
                raise self.failure("ended")
            self._pending += piece
        line, self._pending = self._pending.split(b"\n", 1)
        return dict(json.loads(line))


def enclave(qemu: Path, image: Path, folder: Path, cid: int, *, clock: str = "") -> Process:
    """Boot an image on the emulated Nitro machine; ``clock`` is the time it is to wake up at, else now."""
    machine = f"nitro-enclave,acpi=on,vsock=c,id={MODULE_ID},parent-id={PARENT_ID},parent-role={PARENT_ROLE}"
    firmware = [word for name in ("seabios", "qemu") for word in ("-L", f"/usr/share/{name}")]
    command: list[str | Path] = [
        qemu,
        *(*_CPU, *_BARE, "-m", "768", "-M", machine, *firmware),
        *("-chardev", f"socket,id=c,path={folder}/{cid}.sock", "-kernel", image, "-serial", "stdio"),
        *(["-rtc", f"base={clock}"] if clock else []),
    ]
    return Process(f"enclave {cid}", command, folder / f"enclave-{cid}.log")


def _wait_for(condition: Any, process: Process) -> None:  # noqa: ANN401 - a function
    ends = time.monotonic() + _START_S
    while not condition():
        if time.monotonic() > ends or not process.alive():
            raise process.failure("did not start")
        time.sleep(0.05)
