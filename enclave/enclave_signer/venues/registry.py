"""Every venue by its name; the names are ccxt's."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from enclave_signer.venues import backpack, binance, bybit, coinbase, kraken, okx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.venues.base import Venue

_ALL: Final[tuple[Venue, ...]] = (
    backpack.VENUE,
    binance.VENUE,
    binance.USDM,
    bybit.VENUE,
    coinbase.VENUE,
    kraken.VENUE,
    okx.VENUE,
)

VENUES: Final[Mapping[str, Venue]] = MappingProxyType({venue.name: venue for venue in _ALL})
