"""A signed URL that leads elsewhere than to its venue is not followed, whoever signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.journal.records import EventKind
from host_dispatch.venues.authorities import AUTHORITIES, authority_of
from host_dispatch.venues.registry import READERS
from tests.host.host_rig import AUTHORITY, create, other, running
from tests.host.test_dispatch_promises import kinds

if TYPE_CHECKING:
    from pathlib import Path

    from signer_api.v1 import signer_pb2


@pytest.mark.parametrize(
    "authority", ["127.0.0.1:{port}", "evil.test", f"user@{AUTHORITY}", f"{AUTHORITY}:443", f"{AUTHORITY}.", ""]
)
async def test_nothing_is_sent_to_an_authority_that_is_not_the_venues(tmp_path: Path, authority: str) -> None:
    async with running(tmp_path) as rig:
        there = authority.format(port=rig.venue.port)

        def elsewhere(request: signer_pb2.SignedRequest) -> None:
            request.url = request.url.replace(f"//{AUTHORITY}/", f"//{there}/")

        rig.enclave.twist = elsewhere
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (wire.ORDER_STATE_REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert report.venue_code == "NOT_SENT"
        assert "does not lead to tiny" in report.venue_message
        assert kinds(rig, "a")[-1] == EventKind.NOT_SENT
        read = await rig.api.call("Read", other("balances"), wire.ReadReply)
        assert read.error_class == wire.ERROR_CLASS_NOT_SENT
        logon = await rig.api.call("Logon", other("logon"), wire.LogonReply)
        assert (logon.error_class, logon.token) == (wire.ERROR_CLASS_NOT_SENT, "")
        assert rig.venue.connections == 0


def test_every_venue_has_its_authorities() -> None:
    assert set(AUTHORITIES) == set(READERS)
    assert authority_of("https://api.kraken.com/0/private/AddOrder") == "api.kraken.com"
