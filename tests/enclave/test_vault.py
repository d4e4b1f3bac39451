"""The vault keeps a key for the account and the venue that it was given for, and shows it to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enclave_signer.errors import BadCredential
from enclave_signer.policy.load import load
from enclave_signer.vault import Vault
from tests.enclave.enclave_rig import SECRET, TinyVenue, account, canonical, policy, tiny

if TYPE_CHECKING:
    from enclave_signer.policy.model import Account

GOOD = canonical({"apiKey": "k", "secret": SECRET})


def accounts(**changes: Any) -> list[Account]:
    venues = {"tiny": tiny(), "other": TinyVenue(name="other")}
    return list(load(canonical(policy(account(**changes))), venues).accounts.values())


def test_a_key_stays_when_the_policy_moves_its_account_to_another_place_of_the_venue() -> None:
    vault = Vault()
    before, after = accounts()[0], accounts(environment="production")
    vault.put(before, GOOD)
    first = vault.sites()["main"]
    vault.keep(after)
    assert vault.sites()["main"] is not first


def test_a_key_is_forgotten_when_its_account_goes_to_another_venue_or_leaves() -> None:
    vault = Vault()
    vault.put(accounts()[0], GOOD)
    vault.keep(accounts(venue="other"))
    assert vault.sites() == {}
    vault.put(accounts()[0], GOOD)
    vault.keep([])
    assert vault.sites() == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD + b"\0",
        canonical([]),
        canonical({"apiKey": 1}),
        canonical({"apiKey": "k"}),
        canonical({"secret": "s"}),
    ],
)
def test_a_credential_in_a_wrong_form_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(BadCredential) as caught:
        Vault().put(accounts()[0], data)
    assert SECRET not in str(caught.value)


def test_its_repr_shows_nothing() -> None:
    vault = Vault()
    vault.put(accounts()[0], GOOD)
    assert repr(vault) == "<Vault>"
