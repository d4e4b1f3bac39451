"""How orders lock money and how fills move it: spot swaps two assets, swaps move margin and profit.

For swaps only the opening part of an order locks margin; base is never locked. Fees are taken from what is
received (spot) or from the settle asset (swap).
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from casemate_mock.exchange.arithmetic import ZERO, divide
from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.exchange.ledger import Ledger
from casemate_mock.exchange.orders import Fill, Order, OrderType, Side
from casemate_mock.exchange.positions import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What the book gave: `size` at `price`."""

    trade_id: int
    price: Decimal
    size: Decimal
    maker: bool
    at_ms: int


class Settlement:
    """Moves money for orders and fills; knows nothing of books."""

    def __init__(self, ledger: Ledger, *, leverage: Decimal, maker_fee: Decimal, taker_fee: Decimal) -> None:
        """Fees are fractions of what is received (0.001 is ten basis points)."""
        self._ledger = ledger
        self._leverage = leverage
        self._fees = {True: maker_fee, False: taker_fee}
        self.positions: dict[tuple[str, str], Position] = {}

    def lock_asset(self, instrument: VenueInstrument, side: Side) -> str:
        """Return the asset that an order holds back."""
        if instrument.kind == "swap":
            return instrument.settle_asset
        return instrument.quote if side is Side.BUY else instrument.base

    def needed(self, instrument: VenueInstrument, order: Order, best: Decimal) -> Decimal:
        """How much an open order must hold back; `best` values orders without a price."""
        if not order.is_open:
            return ZERO
        price = order.price or order.stop_price or best
        if order.request.type is OrderType.MARKET:
            price = best
        if instrument.kind == "swap":
            return self._margin_needed(instrument, order, price)
        if order.side is Side.SELL:
            return order.remaining
        if order.request.quote_quantity is not None:
            return order.request.quote_quantity - order.cost
        return price * order.remaining

    def relock(self, order: Order, target: Decimal) -> Order:
        """Bring what the order holds back to `target`; refuses when the account has too little."""
        change = target - order.locked
        if change > 0:
            self._ledger.lock(order.account, order.lock_asset, change)
        elif change < 0:
            self._ledger.unlock(order.account, order.lock_asset, -change)
        return replace(order, locked=target)

    def fill(self, instrument: VenueInstrument, order: Order, execution: Execution) -> Order:
        """Move the money of one execution and add it to the order."""
        if instrument.kind == "swap":
            return self._fill_swap(instrument, order, execution)
        paid = execution.size if order.side is Side.SELL else execution.price * execution.size
        gross = execution.price * execution.size if order.side is Side.SELL else execution.size
        received = instrument.quote if order.side is Side.SELL else instrument.base
        fee = gross * self._fees[execution.maker]
        self._ledger.pay_locked(order.account, order.lock_asset, paid)
        self._ledger.receive(order.account, received, gross - fee)
        return _with_fill(replace(order, locked=order.locked - paid), execution, fee, received)

    def position(self, account: str, symbol: str) -> Position:
        """Position of an account, flat when it never traded."""
        return self.positions.get((account, symbol), Position())

    def _margin_needed(self, instrument: VenueInstrument, order: Order, price: Decimal) -> Decimal:
        if order.request.reduce_only:
            return ZERO
        closable = self.position(order.account, order.symbol).closable(order.side)
        return divide(instrument.notional(price, max(order.remaining - closable, ZERO)), self._leverage)

    def _fill_swap(self, instrument: VenueInstrument, order: Order, execution: Execution) -> Order:
        account, asset = order.account, instrument.settle_asset
        before = self.position(account, order.symbol)
        after, realised = before.after(order.side, execution.size, execution.price)
        fee = instrument.notional(execution.price, execution.size) * self._fees[execution.maker]
        released = min(order.locked, self._share(order, execution.size))
        self._ledger.unlock(account, asset, released + before.margin)
        self._settle_profit(account, asset, realised * instrument.contract_size - fee)
        wanted = divide(instrument.notional(after.entry, abs(after.size)), self._leverage)
        # A position may be under-margined after a loss: there is no liquidation, and balances stay >= 0.
        margin = min(wanted, self._ledger.balance(account, asset).available)
        self._ledger.lock(account, asset, margin)
        self.positions[account, order.symbol] = replace(after, margin=margin)
        return _with_fill(replace(order, locked=order.locked - released), execution, fee, asset)

    def _settle_profit(self, account: str, asset: str, amount: Decimal) -> None:
        if amount >= 0:
            self._ledger.receive(account, asset, amount)
        else:
            self._ledger.lose(account, asset, -amount)

    @staticmethod
    def _share(order: Order, size: Decimal) -> Decimal:
        return order.locked if size == order.remaining else divide(order.locked * size, order.remaining)


def _with_fill(order: Order, execution: Execution, fee: Decimal, fee_asset: str) -> Order:
    fill = Fill(
        trade_id=execution.trade_id,
        price=execution.price,
        size=execution.size,
        fee=fee,
        fee_asset=fee_asset,
        maker=execution.maker,
        at_ms=execution.at_ms,
    )
    return replace(order, fills=(*order.fills, fill), updated_ms=execution.at_ms)
