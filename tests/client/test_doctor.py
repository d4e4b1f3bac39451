"""`casemate doctor`: each finding is true of the machine that it was made on, and a serious one is exit code 1."""

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from casemate.cli.main import main
from casemate.doctor import clock, memory, parent, placement, processor, run, sysctls, venues
from casemate.doctor.findings import Finding, Level
from casemate.doctor.machine import ClockState, Machine, clock_state, connect_ns
from casemate.doctor.placement import BadConfig, read_config

CPU = "/sys/devices/system/cpu"
SYNCHRONISED = ClockState(0, 0x2001, 1_500)
NITRO = {
    "/proc/stat": "cpu  10 0 10 80 0 0 0 0 0 0\n",
    "/sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
    "/sys/class/dmi/id/product_name": "c7i.2xlarge\n",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "/sys/class/ptp/ptp0/clock_name": "ena-ptp\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/cpuidle/state1/latency": "2\n",
    f"{CPU}/cpu0/cpuidle/state1/disable": "0\n",
    "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "4\n",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "0\n",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "/proc/swaps": "Filename Type Size Used Priority\n",
    "/proc/sys/kernel/core_pattern": "core\n",
    "/dev/nitro_enclaves": "",
    "/dev/vsock": "",
    **{f"/proc/sys/{each.name.replace('.', '/')}": f"{each.wanted}\n" for each in sysctls.SYSCTLS},
}


def a_machine(
    root: Path, changed: Mapping[str, str | None] | None = None, state: ClockState | None = SYNCHRONISED
) -> Machine:
    for path, text in (NITRO | dict(changed or {})).items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            file.write_text(text)
    return Machine(
        root, sleep=lambda _: None, clock=lambda: state, connect=lambda *_: 900_000, open_files=lambda: 1 << 20
    )


def levels(machine: Machine) -> dict[str, Finding]:
    found = run.examine(machine, None, lambda: True)
    return {each.check: each for each in found}


def test_a_machine_that_is_as_deploy_sets_it_up_has_nothing_to_mend(tmp_path: Path) -> None:
    found = levels(a_machine(tmp_path))
    assert {name for name, each in found.items() if each.level is not Level.OK} == {"config"}
    assert found["huge_pages"].text == "4096 MiB are reserved for enclaves"
    assert found["clock_hardware"].text == "ena-ptp"


@pytest.mark.parametrize(
    ("path", "text", "check", "level"),
    [
        ("/sys/class/dmi/id/product_name", "t3.large", "instance", Level.SERIOUS),
        ("/sys/class/dmi/id/product_name", "t4g.large", "instance", Level.SERIOUS),
        ("/sys/class/dmi/id/product_name", "trn1.2xlarge", "instance", Level.OK),
        ("/sys/class/dmi/id/sys_vendor", "QEMU", "instance", Level.UNKNOWN),
        ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "clock_source", Level.NOTE),
        (f"{CPU}/cpu1/cpufreq/scaling_governor", "powersave", "governor", Level.NOTE),
        (f"{CPU}/cpu0/cpuidle/state2/latency", "200", "sleep_states", Level.NOTE),
        ("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0", "huge_pages", Level.SERIOUS),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "transparent_huge_pages", Level.NOTE),
        ("/proc/swaps", "Filename Type Size\n/dev/sda2 partition 8", "swap", Level.NOTE),
        ("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P", "core_dumps", Level.NOTE),
        ("/proc/sys/kernel/core_pattern", "|/bin/false", "core_dumps", Level.OK),
        ("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "1", "sysctl:net.ipv4.tcp_slow_start_after_idle", Level.NOTE),
        ("/proc/sys/net/core/busy_poll", "100", "sysctl:net.core.busy_poll", Level.OK),
        ("/proc/sys/net/ipv4/tcp_keepalive_time", "60", "sysctl:net.ipv4.tcp_keepalive_time", Level.OK),
        ("/proc/sys/net/ipv4/tcp_keepalive_time", "7200", "sysctl:net.ipv4.tcp_keepalive_time", Level.NOTE),
        ("/proc/sys/fs/suid_dumpable", "1", "sysctl:fs.suid_dumpable", Level.SERIOUS),
        ("/proc/sys/vm/swappiness", None, "sysctl:vm.swappiness", Level.OK),
        ("/dev/nsm", "", "nsm", Level.SERIOUS),
    ],
)
def test_what_differs_from_that_is_found_and_comes_with_a_remedy(
    tmp_path: Path, path: str, text: str | None, check: str, level: Level
) -> None:
    found = levels(a_machine(tmp_path, {} if text is None else {path: text}))[check]
    assert found.level is level
    assert bool(found.remedy) == (level in {Level.NOTE, Level.SERIOUS})


@pytest.mark.parametrize("path", ["/dev/nitro_enclaves", "/dev/vsock"])
def test_without_its_devices_a_parent_is_none(tmp_path: Path, path: str) -> None:
    machine = a_machine(tmp_path)
    machine.path(path).unlink()
    assert levels(machine)[path.removeprefix("/dev/")].level is Level.SERIOUS


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (ClockState(5, 0, 0), Level.SERIOUS),
        (ClockState(0, 0x40, 0), Level.SERIOUS),
        (ClockState(0, 0, 100_001), Level.SERIOUS),
        (ClockState(0, 0, 100_000), Level.OK),
        (None, Level.UNKNOWN),
    ],
)
def test_an_unsynchronised_or_inexact_clock_is_serious(tmp_path: Path, state: ClockState | None, level: Level) -> None:
    assert next(clock.check(a_machine(tmp_path, state=state))).level is level


def test_steal_is_the_share_of_the_time_that_passed_while_it_looked(tmp_path: Path) -> None:
    machine = a_machine(tmp_path)

    def later(_: float) -> None:
        # 100 ticks later, three of which went to somebody else; guest times are not counted twice.
        machine.path("/proc/stat").write_text("cpu  40 0 40 117 0 0 0 3 30 0\n")

    machine.sleep = later
    found = next(processor.check(machine))
    assert (found.level, found.text[:5]) == (Level.SERIOUS, "3.0 %")


def test_the_doctor_looks_for_just_what_deploy_sets() -> None:
    text = (Path(__file__).parents[2] / "deploy" / "sysctl.d" / "60-casemate.conf").read_text()
    lines = [line.partition("=") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    settings = {name.strip(): value.strip() for name, _, value in lines}
    # Where dumps go is a check of its own.
    assert settings.pop("kernel.core_pattern") == "|/bin/false"
    assert settings == {each.name: str(each.wanted) for each in sysctls.SYSCTLS}


def test_a_machine_that_says_nothing_gets_no_clean_bill(tmp_path: Path) -> None:
    silent = Machine(tmp_path, sleep=lambda _: None, clock=lambda: None, open_files=lambda: 1 << 20)
    found = [*processor.check(silent), *memory.check(silent), *sysctls.check(silent), *clock.check(silent)]
    clean = {each.check for each in found if each.level is Level.OK}
    # Where nothing is offered there is nothing to set.
    assert clean == {"governor", "sleep_states", "open_files"}


def a_config(tmp_path: Path, listen: str = '"0.0.0.0:7000"', enclave: str = "vsock:16:5000") -> Path:
    path = tmp_path / "host.toml"
    path.write_text(
        f'listen = [{listen}]\nenclave = "{enclave}"\n[journal]\npath = "{tmp_path}/journal.db"\n'
        '[venues.binance]\nwarm = ["api.binance.com"]\nconnect = { "fapi.binance.com" = "http://127.0.0.1:9001" }\n'
    )
    return path


def test_engines_on_the_same_machine_are_a_serious_finding_that_can_be_accepted(tmp_path: Path) -> None:
    found = next(placement.check(read_config(a_config(tmp_path, '"unix:/run/casemate/gateway.sock"'))))
    assert (found.check, found.level) == ("co_location", Level.SERIOUS)
    assert run.accepted(found, ["co_location"]).level is Level.NOTE
    assert run.accepted(found, ["journal_space"]).level is Level.SERIOUS
    assert next(placement.check(read_config(a_config(tmp_path)))).level is Level.OK


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "127.8.0.1:50051", "[::1]:50051", "localhost:50051"])
def test_a_gateway_on_the_loopback_is_no_way_in_for_another_machine(tmp_path: Path, address: str) -> None:
    local = f'"unix:/run/casemate/gateway.sock", "{address}"'
    assert next(placement.check(read_config(a_config(tmp_path, local)))).level is Level.SERIOUS
    outside = f'{local}, "10.40.0.7:50051"'
    assert next(placement.check(read_config(a_config(tmp_path, outside)))).level is Level.OK


@pytest.mark.parametrize(
    ("listen", "level"), [("127.0.0.1:9464", Level.OK), ("0.0.0.0:9464", Level.NOTE), ("[::]:9464", Level.NOTE)]
)
def test_metrics_that_others_can_reach_are_noted(tmp_path: Path, listen: str, level: Level) -> None:
    path = a_config(tmp_path)
    path.write_text(f'{path.read_text()}[metrics]\nlisten = "{listen}"\n')
    assert {each.check: each.level for each in placement.check(read_config(path))}["metrics"] is level
    assert {each.check: each.level for each in placement.check(read_config(a_config(tmp_path)))}["metrics"] is Level.OK


def test_an_enclave_that_is_not_behind_vsock_is_serious(tmp_path: Path) -> None:
    found = {
        each.check: each.level for each in placement.check(read_config(a_config(tmp_path, enclave="unix:/e.sock")))
    }
    assert found["enclave_link"] is Level.SERIOUS


def test_a_journal_that_others_can_enter_is_noted_and_a_missing_place_is_not_passed_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = read_config(a_config(tmp_path))
    assert {each.check: each.level for each in placement.check(config)}["journal_mode"] is Level.NOTE
    tmp_path.chmod(0o700)
    assert {each.check: each.level for each in placement.check(config)}["journal_mode"] is Level.OK
    missing = config._replace(journal=str(tmp_path / "nowhere" / "journal.db"))
    assert {each.check: each.level for each in placement.check(missing)}["journal"] is Level.UNKNOWN


def test_a_venue_is_measured_where_the_host_connects_for_it(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    machine = a_machine(tmp_path)

    def connect(host: str, port: int) -> int:
        asked.append((host, port))
        return 30_000_000 if port == 443 else 200_000

    machine.connect = connect
    found = {each.check: each for each in venues.check(machine, read_config(a_config(tmp_path)).endpoints)}
    assert found["venue:api.binance.com"].level is Level.NOTE
    assert found["venue:fapi.binance.com"].text.startswith("round trip 0.20 ms")
    assert set(asked) == {("api.binance.com", 443), ("127.0.0.1", 9001)}


def test_a_venue_that_cannot_be_reached_is_serious(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        # Bound, but nobody listens.
        found = next(venues.check(Machine(tmp_path, connect=connect_ns), {"venue.test": f"http://127.0.0.1:{port}"}))
    assert (found.level, "refused" in found.text) == (Level.SERIOUS, True)


def test_a_real_connection_is_timed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert connect_ns("127.0.0.1", server.getsockname()[1]) > 0


def test_the_kernel_says_of_its_clock_what_it_says_to_others() -> None:
    # The libc's other name for the same call, and the time that it fills in beside.
    code = (
        "import ctypes, sys; b = ctypes.create_string_buffer(208); s = ctypes.CDLL(None).ntp_adjtime(b); "
        "sys.stdout.buffer.write(bytes([s]) + b.raw)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    state = clock_state()
    assert state is not None
    assert state.state == said[0]
    assert state.status == struct.unpack_from("i", said, 1 + 40)[0]


def test_bad_configurations_are_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadConfig, match="cannot be read"):
        read_config(tmp_path / "none.toml")
    for text, why in (("listen = [", "is no TOML"), ("listen = 3", "expected the file of casemate-host")):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(BadConfig, match=why):
            read_config(tmp_path / "bad.toml")
    assert main(["doctor", "--config", str(tmp_path / "bad.toml")]) == 2
    assert "casemate-host" in capsys.readouterr().err


def test_on_this_machine_the_exit_code_says_whether_anything_is_serious(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        f'listen = ["unix:/g.sock"]\nenclave = "unix:/e.sock"\n[journal]\npath = "{tmp_path}/journal.db"\n'
    )
    assert main(["doctor", "--json", "--config", str(config)]) == 1
    document = json.loads(capsys.readouterr().out)
    serious = {each["check"] for each in document["findings"] if each["level"] == "serious"}
    assert {"co_location", "enclave_link"} <= serious
    assert document["levels"]["serious"] == len(serious)
    assert ("vsock" in serious) == (not Path("/dev/vsock").exists())
    every = [option for name in serious for option in ("--accept", name)]
    assert main(["doctor", "--config", str(config), *every]) == 0
    assert main(["doctor", "--accept", "no_such_check"]) == 2


def test_whether_this_grpcio_speaks_vsock_is_tried_and_not_guessed() -> None:
    code = "import grpc; grpc.server(None).add_insecure_port('vsock:4294967295:4294967295')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert parent.grpc_speaks_vsock() == (said.returncode == 0)
