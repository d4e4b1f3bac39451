"""The interface of a venue file, and the few helpers that venues share.

A venue is stateless and pure: the same arguments give the same bytes, but for keys that sign with randomness.
A method raises :class:`~enclave_signer.errors.Unsupported` for what the venue cannot express; it never
rounds, drops or adds anything that the intent does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.credentials import Credential
    from enclave_signer.model import (
        Amend,
        Balances,
        Cancel,
        CancelAll,
        Instrument,
        OpenOrders,
        Order,
        Placement,
        Query,
        Stamp,
        WireRequest,
    )
    from enclave_signer.venues.declaration import Declaration


class Site(Protocol):
    """A venue bound to one account's placement and credential, made once when the credential is loaded."""

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a create."""

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a cancel."""

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a cancel of all open orders of one symbol."""

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a change of ``original``."""

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a read of one order."""

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """Build and sign a read of the open orders of one symbol."""

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:
        """Build and sign a read of the balances."""

    def logon(self, stamp: Stamp) -> WireRequest:
        """Build and sign what logs a connection for the private stream on. The policy has seen to it who may (S6).

        The request's method is WEBSOCKET where the body is the message to send first on a connection to the URL.
        """


class Venue(Protocol):
    """One venue."""

    name: str
    declaration: Declaration

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Make a credential of ccxt-named fields; raises BadCredential naming the field at fault."""

    def check_instrument(self, instrument: Instrument) -> None:
        """Raise BadPolicy if the venue cannot trade this (wrong kind, malformed venue symbol)."""

    def site(self, placement: Placement, credential: Credential) -> Site:
        """Bind the venue to one account."""
