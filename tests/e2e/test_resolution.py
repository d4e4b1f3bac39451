"""What becomes of an order whose reply was lost, and of a cancel that the venue only takes note of: real enclave."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate_mock.pytest_plugin import RunningStack

pytest_plugins = ["casemate_mock.pytest_plugin"]


class Trader:
    """Trades one account of the stack."""

    def __init__(self, stack: RunningStack, venue: str) -> None:
        self._stack = stack
        self._channel = grpc.insecure_channel(stack.gateway, options=(("grpc.enable_retries", 0),))
        self.account = next(account for account in stack.accounts if account["venue"] == venue)
        self.symbol = self.account["instruments"][0]["symbol"]

    def call(self, method: str, request: Any, kind: Any = wire.SubmitReply) -> Any:
        return self._channel.unary_unary(
            f"/casemate.dispatch.v1.OrderDispatch/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=kind.FromString,
        )(request, timeout=20)

    def request(self, name: str, order: dict[str, Any] | None) -> wire.SubmitRequest:
        """Return an order, or without one its cancel."""
        now = time.time_ns()
        common = {
            "account": self.account["name"],
            "venue": self.account["venue"],
            "symbol": self.symbol,
            "client_order_id": name,
            "valid_until": now + 4_000_000_000,
        }
        if order is None:
            intent = intent_pb2.Intent(cancel=intent_pb2.CancelIntent(created_at=now, **common))
            operation = signer_pb2.OPERATION_CANCEL
        else:
            intent = intent_pb2.Intent(order=intent_pb2.OrderIntent(created_at=now, **order, **common))
            operation = signer_pb2.OPERATION_CREATE
        sealed = intent_pb2.SealedIntent(
            session=self._stack.engine.encode(), counter=1, intent=intent.SerializeToString()
        )
        return wire.SubmitRequest(sealed=sealed, routing=wire.Routing(operation=operation, **common))

    def becomes(self, name: str, state: int) -> wire.ExecutionReport:
        """Wait until `Get` says so."""
        wanted = wire.GetRequest(account=self.account["name"], client_order_id=name)
        deadline = time.monotonic() + 20
        while (report := self.call("Get", wanted, wire.ExecutionReport)).state != state:
            assert time.monotonic() < deadline, report
            time.sleep(0.05)
        found: wire.ExecutionReport = report
        return found

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def trader(unauthenticated_stack: RunningStack, request: pytest.FixtureRequest) -> Iterator[Trader]:
    """A trader at the venue that the test names."""
    made = Trader(unauthenticated_stack, request.param)
    yield made
    made.close()


def limit(*, quantity: str, price: str) -> dict[str, Any]:
    """Return the fields of a buy."""
    return {
        "side": intent_pb2.SIDE_BUY,
        "type": intent_pb2.ORDER_TYPE_LIMIT,
        "time_in_force": intent_pb2.TIME_IN_FORCE_GTC,
        "quantity": quantity,
        "price": price,
    }


def name_for(venue: str) -> str:
    """Return a fresh client order id in the venue's own form."""
    return str(uuid.uuid4().int % (1 << 32)) if venue == "backpack" else uuid.uuid4().hex


@pytest.mark.parametrize("trader", ["kraken", "backpack"], indirect=True)
def test_d2_an_order_that_filled_while_its_reply_was_lost_is_found_among_the_finished_ones(
    unauthenticated_stack: RunningStack, trader: Trader
) -> None:
    name = name_for(trader.account["venue"])
    unauthenticated_stack.script(trader.account["server"], kind="DROP_AFTER", method="POST")
    order = limit(quantity="0.001", price="61000")
    answer = trader.call("Submit", trader.request(name, order))
    assert answer.report.state == wire.ORDER_STATE_UNKNOWN, answer
    report = trader.becomes(name, wire.ORDER_STATE_FILLED)
    assert report.filled_quantity
    sent = [
        order for order in unauthenticated_stack.orders(trader.account["server"]) if order["client_order_id"] == name
    ]
    assert len(sent) == 1


@pytest.mark.parametrize("trader", ["bybit"], indirect=True)
def test_a_cancel_that_the_venue_only_takes_note_of_leads_to_the_orders_end(
    unauthenticated_stack: RunningStack, trader: Trader
) -> None:
    del unauthenticated_stack
    name = name_for(trader.account["venue"])
    placed = trader.call("Submit", trader.request(name, limit(quantity="0.001", price="50000")))
    assert placed.report.state == wire.ORDER_STATE_OPEN, placed
    canceled = trader.call("Cancel", trader.request(name, None))
    assert canceled.report.error_class == 0, canceled
    trader.becomes(name, wire.ORDER_STATE_CANCELED)
