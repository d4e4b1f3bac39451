"""deploy/bin: what runs beside the host, with stand-ins for nitro-cli, the metadata service and CloudWatch."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

BIN = Path(__file__).resolve().parents[2] / "deploy" / "bin"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deploy_{name}", BIN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cpus, drain, report = script("cpus"), script("drain"), script("report")


# --- processors


def test_the_enclave_gets_the_last_cores_and_the_first_keeps_the_interrupts() -> None:
    division = cpus.divide([[0], [1], [2], [3]], 2)
    assert division == ([0], [1], [2, 3])


def test_threads_of_one_core_are_never_divided() -> None:
    assert cpus.divide([[0, 4], [1, 5], [2, 6], [3, 7]], 2) == ([0, 4], [1, 2, 5, 6], [3, 7])
    with pytest.raises(cpus.CannotDivide, match="no whole number of cores"):
        cpus.divide([[0, 4], [1, 5], [2, 6], [3, 7]], 3)


def test_a_machine_without_a_core_for_the_host_is_too_small() -> None:
    with pytest.raises(cpus.CannotDivide, match="one for interrupts and one for the host"):
        cpus.divide([[0], [1], [2]], 2)


def test_the_host_s_processors_get_no_interrupts() -> None:
    files = cpus.files(cpus.divide([[0], [1], [2], [3], [4], [5]], 2), 4096)
    assert files["/etc/nitro_enclaves/allocator.yaml"] == "---\nmemory_mib: 4096\ncpu_pool: 4,5\n"
    assert files["/etc/systemd/system/casemate-host.service.d/10-cpus.conf"] == "[Service]\nCPUAffinity=1,2,3\n"
    assert files["/etc/sysconfig/irqbalance"] == "IRQBALANCE_BANNED_CPULIST=1,2,3\n"


def test_cores_are_read_as_the_kernel_lists_them(tmp_path: Path) -> None:
    for number, text in enumerate(("0-1", "0-1", "2,3", "2,3")):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{text}\n")
    assert cpus.cores_of(tmp_path) == [[0, 1], [2, 3]]


# --- the enclave

PCRS = {"pcr0": "a" * 96, "pcr1": "b" * 96, "pcr2": "c" * 96}
IMAGE = {"CheckCRC": True, "SignatureCheck": True, "Measurements": {name.upper(): pcr for name, pcr in PCRS.items()}}
RUNNING = {"EnclaveName": "casemate", "State": "RUNNING", "Flags": "NONE"}
# Answers from files beside it, writes down what it was asked, and has an enclave from run-enclave to terminate-enclave.
NITRO = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(" ".join(sys.argv[1:]) + "\\n")
word, running = sys.argv[1], here / "running"
if word == "run-enclave":
    running.write_text((here / "enclave.json").read_text())
    print("Start allocating memory...\\nStarted enclave with enclave-cid: 16")
if word == "terminate-enclave":
    running.unlink()
if word == "describe-enclaves":
    print("[" + running.read_text() + "]" if running.exists() else "[]")
else:
    print((here / "image.json").read_text() if word == "describe-eif" else "{{}}")
"""


class Nitro:
    """A nitro-cli on PATH, and the service manager's socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "nitro-cli"
        program.write_text(NITRO.format(python=sys.executable))
        program.chmod(0o755)
        self.answers(IMAGE, RUNNING)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify.sock"))
        self.manager.settimeout(20)
        settings = {"enclave_cid": 16, "enclave_cpus": 2, "enclave_memory_mib": 4096, "measurement": PCRS}
        (folder / "install.json").write_text(json.dumps(settings))

    def answers(self, image: dict[str, Any], enclave: dict[str, Any]) -> None:
        (self.folder / "image.json").write_text(json.dumps(image))
        (self.folder / "enclave.json").write_text(json.dumps(enclave))

    def start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "NOTIFY_SOCKET": str(self.folder / "notify.sock"),
        }
        return subprocess.Popen(
            [sys.executable, BIN / "enclave.py", self.folder / "install.json", "enclave.eif"],
            stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def refused(self) -> str:
        process = self.start()
        said = process.communicate(timeout=20)[1]
        assert process.returncode == 1
        return said

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def nitro(tmp_path: Path) -> Iterator[Nitro]:
    made = Nitro(tmp_path)
    yield made
    made.manager.close()


def test_the_enclave_is_measured_started_without_debug_watched_and_ended(nitro: Nitro) -> None:
    process = nitro.start()
    assert nitro.manager.recv(1024) == b"READY=1"
    assert nitro.manager.recv(1024) == b"STATUS=running\nWATCHDOG=1"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stderr is not None
    process.stderr.close()
    asked = nitro.asked()
    assert asked[0] == "describe-eif --eif-path enclave.eif"
    (run,) = [line for line in asked if line.startswith("run-enclave")]
    assert run.endswith("--enclave-cid 16 --cpu-count 2 --memory 4096")
    assert "debug" not in " ".join(asked)
    assert asked[-1] == "terminate-enclave --enclave-name casemate"


def test_an_image_of_another_measurement_is_never_started(nitro: Nitro) -> None:
    other = {**IMAGE, "Measurements": {**IMAGE["Measurements"], "PCR0": "d" * 96}}  # type: ignore[dict-item]
    nitro.answers(other, RUNNING)
    assert f"PCR0 of the image is {'d' * 96}, deployed was {'a' * 96}" in nitro.refused()
    assert not any(line.startswith("run-enclave") for line in nitro.asked())


def test_a_damaged_image_is_never_started(nitro: Nitro) -> None:
    nitro.answers({**IMAGE, "CheckCRC": False}, RUNNING)
    assert "the image is damaged" in nitro.refused()
    assert not any(line.startswith("run-enclave") for line in nitro.asked())


def test_settings_without_a_measurement_start_nothing(nitro: Nitro) -> None:
    settings = json.loads((nitro.folder / "install.json").read_text())
    (nitro.folder / "install.json").write_text(json.dumps({**settings, "measurement": {}}))
    assert "the settings' measurement lacks pcr0, pcr1, pcr2" in nitro.refused()
    assert not any(line.startswith("run-enclave") for line in nitro.asked())


def test_a_debug_enclave_is_refused(nitro: Nitro) -> None:
    nitro.answers(IMAGE, {**RUNNING, "Flags": "DEBUG_MODE"})
    assert "DEBUG_MODE" in nitro.refused()
    assert nitro.asked()[-1] == "terminate-enclave --enclave-name casemate"


def test_an_enclave_that_ends_ends_its_service(nitro: Nitro) -> None:
    nitro.answers(IMAGE, {**RUNNING, "State": "TERMINATING"})
    assert "the enclave is TERMINATING" in nitro.refused()


# --- the drain


class Metadata(BaseHTTPRequestHandler):
    """Version 2 of the metadata service: no token, no answer."""

    def do_PUT(self) -> None:
        self._say("token" if self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") else "")

    def do_GET(self) -> None:
        known = self.path == "/latest/meta-data/instance-id" and self.headers.get("X-aws-ec2-metadata-token") == "token"
        self._say("i-1" if known else "")

    def _say(self, text: str) -> None:
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_the_metadata_service_is_asked_with_a_token() -> None:
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        assert drain.metadata("instance-id", base) == "i-1"
        assert drain.metadata("autoscaling/target-lifecycle-state", base) == ""
    finally:
        server.shutdown()
        server.server_close()


def test_the_drain_waits_until_the_group_wants_the_instance_gone() -> None:
    states = ["", "InService", "Terminated"]
    pauses: list[float] = []
    drain.wait(lambda _: states.pop(0), pauses.append)
    assert (states, len(pauses)) == ([], 2)


def test_the_host_stops_before_its_enclave_and_both_before_the_instance_goes() -> None:
    ran: list[list[str]] = []
    drain.drain({"region": "r", "group": "casemate-main", "drain_hook": "drain"}, "i-1", ran.append)
    assert [command[:3] for command in ran] == [
        ["systemctl", "stop", "casemate-host.service"],
        ["systemctl", "stop", "casemate-enclave.service"],
        ["systemctl", "start", "casemate-report.service"],
        ["aws", "autoscaling", "complete-lifecycle-action"],
    ]


# --- the report


def test_a_service_s_json_stays_and_other_texts_are_wrapped() -> None:
    stamped = {"__REALTIME_TIMESTAMP": "1700000000123456", "_SYSTEMD_UNIT": "casemate-host.service"}
    own = report.event({**stamped, "MESSAGE": '{"level":"error"}'})
    assert own == {"timestamp": 1700000000123, "message": '{"level":"error"}'}
    other = report.event({**stamped, "MESSAGE": "Started."})
    assert json.loads(other["message"]) == {"unit": "casemate-host.service", "message": "Started."}
    # journald gives bytes that are no text as a list.
    assert report.event({**stamped, "MESSAGE": [1, 2]}) is None


def test_batches_are_in_order_of_time_and_small_enough() -> None:
    events = [{"timestamp": number, "message": "x" * 100_000} for number in range(30, 0, -1)]
    made = report.batches(events)
    assert [each["timestamp"] for batch in made for each in batch] == list(range(1, 31))
    assert all(sum(len(each["message"]) + 26 for each in batch) <= 1_048_576 for batch in made)
    assert all(batch for batch in made)


def test_no_batch_is_one_that_cloudwatch_would_refuse_for_ever() -> None:
    """It takes no batch of more than 24 hours: after a long outage the report would never get past the first."""
    day = 24 * 3_600_000
    events = [{"timestamp": hours * 3_600_000, "message": "x"} for hours in range(0, 100, 5)]
    made = report.batches(events)
    assert [each for batch in made for each in batch] == events
    assert all(batch[-1]["timestamp"] - batch[0]["timestamp"] < day for batch in made)
    # A long line is cut by its bytes, which are what is counted.
    cut = report.event({"__REALTIME_TIMESTAMP": "1000", "MESSAGE": "\N{EURO SIGN}" * 300_000})
    assert len(cut["message"].encode()) <= 200_000


def test_the_report_counts_what_is_down() -> None:
    line = json.loads(report.own_line({"a": "active", "b": "failed", "c": "unknown"}, 3 << 30, 7)["message"])
    assert line == {"event": "report", "units_down": 2, "down": ["b", "c"], "journal_free_gib": 3.0}
