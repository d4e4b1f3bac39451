"""The readers by venue name: the same names that policies and the enclave use."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.venues.backpack import BACKPACK
from host_dispatch.venues.binance import BINANCE, BINANCEUSDM
from host_dispatch.venues.bybit import BYBIT
from host_dispatch.venues.coinbase import COINBASE
from host_dispatch.venues.kraken import KRAKEN
from host_dispatch.venues.okx import OKX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from host_dispatch.venues.base import VenueReader

READERS: Final[Mapping[str, VenueReader]] = MappingProxyType(
    {reader.name: reader for reader in (BINANCE, BINANCEUSDM, BYBIT, OKX, KRAKEN, COINBASE, BACKPACK)}
)
