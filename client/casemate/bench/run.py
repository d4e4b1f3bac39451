"""What is measured, in which order. Everything runs against the stand-ins, started by exec."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.bench import echo, load
from casemate.calls import Calls
from casemate.demo.stack import DemoStack, StackError
from casemate.demo.summary import percentile
from casemate.gateway import Gateway
from casemate.models import WaitFor

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.demo.stack import Market

_SECOND: Final = 1_000_000_000
IN_FLIGHT: Final = (1, 8, 64)
# What the floor echoes: the sizes of a typical request and reply on this wire.
_REPLY_BYTES: Final = 160
_SIGNED_BYTES: Final = 220


async def run(scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Measure all of it; ``scale`` multiplies the number of orders."""
    found: dict[str, Any] = {"openssl": ssl.OPENSSL_VERSION, "python": sys.version.split()[0]}
    note("handle in one process, beside bare hmac.digest")
    found["handle"] = await _handle(scale)
    note("stack, rate limits as published: to the signed reply")
    async with DemoStack() as stack:
        found["floor"] = await _floor(stack, scale)
        found["memory_kib"] = {"before": _memory(stack)}
        found["signed"] = await _signed(stack, scale, note)
        found["memory_kib"]["after"] = _memory(stack)
        found["gc"] = await _gc(stack)
    note("stack, rate limits lifted: to the venue's acknowledgement")
    async with DemoStack(("--no-rate-limits",)) as stack:
        found["acknowledged"] = await _acknowledged(stack, scale, note)
    _ratios(found)
    return found


async def _handle(scale: float) -> dict[str, Any]:
    orders = str(max(int(5_000 * scale), 200))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "casemate_mock", "bench-handle", "--orders", orders),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise StackError(f"the measurement of handle failed:\n{errors.decode(errors='replace')[-2000:]}")
    return dict(json.loads(output))


async def _floor(stack: DemoStack, scale: float) -> dict[str, Any]:
    order = next(load.orders(stack.markets()))
    sealer = stack.profile(stack.engine).sealer()
    async with Gateway(stack.gateway, sealer) as gateway:
        await gateway.open_session()
    request = Calls(sealer, time.time_ns).submit(order, WaitFor.SIGNED).request
    with tempfile.TemporaryDirectory(prefix="casemate-") as directory:
        path = Path(directory) / "echo.sock"
        times = await echo.measure(path, len(request), _REPLY_BYTES, max(int(5_000 * scale), 500))
    digests = _digests()
    return {
        "request_bytes": len(request),
        "reply_bytes": _REPLY_BYTES,
        "echo_us": {name: round(percentile(times, name) / 1_000, 1) for name in load.PERCENTILES},
        "hmac_us": round(percentile(digests, "p50") / 1_000, 2),
    }


def _digests() -> list[int]:
    key, message = b"k" * 64, b"m" * _SIGNED_BYTES
    times = []
    for _ in range(2_000):
        start = time.perf_counter_ns()
        hmac.digest(key, message, hashlib.sha256().name)
        times.append(time.perf_counter_ns() - start)
    return sorted(times)


def _hmac_markets(stack: DemoStack) -> list[Market]:
    return [market for market in stack.markets() if market.venue in {"binance", "binanceusdm", "bybit", "okx"}]


async def _signed(stack: DemoStack, scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    make = load.orders(_hmac_markets(stack))
    results: dict[str, Any] = {}
    # Short-lived: most are never sent, as the venues' published rate limits allow few a second.
    sealer = stack.profile(stack.engine).sealer()
    async with Gateway(stack.gateway, sealer, validity_ns=_SECOND) as gateway:
        await gateway.open_session()
        await load.keep_in_flight(lambda order: gateway.submit(order, wait_for=WaitFor.SIGNED), make, 300, 8)
        for in_flight in IN_FLIGHT:
            note(f"  unary, {in_flight} in flight")
            count = max(int((1_000 if in_flight == 1 else 3_000) * scale), 100)
            measured = await load.keep_in_flight(
                lambda order: gateway.submit(order, wait_for=WaitFor.SIGNED), make, count, in_flight
            )
            results[f"unary_{in_flight}"] = measured.as_json()
        for in_flight in IN_FLIGHT:
            note(f"  streamed, {in_flight} in flight")
            count = max(int((1_000 if in_flight == 1 else 4_000) * scale), 100)
            async with gateway.stream(wait_for=WaitFor.SIGNED) as stream:
                measured = await load.keep_in_flight(stream.submit, make, count, in_flight)
            results[f"streamed_{in_flight}"] = measured.as_json()
        note("  batches of 64, 4 in flight")
        measured = await load.batches(
            lambda batch: gateway.submit_batch(batch, wait_for=WaitFor.SIGNED),
            make,
            max(int(16_000 * scale), 640),
            size=64,
            in_flight=4,
        )
        results["batched_64x4"] = measured.as_json()
    return results


async def _acknowledged(stack: DemoStack, scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    make = load.orders(_hmac_markets(stack))
    results: dict[str, Any] = {}
    async with Gateway(stack.gateway, stack.profile(stack.engine).sealer(), timeout_s=30) as gateway:
        await gateway.open_session()
        await load.keep_in_flight(gateway.submit, make, 100, 8)
        for in_flight in IN_FLIGHT:
            note(f"  unary, {in_flight} in flight")
            count = max(int((400 if in_flight == 1 else 1_200) * scale), 100)
            results[f"unary_{in_flight}"] = (
                await load.keep_in_flight(gateway.submit, make, count, in_flight)
            ).as_json()
    return results


def _memory(stack: DemoStack) -> dict[str, int]:
    """Resident memory of each process of the stack, KiB (Linux, /proc/PID/status)."""
    sizes = {}
    for name, pid in stack.pids.items():
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                sizes[name] = int(line.split()[1])
    return sizes


async def _gc(stack: DemoStack) -> dict[str, Any]:
    async with Gateway(stack.gateway, stack.profile(stack.engine).sealer()) as gateway:
        status = await gateway.status()
    return {
        name: {
            "collections": pauses.collections,
            "total_us": round(pauses.total_ns / 1_000, 1),
            "longest_us": round(pauses.longest_ns / 1_000, 1),
        }
        for name, pauses in (("host", status.gc), ("enclave", status.enclave.gc))
    }


def _ratios(found: dict[str, Any]) -> None:
    floor = found["floor"]
    least = 2 * floor["echo_us"]["p50"] + floor["hmac_us"]
    floor["signed_reply_us"] = round(least, 1)
    for results in (found["signed"], found["acknowledged"]):
        for measured in results.values():
            if measured["us"]:
                measured["p50_over_floor"] = round(measured["us"]["p50"] / least, 1)
