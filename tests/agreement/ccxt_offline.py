"""What ccxt would send, without a network: the first request that a call makes is caught and never sent.

The clock, the ids and the random bytes of the exchange object are fixed, so a call gives the same bytes each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import ccxt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.agreement.subjects import Subject

VERSION: Final = "4.5.90"
NOW_MS: Final = 1_700_000_000_123
WINDOW_MS: Final = 5_000
FINEST: Final = 1e-8

# What ccxt would learn from the venue before an order, or would count differently from us.
OPTIONS: Final[Mapping[str, dict[str, Any]]] = {
    "binance": {"recvWindow": WINDOW_MS},
    "binanceusdm": {"recvWindow": WINDOW_MS},
    "bybit": {"recvWindow": WINDOW_MS, "enableUnifiedMargin": False, "enableUnifiedAccount": True},
    "backpack": {"recvWindow": str(WINDOW_MS)},
}
# Order types that Binance lists for a market.
_BINANCE_TYPES: Final = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "STOP"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request: headers by their own names, a body of text or none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None


class CaughtError(BaseException):
    """Carries the request past ccxt's own handlers, which catch Exception."""

    def __init__(self, sent: Sent) -> None:
        """Keep the request."""
        super().__init__()
        self.sent = sent


def caught(subject: Subject, call: str, *args: object) -> Sent:
    """Return the first request of ``exchange.call(*args)``."""
    exchange = _exchange(subject)
    # Kraken's nonce rises with each request of an exchange object.
    exchange.options.pop("lastNonce", None)
    exchange.last_nonce = 0
    try:
        getattr(exchange, call)(*args)
    except CaughtError as error:
        return error.sent
    message = f"{subject.venue}.{call} sent nothing"
    raise AssertionError(message)


@cache
def _exchange(subject: Subject) -> Any:
    credentials = dict(subject.credentials)
    options = {**OPTIONS.get(subject.venue, {})}
    exchange = getattr(ccxt, subject.venue)({**credentials, "enableRateLimit": False, "options": options})
    exchange.set_markets([_market(subject, exchange.precisionMode)])
    exchange.milliseconds = lambda: NOW_MS
    exchange.seconds = lambda: NOW_MS // 1000
    exchange.microseconds = lambda: NOW_MS * 1000
    exchange.random_bytes = lambda count: "ab" * count
    exchange.fetch = _catch
    return exchange


def _catch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None) -> None:
    text = body.decode() if isinstance(body, bytes) else body
    raise CaughtError(Sent(method, url, dict(headers or {}), text))


def _market(subject: Subject, precision_mode: int) -> dict[str, Any]:
    """A market as fine as ccxt goes, so that no number of ours is rounded."""
    assert precision_mode == ccxt.TICK_SIZE
    swap = subject.kind == "swap"
    base, _, rest = subject.symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return {
        "id": subject.venue_symbol,
        "symbol": subject.symbol,
        "base": base,
        "quote": quote,
        "settle": settle or None,
        "baseId": base,
        "quoteId": quote,
        "settleId": settle or None,
        "altname": subject.venue_symbol,
        "type": subject.kind,
        "spot": not swap,
        "swap": swap,
        "margin": False,
        "future": False,
        "option": False,
        "contract": swap,
        "linear": True if swap else None,
        "inverse": False if swap else None,
        "contractSize": 1.0 if swap else None,
        "active": True,
        "precision": {"amount": FINEST, "price": FINEST, "cost": FINEST},
        "limits": {"amount": {}, "price": {}, "cost": {}, "leverage": {}},
        "info": {"orderTypes": _BINANCE_TYPES},
    }
