"""What the readers of all venues share: rate limits as data, the frame of a reader, and the kinds of answer.

Rules:

* A reader is pure and total: no reply, whatever its bytes, makes it raise.
* Whatever is not recognised is of UNKNOWN outcome. A definite answer to a create needs evidence in the reply:
  an order's id, an error that the venue documents as a rejection, or a status that turns the request away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Protocol

from host_dispatch.outcome import WRITES, ErrorClass, Operation, OrderState, Reading, VenueOrderView
from host_dispatch.venues.fields import Json, UnreadableError, clean, retry_after_ms

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Bucket:
    """One rate limit of a venue.

    ``kind`` "window": at most ``limit`` units in each ``window_ms``. "leaky": ``limit`` is the capacity,
    which drains completely in ``window_ms``. ``scope`` says who shares it: every key behind one IP, one
    account (user, UID), or one account and instrument.
    """

    name: str
    limit: int
    window_ms: int
    scope: Literal["ip", "account", "instrument"]
    kind: Literal["window", "leaky"] = "window"


class Cost(NamedTuple):
    """What one request takes from one bucket."""

    bucket: str
    weight: int


class Usage(NamedTuple):
    """What a venue's headers say about a bucket; None where they do not. ``reset_ms`` is UTC epoch."""

    bucket: str
    used: int | None
    remaining: int | None
    limit: int | None = None
    reset_ms: int | None = None


class VenueReader(Protocol):
    """One venue's half in the host. ``buckets`` is what :meth:`cost` and :meth:`usage` speak of."""

    @property
    def name(self) -> str:
        """The venue's name, as policies write it."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The venue's rate limits."""

    def read(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """Say what a reply means; never raises. ``headers`` names compare without case."""

    def cost(self, operation: Operation) -> tuple[Cost, ...]:
        """Say what a request takes from which of ``buckets``."""

    def usage(self, headers: Mapping[str, str]) -> tuple[Usage, ...]:
        """Read the venue's own count of what is used; empty where it sends none."""


class Reply(NamedTuple):
    """One reply on its way through a reader; header names in lower case."""

    operation: Operation
    status: int
    headers: Mapping[str, str]
    body: bytes


class Reader(ABC):
    """The frame of a reader: a venue fills in :meth:`interpret`, which may raise UnreadableError."""

    name: str
    buckets: tuple[Bucket, ...]
    costs: ClassVar[Mapping[Operation, tuple[Cost, ...]]]

    def read(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """See :class:`VenueReader`."""
        reply = Reply(operation, status, {name.lower(): text for name, text in headers.items()}, body)
        try:
            return self.interpret(reply)
        except (UnreadableError, RecursionError):
            return unread(reply)

    def cost(self, operation: Operation) -> tuple[Cost, ...]:
        """See :class:`VenueReader`."""
        return self.costs.get(operation, ())

    def usage(self, headers: Mapping[str, str]) -> tuple[Usage, ...]:  # noqa: ARG002 - most venues send none
        """See :class:`VenueReader`."""
        return ()

    @abstractmethod
    def interpret(self, reply: Reply) -> Reading:
        """Read one reply; raises UnreadableError where it is not what the venue documents."""


# --- answers


def refusal(reply: Reply, error: ErrorClass, code: str, message: str) -> Reading:
    """Answer "the venue did not do it", or for UNKNOWN "nobody knows"."""
    state: OrderState | None = None
    if error is ErrorClass.UNKNOWN:
        state = OrderState.UNKNOWN if reply.operation in WRITES else None
    elif reply.operation is Operation.CREATE:
        state = OrderState.REJECTED
    return Reading(
        state=state,
        error=error,
        code=clean(code)[:64],
        message=clean(message),
        retry_after_ms=retry_after_ms(reply.headers),
    )


def unread(reply: Reply) -> Reading:
    """Answer for a reply that cannot be read: only the HTTP status is left to go by."""
    error = _BY_STATUS.get(reply.status, ErrorClass.UNKNOWN)
    # The body is not quoted: an error page of a proxy may echo the request, signature included.
    return refusal(reply, error, f"HTTP {reply.status}", f"unreadable reply of {len(reply.body)} bytes")


# A request that is turned away with one of these was not taken by the venue, whatever the body says.
_BY_STATUS: Final = {403: ErrorClass.PERMISSION, 418: ErrorClass.RATE_LIMITED, 429: ErrorClass.RATE_LIMITED}


def judged(reply: Reply, error: ErrorClass, code: str, message: str, *, definite: bool = False) -> Reading:
    """Answer an error by its code's class and the HTTP status together.

    A write that met a server fault is of UNKNOWN outcome whatever the code, unless the code is ``definite``
    (the venue documents that the request was turned away). An unknown code leaves only the status to go by.
    """
    if is_server_fault(reply.status) and reply.operation in WRITES and not definite:
        error = ErrorClass.UNKNOWN
    if error is ErrorClass.UNKNOWN:
        error = _BY_STATUS.get(reply.status, error)
    return refusal(reply, error, code or f"HTTP {reply.status}", message)


def accepted(operation: Operation, order: VenueOrderView) -> Reading:
    """Answer "done", with what the venue said about the order; a create shown as rejected was not done."""
    rejected = operation is Operation.CREATE and order.state is OrderState.REJECTED
    return Reading(
        state=order.state,
        venue_order_id=order.venue_order_id,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        error=ErrorClass.INVALID_ORDER if rejected else None,
        orders=(order,) if operation is Operation.QUERY else (),
    )


def acknowledged(operation: Operation, venue_order_id: str) -> Reading:
    """Answer "taken, to be carried out later": a create is then open, of all else the state is unsaid."""
    return Reading(
        state=OrderState.OPEN if operation is Operation.CREATE else None,
        venue_order_id=venue_order_id,
    )


def is_server_fault(status: int) -> bool:
    """Whether a status leaves open what happened: anything but 2xx and 4xx, and 408."""
    return status == 408 or not (200 <= status < 300 or 400 <= status < 500)  # noqa: PLR2004 - HTTP's own numbers


def is_success(status: int) -> bool:
    """Whether a status is 2xx."""
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own numbers


def nothing(_reply: Reply, _value: Json) -> Reading:
    """Answer to what never goes to a venue: raises UnreadableError."""
    message = "no request of this kind goes to a venue"
    raise UnreadableError(message)
