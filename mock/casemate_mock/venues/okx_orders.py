"""OKX's orders: parameters in, views out, and the codes of refusals."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_never

from casemate_mock.exchange import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    TimeInForce,
    VenueInstrument,
)
from casemate_mock.exchange.arithmetic import ZERO, plain
from casemate_mock.venues.fields import decimal_or_none, read_flag, text_or_none

Json = dict[str, Any]
ALGO = "ALGO:"
_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_KINDS = {"limit", "market", "post_only", "fok", "ioc", "optimal_limit_ioc"}
_TIMES = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK, "optimal_limit_ioc": TimeInForce.IOC}


class InstructionError(Exception):
    """One instruction failed with OKX's sCode and sMsg."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.code = code
        self.message = message


def bad(name: str) -> InstructionError:
    """Build error 51000."""
    return InstructionError("51000", f"Parameter {name} error")


def draft_order(values: Mapping[str, object], instrument: VenueInstrument) -> OrderRequest:
    """Read one order of /trade/order or /trade/batch-orders. Raises InstructionError."""
    kind = values.get("ordType")
    if kind not in _KINDS:
        raise bad("ordType")
    market = kind in {"market", "optimal_limit_ioc"}
    size, by_quote = _decimal(values, "sz"), _by_quote(values, instrument, market=market)
    return OrderRequest(
        symbol=instrument.symbol,
        side=read_side(values),
        type=OrderType.MARKET if market else OrderType.LIMIT,
        quantity=None if by_quote else size,
        quote_quantity=size if by_quote else None,
        price=None if market else _decimal(values, "px"),
        time_in_force=_TIMES.get(str(kind), TimeInForce.GTC),
        post_only=kind == "post_only",
        reduce_only=_checked_mode(values, instrument),
        client_id=read_client_id(values, "clOrdId"),
        tag=str(kind),
    )


def draft_algo(values: Mapping[str, object], instrument: VenueInstrument, reference: Decimal) -> OrderRequest:
    """Read one order of /trade/order-algo: `trigger`, or `conditional` with one stop."""
    kind = values.get("ordType")
    names = {"trigger": ("triggerPx", "orderPx"), "conditional": _conditional_names(values)}.get(str(kind))
    if names is None:
        raise bad("ordType")
    stop, price = _decimal(values, names[0]), values.get(names[1])
    market = price in {None, "-1"}
    return OrderRequest(
        symbol=instrument.symbol,
        side=read_side(values),
        type=OrderType.STOP_MARKET if market else OrderType.STOP_LIMIT,
        quantity=_decimal(values, "sz"),
        price=None if market else _decimal(values, names[1]),
        stop_price=stop,
        trigger_above=stop > reference,
        reduce_only=_checked_mode(values, instrument),
        client_id=read_client_id(values, "algoClOrdId"),
        tag=f"{ALGO}{kind}",
    )


def read_side(values: Mapping[str, object]) -> Side:
    """Parameter `side`. Raises InstructionError."""
    side = values.get("side")
    if side not in {"buy", "sell"}:
        raise bad("side")
    return Side(side)


def read_client_id(values: Mapping[str, object], name: str) -> str | None:
    """Return a client id of letters and digits, or None. Raises InstructionError."""
    value = text_or_none(values, name)
    if value is not None and not _CLIENT_ID.fullmatch(value):
        raise bad(name)
    return value


def amended(values: Mapping[str, object], name: str) -> Decimal | None:
    """Return a new value, None for what stays. Raises InstructionError."""
    return None if values.get(name) in {None, ""} else _decimal(values, name)


def order_view(order: Order, instrument: VenueInstrument) -> Json:
    """Return an entry of /trade/order and /trade/orders-pending."""
    last = order.fills[-1] if order.fills else None
    by_quote = order.request.quote_quantity
    size = order.quantity if by_quote is None else by_quote
    return _common(order, instrument) | {
        "ordId": order.venue_id,
        "clOrdId": order.client_id,
        "ordType": order.request.tag.removeprefix(ALGO),
        "state": _state(order),
        "px": "" if order.price is None else plain(order.price),
        "sz": plain(size),
        "tgtCcy": "quote_ccy" if by_quote is not None else "base_ccy" if instrument.kind == "spot" else "",
        "accFillSz": plain(order.filled),
        "avgPx": plain(order.average) if order.fills else "",
        "fillPx": "" if last is None else plain(last.price),
        "fillSz": "0" if last is None else plain(last.size),
        "fillTime": "" if last is None else str(last.at_ms),
        "tradeId": "" if last is None else str(last.trade_id),
        "fee": plain(-order.fee),
        "feeCcy": instrument.settle_asset if last is None else last.fee_asset,
        "cancelSource": "31" if order.note == "post_only" else "",
        "attachAlgoOrds": [],
        "category": "normal",
        "source": "",
        "pnl": "0",
        "rebate": "0",
        "rebateCcy": instrument.settle_asset,
    }


def algo_view(order: Order, instrument: VenueInstrument) -> Json:
    """Return an entry of /trade/order-algo and /trade/orders-algo-pending."""
    return _common(order, instrument) | {
        "algoId": order.venue_id,
        "algoClOrdId": order.client_id,
        "ordId": "",
        "clOrdId": "",
        "ordType": order.request.tag.removeprefix(ALGO),
        "state": "live" if order.status is OrderStatus.UNTRIGGERED else "effective" if order.fills else _state(order),
        "sz": plain(order.quantity),
        "triggerPx": plain(order.stop_price or ZERO),
        "triggerPxType": "last",
        "ordPx": "-1" if order.price is None else plain(order.price),
        "actualSz": plain(order.filled),
        "actualPx": "",
        "actualSide": "",
        "triggerTime": "",
    }


def refusal_code(reason: Refusal) -> tuple[str, str]:
    """OKX's sCode and sMsg of a refusal."""
    match reason:
        case Refusal.TICK:
            return "51006", "Order price is not within the price limit or not a multiple of the tick size"
        case Refusal.LOT:
            return "51121", "Order quantity must be a multiple of the lot size."
        case Refusal.MIN_QUANTITY | Refusal.MIN_NOTIONAL:
            return "51020", "Your order should meet or exceed the minimum order amount."
        case Refusal.INSUFFICIENT_BALANCE:
            return "51008", "Order failed. Insufficient balance in account"
        case Refusal.DUPLICATE_CLIENT_ID:
            return "51016", "Client order ID already exists."
        case Refusal.POST_ONLY_WOULD_TAKE:
            return "51124", "You can only place limit orders after trading opens."
        case Refusal.REDUCE_ONLY:
            return (
                "51169",
                "Order failed because you don't have any positions in this direction to reduce or close.",
            )
        case Refusal.WOULD_TRIGGER:
            return "51279", "The trigger price would be reached at once."
        case Refusal.UNKNOWN_ORDER | Refusal.NOT_OPEN:
            return "51400", "Cancellation failed as the order has been filled, canceled or does not exist."
        case Refusal.BELOW_FILLED:
            return "51511", "Failed to modify the order: the new size is not above what is filled."
        case _:
            assert_never(reason)


def _common(order: Order, instrument: VenueInstrument) -> Json:
    return {
        "instId": instrument.venue_symbol,
        "instType": "SPOT" if instrument.kind == "spot" else "SWAP",
        "side": order.side.value,
        "posSide": "" if instrument.kind == "spot" else "net",
        "tdMode": "cash" if instrument.kind == "spot" else "cross",
        "ccy": "",
        "lever": "" if instrument.kind == "spot" else "10",
        "reduceOnly": "true" if order.request.reduce_only else "false",
        "tag": "",
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def _state(order: Order) -> str:
    match order.status:
        case OrderStatus.UNTRIGGERED | OrderStatus.NEW:
            return "live"
        case OrderStatus.PARTIALLY_FILLED:
            return "partially_filled"
        case OrderStatus.FILLED:
            return "filled"
        case OrderStatus.CANCELED | OrderStatus.EXPIRED:
            return "canceled"
        case _:
            assert_never(order.status)


def _conditional_names(values: Mapping[str, object]) -> tuple[str, str]:
    return ("slTriggerPx", "slOrdPx") if values.get("slTriggerPx") else ("tpTriggerPx", "tpOrdPx")


def _by_quote(values: Mapping[str, object], instrument: VenueInstrument, *, market: bool) -> bool:
    """Return whether `sz` counts quote units: a spot market buy's does unless `tgtCcy` says otherwise."""
    if not market or instrument.kind != "spot":
        return False
    default = "quote_ccy" if values.get("side") == "buy" else "base_ccy"
    return (text_or_none(values, "tgtCcy") or default) == "quote_ccy"


def _checked_mode(values: Mapping[str, object], instrument: VenueInstrument) -> bool:
    """Check trade mode and position side; returns whether the order only reduces."""
    spot = instrument.kind == "spot"
    if values.get("tdMode") not in ({"cash", "cross"} if spot else {"cross", "isolated"}):
        raise bad("tdMode")
    if values.get("posSide") not in {None, "", "net"}:
        raise bad("posSide")
    return not spot and read_flag(values, "reduceOnly")


def _decimal(values: Mapping[str, object], name: str) -> Decimal:
    value = decimal_or_none(values.get(name))
    if value is None:
        raise bad(name)
    return value
