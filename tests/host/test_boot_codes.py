"""The host's ear for boot codes: the closed list, and nothing of what a stranger sends."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from enclave_signer.boot_codes import MARK, BootCode
from host_dispatch import boot_codes

if TYPE_CHECKING:
    from pathlib import Path


def test_the_hosts_list_is_the_enclaves() -> None:
    assert dict(boot_codes.NAMES) == {code.value: code.name for code in BootCode}
    assert boot_codes.MARK == MARK


async def sent(folder: Path, message: bytes) -> None:
    line = socket.socket(socket.AF_UNIX)
    line.bind(str(folder / "codes.sock"))
    server = await boot_codes.start(line)
    assert server is not None
    reader, writer = await asyncio.open_unix_connection(folder / "codes.sock")
    writer.write(message)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    server.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(("code", "level"), [(BootCode.RUNNING, logging.INFO), (BootCode.QUORUM, logging.ERROR)])
async def test_a_code_is_logged_by_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: BootCode, level: int
) -> None:
    caplog.set_level(logging.INFO)
    await sent(tmp_path, bytes((MARK, code)))
    (record,) = [each for each in caplog.records if each.name == "casemate.host.boot"]
    assert record.levelno == level
    assert vars(record)["fields"] == {"code": code.value, "name": code.name, "cid": 0}


@pytest.mark.parametrize(("address", "cid"), [((17, 1055), 17), ("", 0), (None, 0), (("127.0.0.1", 80), 0)])
def test_whose_code_it_is_is_the_kernels_word(address: object, cid: int) -> None:
    assert boot_codes._peer(address) == cid


@pytest.mark.parametrize("message", [b"", b"\xb7", b"\xb7\x77", b"\x01\x01", b"secret text"])
async def test_anything_else_is_no_code_and_its_bytes_are_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, message: bytes
) -> None:
    await sent(tmp_path, message)
    (record,) = [each for each in caplog.records if each.name == "casemate.host.boot"]
    assert record.getMessage() == "what came to the port of boot codes is no code"
    assert "fields" not in vars(record)


async def test_a_port_that_is_taken_is_a_warning_and_no_failure(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken() -> socket.socket:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(boot_codes, "_bound", taken)
    assert await boot_codes.start() is None
    assert "not heard" in caplog.text
