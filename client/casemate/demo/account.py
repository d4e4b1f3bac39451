"""Accounts for every order: what was sent, answered, journaled, and what the venue's own book says. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from casemate.models import OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from casemate.demo.play import Played

    # By account and client order id: every order that the venue ever accepted under it.
    Book = Mapping[tuple[str, str], Sequence[Mapping[str, str]]]

OPEN_AT_VENUE: Final = frozenset({"new", "partially_filled", "untriggered"})
# What a final state in the journal says about the venue's book.
_NOT_AT_VENUE: Final = frozenset({OrderState.REFUSED, OrderState.REJECTED})
_UNSETTLED: Final = frozenset({OrderState.PENDING, OrderState.SIGNED, OrderState.SENDING, OrderState.UNKNOWN})


def book_of(orders: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], list[Mapping[str, str]]]:
    """Index a venue's orders by account and client order id."""
    book: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for order in orders:
        book.setdefault((order["account"], order["client_order_id"]), []).append(order)
    return book


def resting(book: Book) -> set[tuple[str, str]]:
    """Orders that can still trade."""
    return {key for key, orders in book.items() if any(order["status"] in OPEN_AT_VENUE for order in orders)}


def problems_of(played: Sequence[Played], book: Book) -> list[str]:
    """Every reason why the orders are not accounted for; empty if all are."""
    found = [f"{entry.key[0]} {entry.key[1]}: {text}" for entry in played for text in _of_one(entry, book)]
    sent = {entry.key for entry in played}
    found += [f"{key[0]} {key[1]}: at the venue, but never sent" for key in book if key not in sent]
    twice = [key for key, count in Counter(entry.key for entry in played).items() if count > 1]
    found += [f"{key[0]} {key[1]}: one client order id for two orders" for key in twice]
    return found


def _of_one(entry: Played, book: Book) -> list[str]:
    at_venue = book.get(entry.key, ())
    found = list(entry.problems)
    if entry.result is None:
        found.append(f"not answered: {entry.error}")
    if entry.journal is None:
        found.append("not in the journal")
    elif entry.journal.state is None or entry.journal.state in _UNSETTLED:
        found.append(f"the journal leaves it {_name(entry.journal.state)}")
    elif (entry.journal.state in _NOT_AT_VENUE) != (not at_venue):
        found.append(f"the journal says {_name(entry.journal.state)}, the venue has {len(at_venue)} of it")
    if len(at_venue) > 1:
        found.append(f"{len(at_venue)} orders at the venue under one client order id")
    if any(order["status"] in OPEN_AT_VENUE for order in at_venue):
        found.append("still open at the venue")
    return found + _judgement(entry) + _ending(entry)


def _name(state: OrderState | None) -> str:
    return state.name if state else "without a state"


def _judgement(entry: Played) -> list[str]:
    if entry.result is None:
        return []
    if not entry.result.authenticated:
        return ["the answer does not carry the enclave's own word"]
    verdict, rule = entry.result.verdict, entry.planned.rule
    if rule is None and not verdict.allowed:
        return [f"refused by {verdict.rule} ({verdict.reason}), but within the policy"]
    if rule is not None and verdict.allowed:
        return [f"allowed, but against the policy ({rule})"]
    if rule is not None and verdict.rule != rule:
        return [f"refused by {verdict.rule} ({verdict.reason}) instead of {rule}"]
    return []


def _ending(entry: Played) -> list[str]:
    found = []
    if entry.cancel is not None and not entry.cancel.allowed:
        found.append(f"its cancel was refused by {entry.cancel.verdict.rule}: {entry.cancel.verdict.reason}")
    if entry.closed is not None and not entry.closed.allowed:
        found.append(f"its close was refused by {entry.closed.verdict.rule}: {entry.closed.verdict.reason}")
    return found
