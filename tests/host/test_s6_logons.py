"""S6 at the host: a logon is judged and recorded, handed back to who asked, and neither sent nor kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.journal.records import EventKind
from signer_api.v1 import signer_pb2
from tests.host.host_rig import SIGNATURE, Rig, answering, create, drop, other, running
from tests.host.test_dispatch_promises import held, kinds, refused

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = b'{"op":"login","sign":"%s"}' % SIGNATURE.encode()
TOKEN = "listen-to-this-" + "k" * 49

JOURNAL = ("journal.db", "journal.db-wal")


def websocket(request: signer_pb2.SignedRequest) -> None:
    """Have the enclave sign a message for the engine's own socket."""
    request.method, request.url, request.body = "WEBSOCKET", "wss://stream.tiny.test/private", MESSAGE


async def logon(rig: Rig, request: wire.SubmitRequest | None = None) -> wire.LogonReply:
    asked = other("logon") if request is None else request
    reply: wire.LogonReply = await rig.api.call("Logon", asked, wire.LogonReply)
    return reply


async def test_s6_a_message_for_a_socket_is_handed_back_and_the_venue_sees_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = websocket
        reply = await logon(rig)
        assert reply.verdict.decision == signer_pb2.DECISION_ALLOW
        signed = signer_pb2.SignedRequest.FromString(reply.request)
        assert (signed.method, signed.body) == ("WEBSOCKET", MESSAGE)
        assert signed.operation == signer_pb2.OPERATION_LOGON
        assert (reply.token, reply.error_class) == ("", 0)
        assert kinds(rig, "") == [EventKind.INTENT, EventKind.JUDGED]
        assert rig.venue.connections == 0


async def test_s6_what_a_venue_takes_over_http_is_sent_once_and_its_token_handed_back(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/listen-key"] = answering(TOKEN)
        reply = await logon(rig)
        assert (reply.token, reply.request, reply.error_class) == (TOKEN, b"", 0)
        assert [seen.target.partition("?")[0] for seen in rig.venue.seen] == ["/listen-key"]
        assert kinds(rig, "") == [EventKind.INTENT, EventKind.JUDGED]


@pytest.mark.parametrize("over_http", [True, False])
async def test_s6_neither_message_nor_token_is_in_journal_or_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, over_http: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(tmp_path) as rig:
        rig.venue.script["/listen-key"] = answering(TOKEN)
        if not over_http:
            rig.enclave.twist = websocket
        reply = await logon(rig)
        assert reply.token or reply.request
        await rig.stop_host()
        kept = b"".join((tmp_path / name).read_bytes() for name in JOURNAL if (tmp_path / name).exists())
        kept += caplog.text.encode()
        assert SIGNATURE.encode() not in kept
        assert TOKEN.encode() not in kept


async def test_s6_a_refusal_is_answered_and_recorded_as_one(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.rule = "logon"
        reply = await logon(rig)
        assert (reply.verdict.decision, reply.verdict.rule) == (signer_pb2.DECISION_REFUSE, "logon")
        assert (reply.request, reply.token, reply.error_class) == (b"", "", 0)
        assert kinds(rig, "") == [EventKind.INTENT, EventKind.REFUSED]


async def test_s6_without_a_record_nothing_is_handed_out(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = websocket
        with held(rig):
            assert (await refused(logon(rig))).reason == "JOURNAL_UNAVAILABLE"
        assert (await logon(rig)).request


async def test_s6_what_was_signed_for_something_else_is_not_handed_out(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:

        def another(request: signer_pb2.SignedRequest) -> None:
            websocket(request)
            request.account = "other"

        rig.enclave.twist = another
        reply = await logon(rig)
        assert (reply.request, reply.token) == (b"", "")
        assert (reply.error_class, reply.venue_code) == (wire.ERROR_CLASS_NOT_SENT, "ROUTING_MISMATCH")
        assert kinds(rig, "") == [EventKind.INTENT, EventKind.NOT_SENT]


async def test_a_lost_answer_is_told_and_the_logon_not_sent_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/listen-key"] = drop
        reply = await logon(rig)
        assert (reply.token, reply.error_class) == ("", wire.ERROR_CLASS_UNKNOWN)
        assert len(rig.venue.seen) == 1


async def test_only_its_own_call_takes_a_logon_and_it_takes_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for method, request in (("Submit", other("logon")), ("Read", other("logon")), ("Logon", create("a"))):
            assert (await refused(rig.api.call(method, request))).reason == "WRONG_METHOD"
        assert rig.enclave.intents == []
