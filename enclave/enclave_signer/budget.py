"""What a duty grant leaves of one limit (S13): beside the rolling limit, and never more than it."""

from __future__ import annotations

from typing import Final

# More than any limit allows: 10**18 units of 10**-18, times a price and a contract size of the same bound.
FULL: Final = 10**120


class Budget:
    """What may still be spent (in the units of the limit's notional) and how often, until the grant ends."""

    __slots__ = ("count", "spent")

    def __init__(self) -> None:
        """Start without a bound: where no grant is needed, none limits."""
        self.spent = FULL
        self.count = FULL

    def grant(self, spent: int | None, count: int | None, share: tuple[int, int]) -> None:
        """Take a new grant's share of the limit's maxima; None where the limit has no such bound."""
        self.spent, self.count = _share(spent, share), _share(count, share)

    def narrow(self, spent: int | None, count: int | None, share: tuple[int, int]) -> None:
        """Take the share of other maxima within the same grant: what is left never grows."""
        self.spent, self.count = min(self.spent, _share(spent, share)), min(self.count, _share(count, share))

    def lift(self) -> None:
        """Bound nothing any more: the policy asks for no grants."""
        self.spent = self.count = FULL


def _share(most: int | None, share: tuple[int, int]) -> int:
    return FULL if most is None else most * share[0] // share[1]
