"""S6 at the engine: a logon is used only as the enclave signed it, and shows itself nowhere."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, NoReturn

import pytest

from casemate import LogonIntent, wire
from casemate.calls import Calls
from casemate.errors import Unproven
from casemate.models import Decision, Operation
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from casemate.models import LogonResult

SIGNED = signer_pb2.SignedRequest(
    method="WEBSOCKET", url="wss://stream.example/private", body=b'{"op":"login","sign":"a-live-one"}', valid_until=77
)
TOKEN = "listen-key-1"  # noqa: S105 - no password


class Sealer:
    """A session that vouches for every proof."""

    since = 0

    def __init__(self) -> None:
        self._counter = itertools.count(1)

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        return intent_pb2.SealedIntent(session=b"s" * 16, counter=next(self._counter), intent=intent)

    def proves(self, session: bytes, counter: int, proof: signer_pb2.VerdictProof, receipt: bytes) -> bool:
        del session, counter, proof, receipt
        return True

    def usable(self) -> bool:
        return True

    def due(self) -> bool:
        return False

    def postpone(self) -> None: ...

    def lost(self, session: bytes) -> None: ...

    def opening(self) -> NoReturn:
        raise AssertionError


def reply(request: bytes, digest: bytes | None = None, token: str = "") -> dispatch_pb2.LogonReply:
    verdict = signer_pb2.Verdict(decision=signer_pb2.DECISION_ALLOW, rule="grant:stream")
    proven = signer_pb2.VerdictProof(
        verdict=verdict.SerializeToString(),
        request_digest=hashlib.sha256(request).digest() if digest is None else digest,
    )
    return dispatch_pb2.LogonReply(verdict=verdict, proof=proven, request=request, token=token)


def read(answer: dispatch_pb2.LogonReply) -> LogonResult:
    calls = Calls(Sealer(), lambda: 1)
    call = calls.logon(LogonIntent(account="watch", venue="okx"))
    assert call.method.endswith("/Logon")
    return call.parse(answer.SerializeToString())


def test_s6_a_message_is_taken_as_the_enclave_signed_it() -> None:
    result = read(reply(SIGNED.SerializeToString()))
    assert result.granted
    assert result.authenticated
    assert (result.url, result.message, result.valid_until) == (SIGNED.url, SIGNED.body, 77)


def test_s6_another_message_than_the_enclaves_is_refused_by_the_engine() -> None:
    other = signer_pb2.SignedRequest(url="wss://elsewhere.example", body=SIGNED.body)
    digest = hashlib.sha256(SIGNED.SerializeToString()).digest()
    for request, shown in ((other.SerializeToString(), digest), (SIGNED.SerializeToString(), b"")):
        with pytest.raises(Unproven, match="another message"):
            read(reply(request, shown))


def test_s6_the_proven_verdict_counts_and_not_the_hosts() -> None:
    refused = signer_pb2.Verdict(decision=signer_pb2.DECISION_REFUSE, rule="logon")
    answer = reply(b"", b"", TOKEN)
    answer.proof.verdict = refused.SerializeToString()
    result = read(answer)
    assert (result.verdict.decision, result.verdict.rule, result.granted) == (Decision.REFUSE, "logon", False)


def test_s6_neither_message_nor_token_is_in_a_repr() -> None:
    assert "a-live-one" not in repr(read(reply(SIGNED.SerializeToString())))
    assert TOKEN not in repr(read(reply(b"", b"", TOKEN)))


def test_a_logon_says_account_and_venue_and_no_symbol() -> None:
    request = Calls(Sealer(), lambda: 1).request(LogonIntent(account="watch", venue="okx"))
    assert request.routing.operation == signer_pb2.OPERATION_LOGON
    assert (request.routing.account, request.routing.venue, request.routing.symbol) == ("watch", "okx", "")
    assert intent_pb2.Intent.FromString(request.sealed.intent).WhichOneof("kind") == "logon"
    assert wire.operation_of(LogonIntent(account="a", venue="b")) is Operation.LOGON
