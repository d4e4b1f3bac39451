"""The host goes to every place that the enclave's venue files name, and to no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enclave_signer.venues.registry import VENUES
from host_dispatch.venues.authorities import AUTHORITIES, authority_of
from tests.contract.contract_rig import CASES, Bench, Case, make_keys

VENUE_FILES = Path(__file__).parents[2] / "enclave" / "enclave_signer" / "venues"
# A host's name alone, or behind a scheme that the host speaks; streams (wss) are the engine's to open.
NAMED = re.compile(r'"(?:https://)?([a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|vision|exchange))"')


def test_the_lists_hold_what_the_venue_files_name_and_nothing_else() -> None:
    named = {found for path in VENUE_FILES.glob("*.py") for found in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert set().union(*AUTHORITIES.values()) == named
    assert set(AUTHORITIES) == set(VENUES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_signed_leads_to_the_venues_own_authorities(case: Case) -> None:
    bench = Bench(case, make_keys(case))
    named = {"backpack": "7", "okx": "6b9a4e1c3d2f4f839b750c1d2e3f4a5b"}
    client_id = named.get(case.venue, "6b9a4e1c-3d2f-4f83-9b75-0c1d2e3f4a5b")
    requests = [
        bench.site.create(bench.limit(client_id), bench.btc, bench.stamp()),
        bench.site.balances(bench.balances(), bench.stamp()),
    ]
    assert {authority_of(request.url) for request in requests} <= AUTHORITIES[case.venue]
