"""What Binance's signature does and does not do: the declarations of ``binance`` and ``binanceusdm``.

Sources: github.com/binance/binance-spot-api-docs (rest-api.md "Request security", errors.md,
faqs/order_count_decrement.md) and developers.binance.com, USD-M futures (general info, error codes).

*What is signed* is the query string and the body, joined without a separator, and nothing else. So the host
can send one signed request with another method, to another path, to another host that knows the key, and can
move the border between query and body. Thought through for each kind of request, at every other endpoint:

- A read of one order and a cancel of it carry the same parameters, and so do a read of a symbol's open
  orders and a cancel of all of them: each is declared to be good for the other (``also``).
- A create carries what ``/api/v3/order``, ``/sapi/v1/margin/order``, ``/api/v3/sor/order`` and, where
  ``newOrderRespType`` fits, ``/fapi/v1/order`` and ``/papi/v1/um/order`` read: the same order on another
  product of the same key. Operators give a key one product.
- Balances carry a clock and nothing else, so they fit every endpoint without a mandatory parameter: other
  reads, and switches such as ``/sapi/v1/account/enableFastWithdrawSwitch``. No money leaves by these, and a key
  without rights to them has none of it. Hence ``path-unsigned`` for reads too.
- Whatever has a parameter too many is refused: -1104 "not all sent parameters were read". A cancel is
  therefore no cancel-all, and an amend no cancel. A border moved *into* a value leaves a stray rest
  (``price=5`` and ``0000.5``), which -1104 also covers if the venue counts a name without value: declared as a
  gap, because only the venue can tell.

*Uses.* A client order id is unique among open orders only. As soon as the order is filled, cancelled or
expired, the same bytes make it again until the window ends, at most 60 s after the stamp.
Spot: the ORDERS limit counts *unfilled* orders and each fill gives its order back, so it does not bound a
replay of orders that fill. What is left is RAW_REQUESTS, 300,000 in 5 minutes for one IP, two such
intervals touching one window: 600,000. USD-M: 300 orders in 10 s and 1,200 a minute for an account, filled or
not: 60 s touch at most seven 10 s intervals and two minutes, min(7 x 300, 2 x 1,200) = 2,100.
These are bounds by which no notional limit is usable; the account's balance is the real one. A policy says
so by accepting ``replayable`` and naming its own ``count_uses``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from enclave_signer.model import (
    Kind,
    Operation,
    OrderType,
    SelfTradePrevention,
    TimeInForce,
    TriggerBy,
)
from enclave_signer.venues.declaration import (
    Abilities,
    Declaration,
    Gap,
    Part,
    Validity,
    ValidityKind,
)

_ALWAYS: Final = frozenset({Gap.METHOD_UNSIGNED, Gap.HOST_UNSIGNED, Gap.PATH_UNSIGNED, Gap.QUERY_BODY_JOINED})
_OPERATIONS: Final = frozenset(
    {
        Operation.CREATE,
        Operation.CANCEL,
        Operation.CANCEL_ALL,
        Operation.AMEND,
        Operation.QUERY,
        Operation.OPEN_ORDERS,
        Operation.BALANCES,
    }
)
# The venue's words (enums.md, "STP modes"); they are the same on both products.
_SELF_TRADE: Final = {
    SelfTradePrevention.NONE: "NONE",
    SelfTradePrevention.CANCEL_TAKER: "EXPIRE_TAKER",
    SelfTradePrevention.CANCEL_MAKER: "EXPIRE_MAKER",
    SelfTradePrevention.CANCEL_BOTH: "EXPIRE_BOTH",
}
_PLAIN_TIMES: Final = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
_TYPES: Final = frozenset(OrderType)

SPOT: Final = Abilities(
    quote_quantity=True,
    reduce_only=False,
    hedge=False,
    # Spot stops watch the last price and know no other: LAST says what happens anyway.
    triggers={TriggerBy.LAST: ""},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=_PLAIN_TIMES,
    stop_post_only=False,
)
SWAP: Final = Abilities(
    quote_quantity=False,
    reduce_only=True,
    hedge=True,
    triggers={TriggerBy.LAST: "CONTRACT_PRICE", TriggerBy.MARK: "MARK_PRICE"},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=_PLAIN_TIMES,
    # New Algo Order lists GTC, IOC and FOK, not GTX.
    stop_post_only=False,
)

BINANCE: Final = Declaration(
    scheme="hex HMAC-SHA256, or base64 Ed25519, of query and body joined",
    covers=frozenset({Part.QUERY, Part.BODY}),
    gaps={
        operation: _ALWAYS | {Gap.REPLAYABLE} if operation is Operation.CREATE else _ALWAYS for operation in _OPERATIONS
    },
    validity=Validity(ValidityKind.WINDOW, "recvWindow", shortest_ms=1, longest_ms=60_000),
    single_use="",
    uses=600_000,
    also={
        Operation.QUERY: frozenset({Operation.CANCEL}),
        Operation.CANCEL: frozenset({Operation.QUERY}),
        Operation.OPEN_ORDERS: frozenset({Operation.CANCEL_ALL}),
        Operation.CANCEL_ALL: frozenset({Operation.OPEN_ORDERS}),
        # A read of the account names no symbol, and so reads the open orders of all of them elsewhere.
        Operation.BALANCES: frozenset({Operation.OPEN_ORDERS}),
    },
    operations=_OPERATIONS,
    kinds=frozenset({Kind.SPOT, Kind.SWAP}),
    order_types={Kind.SPOT: _TYPES, Kind.SWAP: _TYPES},
    times_in_force={Kind.SPOT: _PLAIN_TIMES, Kind.SWAP: _PLAIN_TIMES | {TimeInForce.GTD}},
    client_order_id=r"[A-Za-z0-9_-]{1,36}",
    credential_fields=("apiKey", "secret"),
    limits="spot: unfilled orders per account (exchangeInfo), e.g. 100/10 s; USD-M: 300/10 s, 1200/min",
    notes=(
        "secret: an HMAC secret, or an Ed25519 private key as PKCS#8 PEM",
        "spot amends only reduce the quantity and keep priority; a new price is a cancel and a create",
        "USD-M stop orders live in the algo service: set `conditional` to cancel, query or list them",
    ),
    abilities={Kind.SPOT: SPOT, Kind.SWAP: SWAP},
)

BINANCEUSDM: Final = replace(
    BINANCE,
    uses=2_100,
    kinds=frozenset({Kind.SWAP}),
    order_types={Kind.SWAP: _TYPES},
    times_in_force={Kind.SWAP: _PLAIN_TIMES | {TimeInForce.GTD}},
    limits="300 orders/10 s and 1200/min per account",
    notes=(BINANCE.notes[0], BINANCE.notes[2]),
    abilities={Kind.SWAP: SWAP},
)
