"""S9 on the real wire: host, journal, kill -9, a gap that is filled again, and the audit of what is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from casemate import Gateway
from casemate.audit import witness
from casemate_mock.stack import Stack
from signer_api.v1 import signer_pb2
from tests.e2e.test_sessions import _order, _sealer

if TYPE_CHECKING:
    from pathlib import Path


def _count(journal: Path) -> int:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM receipts").fetchone()[0])


async def _until(journal: Path, receipts: int) -> None:
    for _ in range(200):
        if _count(journal) >= receipts:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(_count(journal))


async def _derive(enclave: Path, account: str, name: str, times: int) -> None:
    """Make decisions whose receipts no host hears of."""
    async with grpc.aio.insecure_channel(f"unix:{enclave}") as channel:
        call: Any = channel.unary_unary("/casemate.signer.v1.Signer/Call")
        derived = signer_pb2.DerivedRequest(account=account, client_order_id=name, operation=signer_pb2.OPERATION_QUERY)
        for _ in range(times):
            raw = await call(signer_pb2.EnclaveRequest(derived=derived).SerializeToString())
            assert signer_pb2.EnclaveReply.FromString(raw).judged.receipt


def _audit(*arguments: object) -> tuple[int, dict[str, Any]]:
    command = (sys.executable, "-m", "casemate", "audit", "verify", "--json", *map(str, arguments))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_s9_after_kill_9_the_journal_has_every_receipt_again(tmp_path: Path) -> None:
    async def play() -> dict[str, Any]:
        stack = Stack(tmp_path / "stack")
        try:
            ready = await stack.start()
            order = _order(ready)
            sealer = _sealer(ready, "demo-engine")
            async with Gateway(ready["gateway"], sealer) as gateway:
                first = await gateway.submit(order)
                assert first.receipt is not None
                host = stack._children[-1]
                os.kill(host.process.pid, signal.SIGKILL)
                await host.process.wait()
            stack._children.remove(host)
            enclave, journal = tmp_path / "stack" / "enclave.sock", tmp_path / "stack" / "journal.db"
            before = _count(journal)
            await _derive(enclave, order.account, order.client_order_id, 1500)
            config = tmp_path / "stack" / "host.toml"
            again = await stack._spawn("host", "-m", "host_dispatch", "--config", str(config))
            await again.ready_line()
            await _until(journal, first.receipt.sequence + 1 + 1500)
            assert before <= first.receipt.sequence + 1
            async with Gateway(ready["gateway"], sealer) as gateway:
                assert (await gateway.submit(_order(ready))).allowed
                await _until(journal, first.receipt.sequence + 2 + 1500)
                page = await gateway.receipts(b"", 0, 10)
                assert len(page.receipts) == 10
                assert page.document
                witness.append(tmp_path / "w", witness.Seen(time.time_ns(), page.head.head, page.head.signature))
            return ready
        finally:
            await stack.stop()

    _audited(tmp_path, asyncio.run(play())["attestation"])


def _audited(tmp_path: Path, told: dict[str, Any]) -> None:
    """Audit the journal with and without a witness, as an export, and with a hole in it."""
    pins = ("--root", told["root"], "--pcr", f"0={told['pcrs']['0']}")
    journal = tmp_path / "stack" / "journal.db"
    code, found = _audit(journal, *pins, "--witness", tmp_path / "w")
    assert (code, found["findings"]) == (0, [])
    assert found["host_claims"] == {"sent": 2, "without_receipt": 0, "in_unsigned_tail": 0, "signed_not_sent": 0}
    code, found = _audit(journal, *pins)
    assert (code, found["truncation"], found["findings"]) == (1, "not checked", [])
    export = tmp_path / "export.jsonl"
    command = (sys.executable, "-m", "casemate", "audit", "export", str(journal), "-o", str(export))
    subprocess.run(command, check=True, capture_output=True)
    code, found = _audit(export, *pins, "--witness", tmp_path / "w")
    assert (code, found["findings"]) == (0, [])
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("DELETE FROM receipts WHERE sequence = 700")
        connection.commit()
    code, found = _audit(journal, *pins, "--witness", tmp_path / "w")
    assert code == 1
    assert "gap" in {finding["problem"] for finding in found["findings"]}
