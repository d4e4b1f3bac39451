"""`casemate dry-run`: JSON Lines in, JSON Lines out, and what exactly would be sent.

No network, no daemon, no policy: an intent goes through the enclave's own decoding and its own venue file. One
bad line answers ``{"error": {"reason", "field", "message"}}`` in its place and does not stop the rest; blank
lines are skipped. Nothing of a credential ever appears in an error.

A line is an object of

- ``op``: ``create``, ``cancel``, ``cancel_all``, ``amend``, ``query``, ``open_orders``, ``balance``;
- ``venue``, ``credentials`` (ccxt's names) and ``now_ms``; ``nonce`` is ``now_ms`` if absent;
- ``instrument``: ``symbol``, ``venue_symbol``, ``base``, ``quote``, ``settle``, ``kind``, ``tick_size``, ``lot_size``,
  ``contract_size`` (not for ``balance``);
- ``intent``: the message's fields in snake_case, enum values without prefix; ``created_at`` is ``now_ms`` and
  ``valid_until`` five seconds later if absent (both in nanoseconds when given);
- ``original``, for ``amend`` only: the order to change, as an ``intent`` of ``create``;
- ``placement``, optional: ``environment``, ``margin_mode``, ``hedged`` of the account.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from casemate.tools.dry_run_input import Line, read_line
from enclave_signer.errors import NotJudged, Refused, Unsupported
from enclave_signer.model import Amend, Balances, Cancel, CancelAll, OpenOrders, Order, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from enclave_signer.model import WireRequest
    from enclave_signer.venues.base import Site

_COMPACT: Final = (",", ":")


def run(lines: Iterable[str], randomness: Callable[[int], bytes] = secrets.token_bytes) -> Iterator[str]:
    """Answer each line that is not blank with one line of JSON, without line ends."""
    for line in lines:
        if line.strip():
            yield json.dumps(_answer(line, randomness), separators=_COMPACT)


def _answer(line: str, randomness: Callable[[int], bytes]) -> dict[str, Any]:
    try:
        read = read_line(line, randomness)
        return _shown(_build(read.site, read))
    except Unsupported as error:
        return _error("VENUE_SUPPORT", error.field, error.reason)
    except Refused as error:
        fields = [value for name, value in error.numbers if name == "field"]
        return _error(error.rule.upper(), fields[0] if fields else "", error.reason)
    except NotJudged as error:
        return _error(error.reason, error.field, error.message)
    except Exception:  # noqa: BLE001 - one line's fault must not stop the rest, and its text may hold a secret
        return _error("INTERNAL", "", "this line could not be built; that is a fault of ours")


def _build(site: Site, read: Line) -> WireRequest:
    match read.intent:
        case Order() as order:
            return site.create(order, read.traded, read.stamp)
        case Cancel() as cancel:
            return site.cancel(cancel, read.traded, read.stamp)
        case CancelAll() as cancel_all:
            return site.cancel_all(cancel_all, read.traded, read.stamp)
        case Amend() as amend:
            return site.amend(amend, read.changed, read.traded, read.stamp)
        case Query() as query:
            return site.query(query, read.traded, read.stamp)
        case OpenOrders() as open_orders:
            return site.open_orders(open_orders, read.traded, read.stamp)
        case Balances() as balances:
            return site.balances(balances, read.stamp)
        case _:
            message = "read_line lets no other kind through"
            raise AssertionError(message)


def _shown(request: WireRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": None if request.body is None else request.body.decode("ascii"),
    }


def _error(reason: str, field: str, message: str) -> dict[str, Any]:
    return {"error": {"reason": reason, "field": field, "message": message}}
