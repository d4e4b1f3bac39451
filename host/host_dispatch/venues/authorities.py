"""Where each venue answers: the host connects nowhere else, whatever URL is signed.

An enclave that signs another one is broken or worse. Its request carries a live signature, which only the venue should
see. Environments (production, testnet) are the policy's business, so a venue's are listed together; what the
configuration redirects by ``connect`` is allowed as well.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPOT: Final = ("api.binance.com", "testnet.binance.vision")
_USDM: Final = ("fapi.binance.com", "testnet.binancefuture.com")

#: By venue name. An account of binance trades both products (D: as in the venue's reader).
AUTHORITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "binance": frozenset({*_SPOT, *_USDM}),
        "binanceusdm": frozenset(_USDM),
        "bybit": frozenset({"api.bybit.com", "api-testnet.bybit.com"}),
        "okx": frozenset({"www.okx.com"}),
        "kraken": frozenset({"api.kraken.com"}),
        "coinbase": frozenset({"api.coinbase.com"}),
        "backpack": frozenset({"api.backpack.exchange"}),
    }
)


def authority_of(url: str) -> str:
    """Return what stands between scheme and path: as it is, with user and port if there are any."""
    return url.partition("://")[2].partition("/")[0]
