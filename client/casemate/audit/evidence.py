"""What there is to check, from wherever it comes: for each boot its receipts, heads and document."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Boot(NamedTuple):
    """One boot of an enclave, as somebody stored it. Nothing here is checked.

    ``receipts`` yields (number, bytes) in the order of the numbers that the store gives; ``stored`` is how many, and
    ``heads`` are (bytes, signature). ``since`` is when the host first met the boot, nanoseconds UTC. ``host`` tells
    the hosts of several journals apart.
    """

    key: bytes
    since: int
    document: bytes
    stored: int
    receipts: Callable[[], Iterator[tuple[int, bytes]]]
    heads: list[tuple[bytes, bytes]]
    host: int = 0


class Claim(NamedTuple):
    """An intent that the host says it sent to the venue: its own word."""

    account: str
    client_order_id: str
    operation: int
    time: int


class Evidence(NamedTuple):
    """Everything. ``sent``: by the SHA-256 of the intent, what the host says it sent; None where it says nothing."""

    boots: list[Boot]
    sent: Mapping[bytes, Claim] | None


def together(parts: Sequence[Evidence]) -> Evidence:
    """Return what several hosts stored: one witness sees them all."""
    boots = [boot._replace(host=host) for host, part in enumerate(parts) for boot in part.boots]
    claims = [part.sent for part in parts]
    sent: dict[bytes, Claim] = {}
    for each in claims:
        sent |= each or {}
    return Evidence(boots, None if None in claims else sent)
