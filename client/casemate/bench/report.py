"""The benchmark's numbers as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from casemate.bench.load import PERCENTILES
from casemate.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Lay the findings out for people."""
    handle, floor = found["handle"], found["floor"]
    yield f"{found['openssl']}, Python {found['python']}"
    yield ""
    yield "handle in one process, distinct orders, interleaved with bare hmac.digest of the signed bytes"
    yield f"  handle p50 {handle['handle_us']['p50']} us, hmac.digest p50 {handle['hmac_us']['p50']} us"
    yield f"  ratio {handle['ratio_p50']} (target: at most {handle['target']})"
    yield (
        f"  of it session {handle['session_ratio_p50']}, receipt {handle['receipt_ratio_p50']}, together"
        f" {handle['session_and_receipt_ratio_p50']} (target: at most {handle['session_and_receipt_target']})"
    )
    yield ""
    yield "floor of a signed reply: two raw echoes over a unix socket and one bare hmac.digest"
    yield f"  echo p50 {floor['echo_us']['p50']} us, together {floor['signed_reply_us']} us"
    for title, results in (("to the signed reply", found["signed"]), ("to the acknowledgement", found["acknowledged"])):
        yield ""
        yield f"engine {title} (us; x: p50 over the floor)"
        yield from table(
            ("load", *PERCENTILES, "x", "per s", "allowed", "failed"), [_row(*item) for item in results.items()]
        )
    yield ""
    sent = sum(measured["orders"] for measured in found["signed"].values())
    for moment, sizes in found["memory_kib"].items():
        each = ", ".join(f"{name} {kib / 1024:.0f}" for name, kib in sizes.items())
        yield f"resident memory {moment} {sent:,} orders that stay open (MiB): {each}"
    for name, pauses in found["gc"].items():
        yield (
            f"garbage collector, {name}: {pauses['collections']} pauses, longest {pauses['longest_us']} us, "
            f"together {pauses['total_us']} us"
        )


def _row(name: str, measured: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(f"{measured['us'].get(one, 0):,.0f}" for one in PERCENTILES),
        f"{measured.get('p50_over_floor', 0):.1f}",
        f"{measured['per_second']:,}",
        str(measured["allowed"]),
        str(measured["failed"]),
    )
