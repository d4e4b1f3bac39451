"""What the host refuses by itself, before anything is journaled or signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_dispatch.errors import NotTakenError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatch_api.v1.dispatch_pb2 import Routing
    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.dispatcher.settings import DispatchSettings
    from host_dispatch.dispatcher.sites import Site


class Intake:
    """Pause, recovery, overload, staleness. Holds the few flags that they need."""

    def __init__(self, sites: Mapping[str, Site], settings: DispatchSettings, clock: Clock) -> None:
        """``sites``: by venue name."""
        self._sites = sites
        self._settings = settings
        self._clock = clock
        self._paused_until = 0
        # Account -> intents of an earlier process that have no known outcome yet.
        self._recovering: dict[str, set[int]] = {}

    # --- pause

    def pause(self, milliseconds: int) -> None:
        """Take no new orders for a while."""
        self._paused_until = self._clock.monotonic_ns() + milliseconds * 1_000_000

    def unpause(self) -> None:
        """Take new orders again."""
        self._paused_until = 0

    @property
    def paused(self) -> bool:
        """Whether new orders are refused at present."""
        return self._clock.monotonic_ns() < self._paused_until

    # --- recovery

    def recovering(self, dispatch: Dispatch) -> None:
        """Close the account until this intent's outcome is known, or the bound is reached."""
        self._recovering.setdefault(dispatch.account, set()).add(dispatch.intent)

    def settled(self, dispatch: Dispatch) -> None:
        """Note that an intent's outcome is known, or was given up with an alarm."""
        if self._recovering:
            waiting = self._recovering.get(dispatch.account)
            if waiting is not None:
                waiting.discard(dispatch.intent)
                if not waiting:
                    del self._recovering[dispatch.account]

    def stop_recovering(self) -> None:
        """The bound was reached: open every account."""
        self._recovering.clear()

    # --- checks

    def check_risky(self, routing: Routing) -> None:
        """Raise NotTakenError if no new orders are taken (creates and amends)."""
        if self.paused:
            raise NotTakenError(Reason.PAUSED, "the host is paused by its operator")
        if routing.account in self._recovering:
            message = "orders of before the host's restart are still being resolved for this account"
            raise NotTakenError(Reason.RECOVERING, message, field="routing.account")
        if len(self._sites[routing.venue].lane(routing.account)) >= self._settings.queue:
            message = f"{self._settings.queue} orders of this account wait already"
            raise NotTakenError(Reason.OVERLOADED, message, field="routing.account")

    def check_stale(self, routing: Routing) -> None:
        """Raise NotTakenError if the intent is dead on arrival."""
        if self._clock.now_ns() >= routing.valid_until:
            message = f"valid_until {routing.valid_until} is not in the future"
            raise NotTakenError(Reason.STALE, message, field="routing.valid_until")
