"""One limit order through everything, with nothing but the public wire: engine, host, enclave, venue, journal."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate_mock.pytest_plugin import RunningStack

pytest_plugins = ["casemate_mock.pytest_plugin"]
_SECOND = 1_000_000_000


class Engine:
    """A trading engine that knows the protocol files and nothing else."""

    def __init__(self, stack: RunningStack) -> None:
        self._channel = grpc.insecure_channel(stack.gateway, options=(("grpc.enable_retries", 0),))
        self._session = stack.engine.encode()
        self.account = next(account for account in stack.accounts if account["venue"] == "binance")
        self.symbol = next(item["symbol"] for item in self.account["instruments"] if ":" not in item["symbol"])

    def call(self, method: str, request: Any, kind: Any) -> Any:
        return self._channel.unary_unary(
            f"/casemate.dispatch.v1.OrderDispatch/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=kind.FromString,
        )(request, timeout=20)

    def fields(self, client_order_id: str) -> dict[str, Any]:
        """Return what every intent about one order says."""
        now = time.time_ns()
        return {
            "account": self.account["name"],
            "venue": self.account["venue"],
            "symbol": self.symbol,
            "client_order_id": client_order_id,
            "created_at": now,
            "valid_until": now + 4 * _SECOND,
        }

    def seal(
        self, operation: signer_pb2.Operation, intent: intent_pb2.Intent, common: dict[str, Any]
    ) -> wire.SubmitRequest:
        """Return the request that carries an intent."""
        names = ("account", "venue", "symbol", "client_order_id", "valid_until")
        return wire.SubmitRequest(
            sealed=intent_pb2.SealedIntent(session=self._session, counter=1, intent=intent.SerializeToString()),
            routing=wire.Routing(operation=operation, **{name: common[name] for name in names}),
        )

    def limit(self, client_order_id: str, *, price: str) -> wire.SubmitRequest:
        """Return a buy that rests."""
        common = self.fields(client_order_id)
        order = intent_pb2.OrderIntent(
            side=intent_pb2.SIDE_BUY,
            type=intent_pb2.ORDER_TYPE_LIMIT,
            time_in_force=intent_pb2.TIME_IN_FORCE_GTC,
            quantity="0.001",
            price=price,
            **common,
        )
        return self.seal(signer_pb2.OPERATION_CREATE, intent_pb2.Intent(order=order), common)

    def cancel(self, client_order_id: str) -> wire.SubmitRequest:
        """Return its cancel."""
        common = self.fields(client_order_id)
        intent = intent_pb2.Intent(cancel=intent_pb2.CancelIntent(**common))
        return self.seal(signer_pb2.OPERATION_CANCEL, intent, common)

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()


@pytest.fixture
def engine(unauthenticated_stack: RunningStack) -> Iterator[Engine]:
    """An engine connected to the stack."""
    made = Engine(unauthenticated_stack)
    yield made
    made.close()


def at_venue(stack: RunningStack, engine: Engine, client_order_id: str) -> list[dict[str, Any]]:
    """Return the venue's own orders of that id."""
    return [order for order in stack.orders(engine.account["server"]) if order["client_order_id"] == client_order_id]


def test_a_limit_order_arrives_at_the_venue_and_its_life_is_in_the_journal(
    unauthenticated_stack: RunningStack, engine: Engine
) -> None:
    name = uuid.uuid4().hex
    request = engine.limit(name, price="59000")
    placed = engine.call("Submit", request, wire.SubmitReply)
    assert placed.verdict.decision == signer_pb2.DECISION_ALLOW, placed.verdict
    assert placed.report.state == wire.ORDER_STATE_OPEN, placed.report
    (order,) = at_venue(unauthenticated_stack, engine, name)
    assert placed.report.venue_order_id == order["venue_order_id"]
    assert order["status"] == "new"

    # The same intent again: the stored report, and still one order at the venue.
    again = engine.call("Submit", request, wire.SubmitReply)
    assert again.repeated
    assert again.report == placed.report
    assert len(at_venue(unauthenticated_stack, engine, name)) == 1

    canceled = engine.call("Cancel", engine.cancel(name), wire.SubmitReply)
    assert canceled.report.state == wire.ORDER_STATE_CANCELED, canceled.report
    wanted = wire.GetRequest(account=engine.account["name"], client_order_id=name)
    deadline = time.monotonic() + 10
    while (report := engine.call("Get", wanted, wire.ExecutionReport)).state != wire.ORDER_STATE_CANCELED:
        assert time.monotonic() < deadline, report
        time.sleep(0.02)


def test_an_order_outside_the_policy_never_reaches_the_venue(
    unauthenticated_stack: RunningStack, engine: Engine
) -> None:
    name = uuid.uuid4().hex
    refused = engine.call("Submit", engine.limit(name, price="1"), wire.SubmitReply)
    assert refused.verdict.decision == signer_pb2.DECISION_REFUSE
    assert refused.verdict.rule == "band"
    assert refused.report.state == wire.ORDER_STATE_REFUSED
    assert at_venue(unauthenticated_stack, engine, name) == []


def test_d2_a_lost_reply_is_resolved_by_asking_and_the_order_exists_once(
    unauthenticated_stack: RunningStack, engine: Engine
) -> None:
    name = uuid.uuid4().hex
    unauthenticated_stack.script(engine.account["server"], kind="DROP_AFTER", method="POST")
    unknown = engine.call("Submit", engine.limit(name, price="59000"), wire.SubmitReply)
    assert unknown.report.state == wire.ORDER_STATE_UNKNOWN, unknown.report
    wanted = wire.GetRequest(account=engine.account["name"], client_order_id=name)
    deadline = time.monotonic() + 15
    while (report := engine.call("Get", wanted, wire.ExecutionReport)).state != wire.ORDER_STATE_OPEN:
        assert time.monotonic() < deadline, report
        time.sleep(0.05)
    assert len(at_venue(unauthenticated_stack, engine, name)) == 1
    engine.call("Cancel", engine.cancel(name), wire.SubmitReply)


def test_no_signature_is_in_the_journal(unauthenticated_stack: RunningStack, engine: Engine) -> None:
    name = uuid.uuid4().hex
    engine.call("Submit", engine.limit(name, price="59000"), wire.SubmitReply)
    path = Path(unauthenticated_stack.gateway.removeprefix("unix:")).parent / "journal.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal, journal:
        payloads = [row[0] for row in journal.execute("SELECT payload FROM events WHERE client_order_id = ?", (name,))]
    assert len(payloads) == 3
    for payload in payloads:
        assert b"signature=" not in payload
        assert b"X-MBX-APIKEY" not in payload
    engine.call("Cancel", engine.cancel(name), wire.SubmitReply)
