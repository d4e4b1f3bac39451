"""How often, and when again: a frozen value. No randomness of its own: jitter is passed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """``attempts`` in all, the first included; waits of ``first_ms``, doubled each time up to ``longest_ms``."""

    attempts: int
    first_ms: int
    longest_ms: int

    def __post_init__(self) -> None:
        """Refuse a plan that could not be followed."""
        if self.attempts < 1 or self.first_ms < 0 or self.longest_ms < self.first_ms:
            message = f"not a retry plan: {self}"
            raise ValueError(message)

    @classmethod
    def none(cls) -> RetryPlan:
        """Try once."""
        return cls(1, 0, 0)

    def delay_ms(self, made: int) -> int | None:
        """Return the wait after ``made`` attempts, None when there is none left."""
        if made >= self.attempts:
            return None
        return self.backoff_ms(made)

    def backoff_ms(self, made: int) -> int:
        """Return the wait after ``made`` attempts, however many are left."""
        # Beyond 30 doublings every sensible cap is reached; this keeps the number small.
        return min(self.first_ms << min(max(made - 1, 0), 30), self.longest_ms)


def jittered(delay_ms: int, random: float) -> float:
    """Spread a wait over [75 %, 125 %] so that many askers do not meet; ``random`` is in [0, 1). Seconds."""
    return delay_ms * (0.75 + random / 2) / 1000
