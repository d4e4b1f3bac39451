"""Where the demonstration's orders come from: a tape of real trades, or a generator with bursts like one.

A tape is CSV with the header ``time_s,side,type,price,quantity,trade_id``: epoch seconds, buy or sell, decimals.
"""

from __future__ import annotations

import csv
import math
from decimal import Decimal, InvalidOperation
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COLUMNS: Final = ("time_s", "side", "price", "quantity")


class Trade(NamedTuple):
    """One trade: seconds since the tape's first one, and what was traded."""

    at_s: float
    buy: bool
    price: Decimal
    quantity: Decimal


class TapeError(ValueError):
    """A tape that cannot be read; names the file, the line and what was expected."""


def read_tape(path: Path) -> list[Trade]:
    """Read all trades of a tape, in its order. Raises TapeError or OSError."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            message = f"{path}: expected a header with {', '.join(_COLUMNS)}; {', '.join(missing)} missing"
            raise TapeError(message)
        trades = [_trade(path, reader.line_num, row) for row in reader]
    if not trades:
        message = f"{path}: expected at least one trade"
        raise TapeError(message)
    start = trades[0].at_s
    return [trade._replace(at_s=trade.at_s - start) for trade in trades]


def _trade(path: Path, line: int, row: dict[str, str]) -> Trade:
    try:
        trade = Trade(float(row["time_s"]), row["side"] == "buy", Decimal(row["price"]), Decimal(row["quantity"]))
        sound = 0 < trade.price < math.inf and 0 < trade.quantity < math.inf and math.isfinite(trade.at_s)
    except (InvalidOperation, ValueError, TypeError):
        trade, sound = None, False
    if trade is None or not sound or row["side"] not in {"buy", "sell"}:
        message = f"{path}:{line}: expected a time, buy or sell, a positive price and quantity; got {row}"
        raise TapeError(message)
    return trade


def generate(count: int, seed: int) -> list[Trade]:
    """Make trades that come in bursts: a Hawkes process by Ogata's thinning, log-normal sizes, a price that walks.

    Same seed, same trades. Background and excitation give a branching ratio of 0.8: four in five trades are set
    off by an earlier one, which is what trade tapes look like.
    """
    random = Random(seed)  # noqa: S311 - a demonstration's shape, no secret
    price = Decimal(60_000)
    trades: list[Trade] = []
    for at_s in _hawkes(random, count):
        buy = random.random() < (0.8 if trades and trades[-1].buy else 0.2)
        price += Decimal(random.choice((-1, 0, 0, 1))) + (1 if buy else -1) * Decimal(random.randrange(3)) / 2
        quantity = Decimal(repr(round(math.exp(random.gauss(-5.5, 1.6)), 8))) + Decimal("0.00000001")
        trades.append(Trade(at_s, buy, price, quantity))
    return trades


def _hawkes(random: Random, count: int, base: float = 1.0, jump: float = 4.0, decay: float = 5.0) -> Iterator[float]:
    """Yield event times of an exponential Hawkes process; ``jump / decay`` is the branching ratio."""
    now, excitement, found = 0.0, 0.0, 0
    while found < count:
        bound = base + excitement
        wait = random.expovariate(bound)
        now += wait
        excitement *= math.exp(-decay * wait)
        if random.random() * bound <= base + excitement:
            excitement += jump
            found += 1
            yield now
