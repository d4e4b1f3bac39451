"""The engine: accepts, matches, amends and cancels orders against a synthetic book.

Orders of accounts trade only with the synthetic book, never with each other: a marketable order fills at
once at the best price up to the book's depth, any other rests until :meth:`Exchange.move_price` or
:meth:`Exchange.fill`. Every method either changes the state completely or raises :class:`Refused` and
changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, unique
from typing import assert_never

from casemate_mock.exchange.arithmetic import ZERO, divide, exact, floor_to
from casemate_mock.exchange.checks import check_notional, check_price, check_quantity
from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.exchange.ledger import Balance, Ledger
from casemate_mock.exchange.liquidity import Liquidity
from casemate_mock.exchange.order_store import OrderStore
from casemate_mock.exchange.orders import Order, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from casemate_mock.exchange.positions import Position
from casemate_mock.exchange.refusals import Refusal, Refused
from casemate_mock.exchange.settlement import Execution, Settlement


@unique
class ClientIdRule(Enum):
    """Within what a client order id may be used once."""

    OPEN_IN_SYMBOL = "unique among the open orders of a symbol"
    OPEN = "unique among the open orders of the account"
    FOREVER = "unique for ever"


@unique
class PostOnlyRule(Enum):
    """What becomes of a post-only order that would take."""

    REJECT = "refused, no order exists"
    CANCEL = "accepted, and cancelled at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRules:
    """What differs from venue to venue. Fees are fractions; `leverage` divides swap notional into margin."""

    client_ids: ClientIdRule = ClientIdRule.OPEN_IN_SYMBOL
    post_only: PostOnlyRule = PostOnlyRule.REJECT
    refuse_triggered_stops: bool = False
    leverage: Decimal = Decimal(10)
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO


class Exchange:
    """Accounts, books and orders of one venue."""

    def __init__(
        self,
        instruments: Iterable[VenueInstrument],
        *,
        clock_ms: Callable[[], int],
        make_id: Callable[[int], str] = str,
        rules: ExchangeRules | None = None,
        half_spread_ticks: int = 1,
        depth: Decimal | None = None,
    ) -> None:
        """`make_id` turns an order's number (from 1) into the venue's id; `depth` None fills any size."""
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.rules = rules or ExchangeRules()
        self.ledger = Ledger()
        self.revision = 0
        self._clock_ms = clock_ms
        self._make_id = make_id
        self._store = OrderStore()
        self._trades = 0
        self._expiring: dict[str, int] = {}
        self._books = {s: Liquidity.around(i, half_spread_ticks, depth) for s, i in self.instruments.items()}
        self._settlement = Settlement(
            self.ledger,
            leverage=self.rules.leverage,
            maker_fee=self.rules.maker_fee,
            taker_fee=self.rules.taker_fee,
        )

    # -- instructions ----------------------------------------------------------------------------------------

    @exact
    def place(self, account: str, request: OrderRequest) -> Order:
        """Accept an order and match it; raises Refused, and then no order exists."""
        order = self._draft(account, request)
        self._check_new(order)
        if self._takes_although_post_only(order) and self.rules.post_only is PostOnlyRule.CANCEL:
            return self._put(replace(order, status=OrderStatus.CANCELED, note="post_only"))
        order = self._settlement.relock(order, self._needed(order))
        return self._put(order if order.status is OrderStatus.UNTRIGGERED else self._match(order))

    @exact
    def cancel(self, account: str, venue_id: str) -> Order:
        """Cancel one open order."""
        return self._put(self._close(self._own_open(account, venue_id), OrderStatus.CANCELED))

    @exact
    def cancel_all(self, account: str, symbol: str | None = None, side: Side | None = None) -> tuple[Order, ...]:
        """Cancel the open orders of an account, all or of one symbol and side."""
        found = tuple(self._store.open(account, symbol, side))
        return tuple(self._put(self._close(order, OrderStatus.CANCELED)) for order in found)

    @exact
    def expire_due(self) -> None:
        """End the orders whose time (good till date) has come."""
        now = self._clock_ms()
        for venue_id in [found for found, at_ms in self._expiring.items() if at_ms <= now]:
            del self._expiring[venue_id]
            order = self._store.get(venue_id)
            if order is not None and order.is_open:
                self._put(self._close(order, OrderStatus.EXPIRED))

    @exact
    def amend(
        self,
        account: str,
        venue_id: str,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        stop_price: Decimal | None = None,
        client_id: str | None = None,
    ) -> Order:
        """Change an open order in place (None keeps a value); `quantity` counts what is already filled."""
        old = self._own_open(account, venue_id)
        new = replace(
            old,
            price=old.price if price is None else price,
            quantity=old.quantity if quantity is None else quantity,
            stop_price=old.stop_price if stop_price is None else stop_price,
            client_id=old.client_id if client_id is None else client_id,
            updated_ms=self._clock_ms(),
        )
        self._check_amended(old, new)
        new = self._settlement.relock(new, self._needed(new))
        return self._put(new if new.status is OrderStatus.UNTRIGGERED else self._match(new))

    # -- the market's moves, for tests and demonstrations ----------------------------------------------------

    @exact
    def move_price(self, symbol: str, reference: Decimal) -> tuple[Order, ...]:
        """Move the market: reached orders fill at their own price, stops fire. Returns what changed."""
        self._books[symbol] = self._books[symbol].moved(reference)
        changed: list[Order] = []
        for order in tuple(self._store.open(symbol=symbol)):
            after = self._reached(order)
            if after is not order:
                changed.append(self._put(after))
        return tuple(changed)

    @exact
    def fill(self, venue_id: str, size: Decimal, price: Decimal | None = None) -> Order:
        """Fill (a part of) a resting order as maker, at its own price unless another is given."""
        order = self._store.get(venue_id)
        if order is None or not order.is_open:
            raise Refused(Refusal.UNKNOWN_ORDER)
        at = price or order.price or self._books[order.symbol].reference
        return self._put(self._finish(self._execute(order, min(size, order.remaining), at, maker=True)))

    def set_depth(self, symbol: str, depth: Decimal | None) -> None:
        """Set what each side of the book can fill until the price moves; None is any size."""
        self._books[symbol] = self._books[symbol].deepened(depth)

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        """Give an account money."""
        self.ledger.deposit(account, asset, amount)

    # -- questions -------------------------------------------------------------------------------------------

    def book(self, symbol: str) -> Liquidity:
        """Synthetic book of a symbol."""
        return self._books[symbol]

    def order(self, account: str, *, venue_id: str | None = None, client_id: str | None = None) -> Order | None:
        """Order of an account by either id; of several under one client id an open one, else the latest."""
        if venue_id is not None:
            found = self._store.get(venue_id)
            return found if found is not None and found.account == account else None
        several = self._store.of_client(account, client_id) if client_id else []
        return max(several, key=lambda order: (order.is_open, order.number), default=None)

    def open_orders(self, account: str, symbol: str | None = None, side: Side | None = None) -> tuple[Order, ...]:
        """Open orders, oldest first."""
        return tuple(self._store.open(account, symbol, side))

    @property
    def order_count(self) -> int:
        """Count of orders ever accepted."""
        return len(self._store)

    def orders(self) -> tuple[Order, ...]:
        """Every order ever accepted, oldest first."""
        return self._store.every()

    def orders_by_client(self, client_id: str) -> tuple[Order, ...]:
        """Every order ever accepted under a client id: at most one, if the promises hold."""
        return self._store.every_of_client(client_id)

    def balances(self, account: str) -> dict[str, Balance]:
        """Balances of an account by asset."""
        return self.ledger.balances(account)

    def position(self, account: str, symbol: str) -> Position:
        """Position of an account in a swap."""
        return self._settlement.position(account, symbol)

    # -- how it is done --------------------------------------------------------------------------------------

    def _draft(self, account: str, request: OrderRequest) -> Order:
        instrument = self.instruments[request.symbol]
        number, now = len(self._store) + 1, self._clock_ms()
        stop = request.type in {OrderType.STOP_LIMIT, OrderType.STOP_MARKET}
        return Order(
            number=number,
            venue_id=self._make_id(number),
            account=account,
            request=request,
            client_id=request.client_id or "",
            quantity=self._quantity(instrument, request),
            price=request.price,
            stop_price=request.stop_price,
            status=OrderStatus.UNTRIGGERED if stop else OrderStatus.NEW,
            lock_asset=self._settlement.lock_asset(instrument, request.side),
            locked=ZERO,
            created_ms=now,
            updated_ms=now,
        )

    def _quantity(self, instrument: VenueInstrument, request: OrderRequest) -> Decimal:
        if request.quantity is not None:
            return request.quantity
        best = self._books[request.symbol].opposite(request.side) * instrument.contract_size
        return floor_to(divide(request.quote_quantity or ZERO, best), instrument.lot)

    def _check_new(self, order: Order) -> None:
        instrument = self.instruments[order.symbol]
        check_quantity(instrument, order.quantity)
        check_price(instrument, order.price)
        check_price(instrument, order.stop_price)
        check_notional(instrument, order.price or self._best(order), order.quantity)
        if order.client_id:
            self._check_client_id(order)
        if order.request.reduce_only and self._closable(order) == 0:
            raise Refused(Refusal.REDUCE_ONLY)
        if self._takes_although_post_only(order) and self.rules.post_only is PostOnlyRule.REJECT:
            raise Refused(Refusal.POST_ONLY_WOULD_TAKE)
        if self.rules.refuse_triggered_stops and self._triggered(order):
            raise Refused(Refusal.WOULD_TRIGGER)

    def _check_amended(self, old: Order, new: Order) -> None:
        instrument = self.instruments[new.symbol]
        if new.quantity <= new.filled:
            raise Refused(Refusal.BELOW_FILLED)
        check_quantity(instrument, new.quantity)
        check_price(instrument, new.price)
        check_price(instrument, new.stop_price)
        check_notional(instrument, new.price or self._best(new), new.quantity)
        if new.client_id not in {"", old.client_id}:
            self._check_client_id(new)
        if self._takes_although_post_only(new):
            raise Refused(Refusal.POST_ONLY_WOULD_TAKE)

    def _check_client_id(self, order: Order) -> None:
        others = self._store.of_client(order.account, order.client_id)
        match self.rules.client_ids:
            case ClientIdRule.OPEN_IN_SYMBOL:
                taken = any(other.is_open and other.symbol == order.symbol for other in others)
            case ClientIdRule.OPEN:
                taken = any(other.is_open for other in others)
            case ClientIdRule.FOREVER:
                taken = bool(others)
            case _:
                assert_never(self.rules.client_ids)
        if taken:
            raise Refused(Refusal.DUPLICATE_CLIENT_ID)

    def _takes_although_post_only(self, order: Order) -> bool:
        if not order.request.post_only or order.status is OrderStatus.UNTRIGGERED:
            return False
        return self._books[order.symbol].crosses(order.side, order.price)

    def _match(self, order: Order) -> Order:
        book = self._books[order.symbol]
        if not book.crosses(order.side, order.price):
            return self._finish(order)
        left = book.left(order.side)
        wanted = min(order.remaining, self._closable(order)) if order.request.reduce_only else order.remaining
        size = wanted if left is None else min(wanted, left)
        if order.request.time_in_force is TimeInForce.FOK and size < order.remaining:
            return self._finish(order)
        self._books[order.symbol] = book.taken(order.side, size)
        return self._finish(self._execute(order, size, book.opposite(order.side), maker=False) if size else order)

    def _execute(self, order: Order, size: Decimal, price: Decimal, *, maker: bool) -> Order:
        self._trades += 1
        execution = Execution(trade_id=self._trades, price=price, size=size, maker=maker, at_ms=self._clock_ms())
        return self._settlement.fill(self.instruments[order.symbol], order, execution)

    def _finish(self, order: Order) -> Order:
        """Give the order the status that its fills call for, and release what it no longer needs."""
        immediate = order.request.time_in_force is not TimeInForce.GTC or order.price is None
        exhausted = order.request.reduce_only and self._closable(order) == 0
        if order.remaining == 0:
            return self._close(order, OrderStatus.FILLED)
        if immediate or exhausted:
            return self._close(order, OrderStatus.EXPIRED)
        order = replace(order, status=OrderStatus.PARTIALLY_FILLED if order.fills else OrderStatus.NEW)
        # Downwards only: a fill never makes an order need more than it already holds.
        return self._settlement.relock(order, min(order.locked, self._needed(order)))

    def _close(self, order: Order, status: OrderStatus) -> Order:
        closed = replace(order, status=status, updated_ms=self._clock_ms())
        return self._settlement.relock(closed, ZERO)

    def _reached(self, order: Order) -> Order:
        if order.status is OrderStatus.UNTRIGGERED:
            return self._fire(order) if self._triggered(order) else order
        book = self._books[order.symbol]
        if order.price is None or not book.crosses(order.side, order.price):
            return order
        left = book.left(order.side)
        size = order.remaining if left is None else min(order.remaining, left)
        if order.request.reduce_only:
            size = min(size, self._closable(order))
        self._books[order.symbol] = book.taken(order.side, size)
        return self._finish(self._execute(order, size, order.price, maker=True) if size else order)

    def _fire(self, order: Order) -> Order:
        live = replace(order, status=OrderStatus.NEW, updated_ms=self._clock_ms())
        try:
            live = self._settlement.relock(live, max(live.locked, self._needed_live(live)))
        except Refused:
            return self._close(live, OrderStatus.EXPIRED)
        if self._takes_although_post_only(live):
            return self._close(live, OrderStatus.CANCELED)
        return self._match(live)

    def _triggered(self, order: Order) -> bool:
        if order.stop_price is None:
            return False
        reference = self._books[order.symbol].reference
        above = order.request.trigger_above
        upwards = order.side is Side.BUY if above is None else above
        return reference >= order.stop_price if upwards else reference <= order.stop_price

    def _best(self, order: Order) -> Decimal:
        return self._books[order.symbol].opposite(order.side)

    def _needed(self, order: Order) -> Decimal:
        return self._settlement.needed(self.instruments[order.symbol], order, self._best(order))

    def _needed_live(self, order: Order) -> Decimal:
        return self._needed(replace(order, stop_price=None))

    def _closable(self, order: Order) -> Decimal:
        return self._settlement.position(order.account, order.symbol).closable(order.side)

    def _own_open(self, account: str, venue_id: str) -> Order:
        order = self._store.get(venue_id)
        if order is None or order.account != account:
            raise Refused(Refusal.UNKNOWN_ORDER)
        if not order.is_open:
            raise Refused(Refusal.NOT_OPEN)
        return order

    def _put(self, order: Order) -> Order:
        self.revision += 1
        if order.request.expire_ms is not None and order.is_open:
            self._expiring[order.venue_id] = order.request.expire_ms
        return self._store.put(order)
