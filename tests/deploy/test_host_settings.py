"""deploy/: what it sets is what the doctor looks for, each line with its reason, and each service held tightly."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from casemate.doctor.memory import _LEAST_OPEN_FILES
from casemate.doctor.sysctls import SYSCTLS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SERVICES = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))

# `systemd-analyze security --offline=true`, systemd 252: 0 is shut, 10 is open. Lower them when they fall.
EXPOSURE = {
    "casemate-agent.service": 1.3,
    "casemate-drain.service": 1.8,
    "casemate-duty.service": 1.3,
    "casemate-enclave.service": 1.5,
    "casemate-host.service": 1.4,
    "casemate-report.service": 1.6,
}


def settings(path: Path) -> dict[str, str]:
    """Return the last value of each key, and demand a comment somewhere above each block of them."""
    found: dict[str, str] = {}
    reason = ""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            reason = line
        elif not line.strip():
            reason = ""
        elif not line.startswith("[") and "=" in line:
            key, _, value = line.partition("=")
            assert reason or key == "summary", f"{path.name}: {key.strip()} without a reason"
            found[key.strip()] = value.strip()
    return found


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def test_the_doctor_s_settings_are_the_ones_that_are_set() -> None:
    ours = settings(DEPLOY / "sysctl.d" / "60-casemate.conf")
    assert {each.name: str(each.wanted) for each in SYSCTLS} == {
        name: ours.get(name) for name in (s.name for s in SYSCTLS)
    }


def test_each_line_of_tuned_has_its_reason() -> None:
    assert settings(DEPLOY / "tuned" / "casemate" / "tuned.conf")["transparent_hugepages"] == "madvise"


def test_every_setting_that_was_judged_wrong_for_this_is_not_set() -> None:
    ours = settings(DEPLOY / "sysctl.d" / "60-casemate.conf")
    wrong = {
        "fs.file-max",
        "net.ipv4.ip_local_port_range",
        "net.core.rmem_max",
        "net.core.wmem_max",
        "net.ipv4.tcp_fastopen",
    }
    assert not wrong & ours.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_dumps_its_memory_or_gains_rights(name: str) -> None:
    ours = unit(name)
    assert ours["LimitCORE"] == ["0"]
    assert ours["NoNewPrivileges"] == ["yes"]
    assert ours["CapabilityBoundingSet"] == [""]


def test_the_host_has_files_enough_and_time_to_drain() -> None:
    ours = unit("casemate-host.service")
    assert int(ours["LimitNOFILE"][0]) >= _LEAST_OPEN_FILES
    # drain_ms is 10 s unless host.toml says otherwise.
    assert int(ours["TimeoutStopSec"][0]) > 10


def test_no_watchdog_dumps_a_core() -> None:
    for name in SERVICES:
        ours = unit(name)
        assert ours.get("WatchdogSignal", ["SIGTERM"]) == ["SIGTERM"]
        if "WatchdogSec" in ours:
            assert ours["Type"] == ["notify"]
            assert "WatchdogSignal" in ours


def test_what_units_and_install_name_is_there() -> None:
    texts = [path.read_text() for path in sorted((DEPLOY / "systemd").iterdir())]
    texts.append((DEPLOY / "bin" / "casemate-install").read_text().replace('"$deploy"', "/opt/casemate/deploy"))
    named = {name for text in texts for name in re.findall(r"/opt/casemate/deploy/([\w./-]++)(?!\{)", text)}
    assert "bin/enclave.py" in named
    assert [name for name in sorted(named) if not (DEPLOY / name).exists()] == []


def test_install_is_bash() -> None:
    subprocess.run(["bash", "-n", DEPLOY / "bin" / "casemate-install"], check=True)


def part_of_install(begin: str, end: str, place: Path) -> str:
    """Return the lines between two of `casemate-install`, for files below ``place``."""
    text = (DEPLOY / "bin" / "casemate-install").read_text().partition(begin)[2].partition(end)[0]
    return "set -euo pipefail\numask 022\nsay() { :; }\n" + text.replace("/opt/", f"{place}/").replace(
        "/etc/", f"{place}/"
    )


def test_install_opens_settings_to_the_services_and_no_key(tmp_path: Path) -> None:
    modes = {"host.toml": 0o644, "bundles/a.bundle": 0o644, "keys/duty.pem": 0o600, "tls/key": 0o600}
    for name in modes:
        path = tmp_path / "casemate" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    script = part_of_install("comes to them as a credential.\n", "\nsay software", tmp_path)
    assert "find" in script
    subprocess.run(["bash", "-c", script], check=True)
    found = {name: (tmp_path / "casemate" / name).stat().st_mode & 0o777 for name in modes}
    assert found == modes


def test_install_makes_the_software_anew_if_it_was_cut_short_or_is_another_release_s(tmp_path: Path) -> None:
    """Otherwise a second run on the same machine would go on with half an installation, or an old one."""
    release, venv = tmp_path / "casemate" / "release", tmp_path / "casemate" / "venv"
    release.mkdir(parents=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    python = tools / "python3.11"
    pip = f"#!/bin/sh\n[ ! -e {tmp_path}/broken ] || exit 1\necho >>{tmp_path}/installed\n"
    python.write_text(
        f"#!/bin/sh\nmkdir -p {venv}/bin\ntouch {venv}/bin/casemate-host\nprintf '%s' '{pip}' >{venv}/bin/pip\n"
        f"chmod +x {venv}/bin/*\n"
    )
    python.chmod(0o755)
    script = f"release={release}\n" + part_of_install("\nsay software\n", "\nsay settings", tmp_path)

    def install(text: bytes) -> int:
        plain = BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as bundle:
            entry = tarfile.TarInfo("bundle.lock")
            entry.size = len(text)
            bundle.addfile(entry, BytesIO(text))
        (release / "host-bundle.tar.gz").write_bytes(gzip.compress(plain.getvalue(), mtime=0))
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script], env=environment, check=False).returncode

    def installed() -> int:
        return len((tmp_path / "installed").read_text().splitlines())

    (tmp_path / "broken").touch()
    assert install(b"one") != 0
    (tmp_path / "broken").unlink()
    assert (install(b"one"), installed()) == (0, 1)
    assert (install(b"one"), installed()) == (0, 1)
    assert (install(b"two"), installed()) == (0, 2)


def test_every_service_has_its_measure() -> None:
    assert sorted(EXPOSURE) == SERVICES


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine")
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_a_service_no_more_exposed_than_before(name: str) -> None:
    path = DEPLOY / "systemd" / name
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path],
        check=False,
        capture_output=True,
        text=True,
    )
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= EXPOSURE[name]


def test_the_page_on_deployment_names_files_that_are_there() -> None:
    root = DEPLOY.parent
    page = (root / "docs" / "deploy.md").read_text()
    named = set(re.findall(r"\b((?:deploy|terraform|examples)/[\w./-]*\w)", page))
    assert "deploy/bin/casemate-install" in named
    # On a host they lie under /opt/casemate, by the same names.
    assert [name for name in sorted(named) if not (root / name).exists()] == []
