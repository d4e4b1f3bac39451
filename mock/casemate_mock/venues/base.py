"""What every simulated venue has: keys, accounts, an exchange, a clock, randomness, and one way in.

:meth:`SimulatedVenue.handle` takes a request's bytes and returns a reply's bytes: no socket, no clock of its
own. A subclass lists its endpoints in `routes` and maps the exchange's refusals to its own codes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, ClassVar

from casemate_mock.exchange import Exchange, ExchangeRules, Refused, VenueInstrument
from casemate_mock.exchange.arithmetic import exact
from casemate_mock.venues.config import VenueKey, VenueSettings, generous_balances
from casemate_mock.venues.wire import MalformedError, VenueFault, VenueRequest, VenueResponse

# A parsed JSON body or reply: a venue reads and writes shapes that only its documentation types.
Json = dict[str, Any]

# Without a configured limit, usage headers count by the minute.
_COUNTED_MS = 60_000


class SimulatedVenue(ABC):
    """One venue. `exchange` is open to tests: orders by client id, balances, moving prices."""

    name: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        keys: Sequence[VenueKey],
        instruments: Sequence[VenueInstrument],
        *,
        clock_ms: Callable[[], int],
        rng: Random,
        settings: VenueSettings,
    ) -> None:
        """Open an account for every key; `clock_ms` is the venue's own clock, in milliseconds UTC."""
        self.keys = {key.api_key: key for key in keys}
        self.clock_ms = clock_ms
        self.rng = rng
        self.settings = settings
        self.exchange = Exchange(
            instruments,
            clock_ms=clock_ms,
            make_id=self.make_id,
            rules=self.rules(settings),
            half_spread_ticks=settings.half_spread_ticks,
            depth=settings.depth,
        )
        self._windows: dict[str, tuple[int, int]] = {}
        self._open_accounts(keys)
        self.prepare()

    @exact
    def handle(self, request: VenueRequest) -> VenueResponse:
        """Answer one request; never raises for what a client may send."""
        self.exchange.expire_due()
        try:
            return self.route(request)
        except VenueFault as fault:
            return fault.response
        except Refused as refused:
            return self.refused(refused, request)
        except MalformedError as error:
            return self.malformed(str(error))

    @abstractmethod
    def prepare(self) -> None:
        """Lay out the endpoints; called once, when the exchange exists."""

    @abstractmethod
    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """Rules of this venue's exchange."""

    @abstractmethod
    def make_id(self, number: int) -> str:
        """Return the venue's id of its order number `number`."""

    @abstractmethod
    def route(self, request: VenueRequest) -> VenueResponse:
        """Find and run the endpoint; raises VenueFault or Refused to answer an error."""

    @abstractmethod
    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """Map a refusal of the exchange to the venue's reply."""

    @abstractmethod
    def malformed(self, message: str) -> VenueResponse:
        """Reply to a request that cannot be read."""

    def listed(self, kind: str) -> list[VenueInstrument]:
        """Instruments of a kind."""
        return [instrument for instrument in self.exchange.instruments.values() if instrument.kind == kind]

    def find(self, venue_symbol: object, kind: str | None = None) -> VenueInstrument | None:
        """Instrument by the venue's own symbol."""
        for instrument in self.exchange.instruments.values():
            if instrument.venue_symbol == venue_symbol and kind in {None, instrument.kind}:
                return instrument
        return None

    def over_limit(self, api_key: str) -> int | None:
        """Count a signed request; the milliseconds to wait when the rate is exceeded, else None."""
        limit, now = self.settings.rate_limit, self.clock_ms()
        window_ms = _COUNTED_MS if limit is None else limit.window_ms
        start, used = self._windows.get(api_key, (now, 0))
        if now - start >= window_ms:
            start, used = now, 0
        self._windows[api_key] = (start, used + 1)
        return None if limit is None or used < limit.requests else start + window_ms - now

    def used(self, api_key: str) -> int:
        """Signed requests counted in the current window."""
        return self._windows.get(api_key, (0, 0))[1]

    def uuid(self) -> str:
        """Return a random-looking UUID from the injected randomness."""
        text = f"{self.rng.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"

    def _open_accounts(self, keys: Sequence[VenueKey]) -> None:
        generous = generous_balances(self.exchange.instruments)
        for account in dict.fromkeys(key.account for key in keys):
            balances: Mapping[str, Any] = self.settings.balances.get(account, generous)
            for asset, amount in balances.items():
                self.exchange.deposit(account, asset, amount)
