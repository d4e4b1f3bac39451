"""S6: a session logon is signed for read-only accounts alone, at every venue, and no key is ever of both kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cbor2
import pytest

from casemate_mock.fake_nitro import ClearKeys, EverybodyApproves, EverybodyAuthenticates
from enclave_signer.service import Service
from enclave_signer.system import SystemRandomness
from enclave_signer.venues.registry import VENUES
from signer_api.v1 import intent_pb2, signer_pb2
from tests.agreement.subjects import SUBJECTS, Subject
from tests.enclave.enclave_rig import ENGINE, SECOND, START, Clock, account, canonical, grant, instrument, limit, policy

READS = ["BALANCES", "OPEN_ORDERS", "QUERY"]


def _account(subject: Subject, name: str, *, read_only: bool, operations: list[str] | None = None) -> dict[str, Any]:
    declared = VENUES[subject.venue].declaration
    listed = instrument(subject.symbol, venue_symbol=subject.venue_symbol)
    wanted = sorted(operations or ([*READS, "LOGON"] if read_only else [*READS, "CREATE", "CANCEL"]))
    return account(
        name,
        venue=subject.venue,
        environment="production",
        margin_mode="cross" if subject.kind == "swap" else "cash",
        read_only=read_only,
        accept=sorted({gap.value for gaps in declared.gaps.values() for gap in gaps}),
        count_uses=declared.uses,
        instruments=[listed],
        grants=[grant(operations=wanted, symbols=[subject.symbol])],
        limits=[limit(symbols=[subject.symbol])],
    )


@dataclass
class Desk:
    """The shipped venues in an enclave whose senders are believed."""

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.service = Service(
            self.clock,
            SystemRandomness(),
            EverybodyAuthenticates(),
            EverybodyApproves(),
            ClearKeys(EverybodyApproves()),
        )

    def ask(self, **call: Any) -> signer_pb2.EnclaveReply:
        raw = self.service.handle(signer_pb2.EnclaveRequest(**call).SerializeToString())
        return signer_pb2.EnclaveReply.FromString(raw)

    def load(self, *accounts: dict[str, Any], version: int = 1) -> signer_pb2.EnclaveReply:
        document = policy(*accounts, version=version)
        return self.ask(load_policy=signer_pb2.LoadPolicy(policy=canonical(document)))

    def provision(self, name: str, subject: Subject, api_key: str = "") -> signer_pb2.EnclaveReply:
        fields = dict(subject.credentials) | ({"apiKey": api_key} if api_key else {})
        data = cbor2.dumps(fields, canonical=True)
        return self.ask(provision=signer_pb2.Provision(account=name, credential=data))

    def logon(self, name: str, venue: str) -> signer_pb2.Judged:
        now = self.clock.now
        said = intent_pb2.LogonIntent(account=name, venue=venue, created_at=now, valid_until=now + 4 * SECOND)
        sealed = intent_pb2.SealedIntent(
            session=ENGINE.encode(), counter=1, intent=intent_pb2.Intent(logon=said).SerializeToString()
        )
        reply = self.ask(sign=sealed)
        assert reply.WhichOneof("answer") == "judged", reply
        return reply.judged


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: each.name)
def test_s6_the_logon_of_every_trading_account_is_refused_and_of_a_read_only_one_signed(subject: Subject) -> None:
    desk = Desk()
    loaded = desk.load(_account(subject, "reading", read_only=True), _account(subject, "trading", read_only=False))
    assert loaded.WhichOneof("answer") == "loaded", loaded
    assert desk.provision("trading", subject).WhichOneof("answer") == "loaded"
    refused = desk.logon("trading", subject.venue)
    assert (refused.verdict.rule, refused.HasField("request")) == ("logon", False)
    # Not even the same key for another account.
    assert desk.provision("reading", subject).not_judged.reason == "BAD_CREDENTIAL"
    assert desk.provision("reading", subject, "another-key").WhichOneof("answer") == "loaded"
    signed = desk.logon("reading", subject.venue)
    assert signed.verdict.decision == signer_pb2.DECISION_ALLOW, signed.verdict
    assert signed.request.operation == signer_pb2.OPERATION_LOGON
    assert signed.request.method in {"WEBSOCKET", "POST"}
    assert signed.request.url.startswith("wss://" if signed.request.method == "WEBSOCKET" else "https://")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: each.name)
def test_s6_no_policy_grants_a_trading_account_its_logon(subject: Subject) -> None:
    trading = _account(subject, "trading", read_only=False, operations=["LOGON"])
    refused = Desk().load(trading).not_judged
    assert refused.reason == "BAD_POLICY"
    assert "only a read_only account" in refused.message


def test_s6_a_read_only_account_without_the_grant_is_refused() -> None:
    subject = SUBJECTS[0]
    desk = Desk()
    desk.load(_account(subject, "reading", read_only=True, operations=READS))
    desk.provision("reading", subject)
    assert desk.logon("reading", subject.venue).verdict.rule == "operation"


@pytest.mark.parametrize("first", [True, False])
def test_s6_a_key_that_was_of_one_kind_is_not_of_the_other_in_the_same_boot(first: bool) -> None:  # noqa: FBT001
    subject = SUBJECTS[0]
    desk = Desk()
    desk.load(_account(subject, "main", read_only=first))
    assert desk.provision("main", subject).loaded.phase == signer_pb2.PHASE_READY
    # The policy turns the account over: the enclave forgets its key, and takes it back for no account of that kind.
    after = desk.load(
        _account(subject, "main", read_only=not first), _account(subject, "other", read_only=not first), version=2
    )
    assert after.loaded.phase == signer_pb2.PHASE_AWAITING_CREDENTIALS
    for name in ("main", "other"):
        refused = desk.provision(name, subject).not_judged
        assert (refused.reason, "never both" in refused.message) == ("BAD_CREDENTIAL", True)
    assert desk.provision("main", subject, "another-key").WhichOneof("answer") == "loaded"


def test_a_logon_is_for_its_own_venue_and_for_a_while() -> None:
    subject = SUBJECTS[0]
    desk = Desk()
    desk.load(_account(subject, "reading", read_only=True))
    desk.provision("reading", subject)
    assert desk.logon("reading", "okx").verdict.rule == "account"
    signed = desk.logon("reading", subject.venue)
    assert START < signed.request.valid_until <= START + 4 * SECOND
