"""An engine on the real wire: attested, in session, through the real host to the real service and back."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from casemate import AttestedSealer, Gateway, HaltIntent, OrderIntent, SubmitResult, UnauthenticatedSealer, read_profile
from casemate.errors import NotAllowed, NotAttested, NotReady, OutcomeUnknown
from casemate.models import HaltScope
from casemate.profile import engine_sealer
from casemate_mock.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path


def _sealer(ready: dict[str, Any], engine: str, **pins: Any) -> AttestedSealer:
    said = read_profile(ready["profiles"][engine])
    assert said.key is not None
    assert said.pins is not None
    return engine_sealer(engine, said.key, replace(said.pins, **pins))


def _order(ready: dict[str, Any]) -> OrderIntent:
    account = next(account for account in ready["accounts"] if account["venue"] == "binance")
    instrument = next(each for each in account["instruments"] if ":" not in each["symbol"])
    price = instrument["price_band"][0]
    names = (account["name"], "binance", instrument["symbol"], "BUY")
    quantity = instrument["lot_size"]
    return OrderIntent.limit(*names, quantity=quantity, price=price, client_order_id=uuid.uuid4().hex)


async def _once_reachable(gateway: Gateway, ready: dict[str, Any]) -> SubmitResult:
    """Submit a new order until the host reaches the enclave again: before that none was handed over."""
    while True:
        try:
            return await gateway.submit(_order(ready))
        except NotReady:
            await asyncio.sleep(0.05)


def test_s3_an_order_in_session_goes_through_the_whole_stack(tmp_path: Path) -> None:
    async def trade() -> None:
        stack = Stack(tmp_path)
        try:
            ready = await stack.start()
            async with Gateway(ready["gateway"], _sealer(ready, "demo-engine")) as gateway, gateway.stream() as stream:
                status = await gateway.status()
                assert not status.enclave.unauthenticated
                first = await gateway.submit(_order(ready))
                second = await stream.submit(_order(ready))
                assert first.allowed, first
                assert first.authenticated
                assert second.allowed
                assert second.authenticated
                account = ready["accounts"][0]
                balances = await gateway.balances(account["name"], account["venue"])
                assert balances.authenticated
                halted = await gateway.halt(HaltIntent(scope=HaltScope.ACCOUNT, account=account["name"]))
                assert halted.authenticated
                # Another boot of the same image: the engine opens a session with it by itself.
                await stack.restart_enclave()
                with pytest.raises(OutcomeUnknown, match="NOT_AUTHENTICATED"):
                    await _once_reachable(gateway, ready)
                assert (await gateway.submit(_order(ready))).authenticated
            async with Gateway(ready["gateway"], UnauthenticatedSealer("demo-engine")) as stranger:
                with pytest.raises(NotAllowed, match="NOT_AUTHENTICATED"):
                    await stranger.submit(_order(ready))
            with_other_pins = _sealer(ready, "demo-engine", minimum_policy_version=2)
            async with Gateway(ready["gateway"], with_other_pins) as careful:
                with pytest.raises(NotAttested, match="version"):
                    await careful.submit(_order(ready))
        finally:
            await stack.stop()

    asyncio.run(trade())
