"""The boot codes are one closed set, in Python, in C and in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from enclave_signer.boot_codes import MARK, BootCode

ROOT = Path(__file__).resolve().parent.parent.parent
INIT = ROOT / "enclave" / "init"


def test_the_inits_codes_are_the_enclaves() -> None:
    header = (INIT / "boot_codes.h").read_text(encoding="ascii")
    said = {
        name: int(value, 16) for name, value in re.findall(r"^    ([A-Z_]+) = (0x[0-9A-F]{2}),$", header, re.MULTILINE)
    }
    assert said == {code.name: code.value for code in BootCode}
    assert f"#define MARK 0x{MARK:02X}" in (INIT / "init.c").read_text(encoding="ascii")


def test_the_init_uses_every_code() -> None:
    source = (INIT / "init.c").read_text(encoding="ascii")
    for code in BootCode:
        assert re.search(rf"(give_up\(|tell\(|return |= ){code.name}\b", source), code


def test_the_runbook_explains_every_code_once() -> None:
    rows = re.findall(
        r"^\| `0x([0-9A-F]{2})` \| ([A-Z_]+) \|", (ROOT / "docs" / "operate.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted((name, int(value, 16)) for value, name in rows) == sorted(
        (code.name, code.value) for code in BootCode
    )


def test_a_code_says_nothing_but_itself() -> None:
    """Two bytes leave, and no other call of the init sends anything but the heartbeat's one."""
    source = (INIT / "init.c").read_text(encoding="ascii")
    assert re.findall(r"\b(?:send|write|sendto|sendmsg|printf|dprintf|puts|syslog|perror)\(([^)]*)", source) == [
        "line, said, sizeof said, MSG_NOSIGNAL",
        "line, &byte, 1, MSG_NOSIGNAL",
        "report[1], &failed, 1",
    ]


def test_exit_statuses_of_the_enclave_are_none_of_pythons() -> None:
    assert {BootCode.QUORUM, BootCode.LISTEN}.isdisjoint(range(3))
    assert all(code < 126 for code in BootCode)


def test_the_init_compiles_without_a_warning_to_the_same_bytes(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not list(Path("/usr/lib").glob("*/libc.a")):
        pytest.skip("no C compiler with a static C library on this machine")
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-Wl,--build-id=none")
    for name in ("one", "other"):
        subprocess.run([compiler, *flags, "-o", tmp_path / name, INIT / "init.c"], check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_without_a_console_no_socket_of_the_program_becomes_its_stderr(tmp_path: Path) -> None:
    """A kernel that finds no console starts the init without descriptors; the next one opened must not be 0, 1 or 2."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    harness = tmp_path / "harness.c"
    harness.write_text(
        f'#define main pid_1\n#include "{INIT / "init.c"}"\n#undef main\n'
        "int main(void) {\n"
        "    (void)pid_1;\n"
        "    for (int file = 0; file < 3; file++)\n"
        "        close(file);\n"
        "    return fill_streams() == 0 ? socket(AF_UNIX, SOCK_STREAM, 0) : 99;\n"
        "}\n"
    )
    subprocess.run([compiler, "-std=c11", "-o", tmp_path / "harness", harness], check=True)
    assert subprocess.run([tmp_path / "harness"], check=False).returncode == 3
