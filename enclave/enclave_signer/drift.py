"""How far the enclave's clock is from its security module's (S11). Pure: both times are passed in.

Whatever is signed carries the clock's time and ends by it, and statements begin and end by it. The host cannot set
the module's clock, so past a bound between the two nothing is signed, cancels included: with a wrong stamp a venue
takes them for stale, or takes them for longer than they say. HALT works always.
"""

from __future__ import annotations

from typing import Final

from enclave_signer.errors import ClockDrift, Refused

# Below what venues allow a stamp to be off by (binance 1 s ahead, 5 s behind; bybit the same), with the module's
# own millisecond and a slow answer inside it.
BOUND_NS: Final = 2_000_000_000
# So many comparisons in a row may fail, or be too slow to say anything.
MOST_MISSED: Final = 10
_NS_IN_MS: Final = 1_000_000


class Drift:
    """The latest comparison. Nothing is signed before the first one."""

    __slots__ = ("_ahead", "_missed", "_off", "nanoseconds", "stops")

    def __init__(self) -> None:
        """``nanoseconds``: how far the enclave's clock is ahead. ``stops``: whether nothing may be signed."""
        self.nanoseconds = 0
        self.stops = True
        self._missed = MOST_MISSED
        # Whether the comparison stops the signing, and how far the latest time that was gone by is ahead of the clock.
        self._off = True
        self._ahead = 0

    def held(self, ahead: int) -> None:
        """Time never goes backwards: what is gone by is ``ahead`` (ns) of the clock, which was ahead itself before.

        Limits would be free too early by as much, and stamps are wrong by it, until the clock has caught up.
        """
        self._ahead = ahead
        self._judge()

    def compare(self, before: int, module_ms: int, after: int) -> bool:
        """Take a reading: the module said ``module_ms`` between ``before`` and ``after`` (ns) of the enclave's clock.

        Returns whether it told anything.

        The true difference lies within half of the time that the answer took, so that much is not held against it.
        """
        slack = abs(after - before) // 2 + _NS_IN_MS
        drift = (before + after) // 2 - module_ms * _NS_IN_MS
        if slack > BOUND_NS:
            self.missed()
            return False
        self._missed = 0
        self.nanoseconds = drift
        self._off = abs(drift) - slack > BOUND_NS
        self._judge()
        return True

    def missed(self) -> None:
        """Take note that a comparison failed: too many in a row, and the clock is not known to be right any more."""
        self._missed += 1
        self._off = self._off or self._missed >= MOST_MISSED
        self._judge()

    def _judge(self) -> None:
        self.stops = self._off or self._ahead > BOUND_NS

    def refusal(self) -> Refused:
        """Return the verdict on an intent while ``stops``."""
        numbers = (("drift", str(self.nanoseconds)), ("bound", str(BOUND_NS)))
        return Refused("clock_drift", self._reason(), numbers)

    def error(self) -> ClockDrift:
        """Return the error for a statement while ``stops``."""
        return ClockDrift(self._reason(), field="clock")

    def _reason(self) -> str:
        if not self._off:
            return f"the enclave's clock was ahead: nothing is signed for another {self._ahead // _NS_IN_MS} ms"
        if self._missed:
            return "the security module's clock cannot be read: the enclave's own is not known to be right"
        return (
            f"the enclave's clock is {abs(self.nanoseconds) // _NS_IN_MS} ms"
            f" {'ahead of' if self.nanoseconds > 0 else 'behind'} the security module's, at most"
            f" {BOUND_NS // _NS_IN_MS} ms are accepted"
        )


class NoDrift(Drift):
    """For an enclave without a security module to compare with: nothing stops it here."""

    __slots__ = ()

    def __init__(self) -> None:
        """Stop nothing."""
        super().__init__()
        self.stops = self._off = False

    def held(self, ahead: int) -> None:
        """Nobody says which of the two times was right."""
