"""What a simulated venue is given: keys, balances, and a few switches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from casemate_mock.exchange.arithmetic import ZERO
from casemate_mock.exchange.instrument import VenueInstrument

KeyKind = Literal["hmac", "ed25519", "es256"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueKey:
    """An API key as the venue knows it.

    HMAC schemes need `secret` as the venue handed it out (kraken: base64). Asymmetric schemes need
    `public_key_pem`: a PEM, or base64 of the raw 32 bytes for Ed25519 (backpack's API key is that very
    text). Keys that share `account` share its balances and orders. `passphrase` is okx's.
    """

    api_key: str
    secret: str | None = field(default=None, repr=False)
    public_key_pem: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    kind: KeyKind = "hmac"
    account: str = "main"

    def __post_init__(self) -> None:
        """Refuse a key that could never verify anything."""
        if self.kind == "hmac" and not self.secret:
            message = f"key {self.api_key}: an HMAC key needs its secret"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `requests` signed requests of one key in each window of `window_ms`."""

    requests: int
    window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """Switches of a venue.

    `balances` maps an account to its assets; an account that is not named gets a generous amount of every
    asset. `depth` bounds what each side of the book fills until the price moves, in base units or contracts.
    """

    balances: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    half_spread_ticks: int = 1
    depth: Decimal | None = None
    leverage: Decimal = Decimal(10)
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO
    rate_limit: RateLimit | None = None


def generous_balances(instruments: Mapping[str, VenueInstrument]) -> dict[str, Decimal]:
    """Return a thousand of each base, ten million of each quote and settle asset."""
    balances: dict[str, Decimal] = {}
    for instrument in instruments.values():
        balances.setdefault(instrument.base, Decimal(1000))
    for instrument in instruments.values():
        for asset in (instrument.quote, instrument.settle_asset):
            balances[asset] = Decimal(10_000_000)
    return balances
