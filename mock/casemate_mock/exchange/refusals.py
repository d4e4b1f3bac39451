"""Why the exchange refuses an instruction: a closed set that every venue maps to its own codes."""

from enum import Enum, unique


@unique
class Refusal(Enum):
    """The reason; a venue's `match` over it ends in `assert_never`."""

    TICK = "price is not a multiple of the tick"
    LOT = "quantity is not a multiple of the lot"
    MIN_QUANTITY = "quantity is below the minimum"
    MIN_NOTIONAL = "notional is below the minimum"
    INSUFFICIENT_BALANCE = "balance is insufficient"
    DUPLICATE_CLIENT_ID = "client order id is already in use"
    POST_ONLY_WOULD_TAKE = "post-only order would take liquidity"
    REDUCE_ONLY = "reduce-only order would not reduce a position"
    WOULD_TRIGGER = "stop price would trigger at once"
    UNKNOWN_ORDER = "no such order"
    NOT_OPEN = "the order is no longer open"
    BELOW_FILLED = "amended quantity is not above what is filled"


class Refused(Exception):
    """The exchange said no; nothing has changed."""

    def __init__(self, reason: Refusal) -> None:
        """Keep the reason; the text is for people."""
        super().__init__(reason.value)
        self.reason = reason
