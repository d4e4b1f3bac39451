"""The accounts' credentials, and the sites that sign with them. Only the service and the wiring see this.

A credential goes in and never comes out: what is handed out is a venue's site, which signs what it builds itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.credentials import fingerprint
from enclave_signer.errors import BadCredential

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enclave_signer.credentials import Credential
    from enclave_signer.policy.model import Account
    from enclave_signer.venues.base import Site


class _Held(NamedTuple):
    """A credential and what was made of it."""

    venue: str
    fingerprint: bytes
    read_only: bool
    credential: Credential
    site: Site


class Vault:
    """Credentials by account name."""

    __slots__ = ("_held", "_read_only")

    def __init__(self) -> None:
        """Start empty."""
        self._held: dict[str, _Held] = {}
        # What each key was held as in this boot: a connection that it logged on may live for days (S6).
        self._read_only: dict[bytes, bool] = {}

    def __repr__(self) -> str:
        """Show nothing."""
        return "<Vault>"

    def put(self, account: Account, data: bytes | bytearray) -> None:
        """Take an account's credential, canonical CBOR; raises BadCredential, which never shows its content."""
        credential = account.venue.credential(_fields(data))
        mark = fingerprint(credential)
        for name, held in self._held.items():
            if name != account.name and held.fingerprint == mark:
                message = f"this API key is account {name}'s: one key, one account"
                raise BadCredential(message, field="apiKey")
        if self._read_only.get(mark, account.read_only) is not account.read_only:
            message = "this API key was the other kind in this boot: a key logs on or trades, never both"
            raise BadCredential(message, field="apiKey")
        self._held[account.name] = _held(account, mark, credential)
        self._read_only[mark] = account.read_only

    def keep(self, accounts: Iterable[Account]) -> None:
        """A policy is live: forget what it does not name, or names the other kind; bind the rest to their places."""
        known = {account.name: account for account in accounts}
        self._held = {
            name: _held(known[name], held.fingerprint, held.credential)
            for name, held in self._held.items()
            if name in known and (known[name].venue.name, known[name].read_only) == (held.venue, held.read_only)
        }

    def sites(self) -> dict[str, Site]:
        """Return every account's site."""
        return {name: held.site for name, held in self._held.items()}


def _held(account: Account, mark: bytes, credential: Credential) -> _Held:
    return _Held(
        account.venue.name, mark, account.read_only, credential, account.venue.site(account.placement, credential)
    )


def _fields(data: bytes | bytearray) -> dict[str, str]:
    try:
        fields = decode(data)
    except NotCanonical as error:
        raise BadCredential(str(error), field="credential") from None
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        message = "a credential is a map of field names to text"
        raise BadCredential(message, field="credential")
    return fields
