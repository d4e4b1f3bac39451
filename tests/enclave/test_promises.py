"""Promises of the design that the service keeps by itself; each test would fail without the code that keeps it."""

from __future__ import annotations

import base64
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import pytest

from enclave_signer.errors import NotApproved, NotAuthenticated
from enclave_signer.model import Operation
from enclave_signer.policy import band, limits
from enclave_signer.ports import Marks, Resumed
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    ACCOUNT,
    BTC,
    ENGINE,
    ETH,
    MS,
    SECOND,
    SECRET,
    START,
    account,
    canonical,
    empty,
    exposure,
    grant,
    instrument,
    limit,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enclave_signer.policy.case import Case
    from enclave_signer.ports import Sender

ALLOWED = "grant:g"
QUERY, CANCEL = signer_pb2.OPERATION_QUERY, signer_pb2.OPERATION_CANCEL


def shown(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw)[:-4], quote(secret, safe="").encode()]


# --- S1


def test_s1_no_reply_repr_or_error_carries_a_secret() -> None:
    enclave = ready()
    replies = [
        enclave.sign(order()),
        enclave.sign(order(client_order_id="o-2", tag="broken")),
        enclave.sign(order(client_order_id="o-3", tag="unsupported")),
        enclave.provision(secret=""),
        enclave.provision("nobody"),
        enclave.provision(apiKey="ü"),
        enclave.call(provision=signer_pb2.Provision(account=ACCOUNT, credential=SECRET.encode())),
    ]
    everything = b"".join(reply.SerializeToString() for reply in replies)
    everything += repr((enclave.service, enclave.service._vault, enclave.venue, enclave.service.__dict__)).encode()
    assert not [form for form in shown(SECRET) if form in everything]


def test_s1_an_unforeseen_fault_answers_internal_without_its_text() -> None:
    reply = ready().sign(order(tag="broken"))
    assert reply.not_judged.reason == "INTERNAL"
    assert "ZeroDivision" not in str(reply)
    assert SECRET not in str(reply)


def test_s1_one_api_key_is_not_used_for_two_accounts() -> None:
    enclave = empty()
    enclave.load(policy(account("a"), account("b")))
    assert enclave.provision("a", apiKey="same").loaded.phase == signer_pb2.PHASE_AWAITING_CREDENTIALS
    refused = enclave.provision("b", apiKey="same").not_judged
    assert (refused.reason, refused.field) == ("BAD_CREDENTIAL", "apiKey")
    assert "same" not in refused.message
    assert enclave.provision("b", apiKey="other").loaded.phase == signer_pb2.PHASE_READY


# --- S3, S4 (what exists of them: the ports are asked, and asked first)


class Recorder:
    """An authenticator and an authority that refuse and remember what they were shown."""

    unauthenticated = False
    digest = bytes(32)
    generation = 0

    def __init__(self) -> None:
        self.shown: list[bytes] = []
        self.resumed: Resumed | None = None

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> Sender:  # noqa: ARG002 - a port
        self.shown.append(intent)
        raise NotAuthenticated("no")

    def succeed(self, quorum: bytes, approvals: Sequence[bytes], now: int) -> NoReturn:  # noqa: ARG002 - a port
        self.shown.append(quorum)
        raise NotApproved("no")

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> NoReturn:  # noqa: ARG002 - a port
        self.shown.append(policy)
        raise NotApproved("no")

    def approve_credential(
        self,
        account: str,  # noqa: ARG002 - a port
        version: int,  # noqa: ARG002
        subject: bytes,
        approvals: Sequence[bytes],  # noqa: ARG002
        now: int,  # noqa: ARG002
    ) -> NoReturn:
        self.shown.append(subject)
        raise NotApproved("no")

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> NoReturn:  # noqa: ARG002 - a port
        self.resumed = resumed
        raise NotApproved("no")

    def approve_duty(self, statement: bytes, approvals: Sequence[bytes], now: int) -> NoReturn:  # noqa: ARG002 - a port
        self.shown.append(statement)
        raise NotApproved("no")

    def marks(self) -> Marks:
        return Marks({}, {})

    def carry(self, marks: Marks) -> None:
        raise AssertionError(marks)


def test_s3_the_sender_is_asked_about_over_the_raw_bytes_and_before_they_are_decoded() -> None:
    recorder = Recorder()
    enclave = ready()
    enclave.service._signing._identify = recorder.identify
    reply = enclave.call(sign=intent_pb2.SealedIntent(session=b"x", intent=b"\xff not an intent"))
    assert reply.not_judged.reason == "NOT_AUTHENTICATED"
    assert recorder.shown == [b"\xff not an intent"]


def test_s4_the_quorum_is_asked_over_the_raw_bytes_before_they_are_read() -> None:
    recorder = Recorder()
    enclave = empty(authority=recorder)
    reply = enclave.call(load_policy=signer_pb2.LoadPolicy(policy=b"no policy"))
    assert reply.not_judged.reason == "NOT_APPROVED"
    assert recorder.shown == [b"no policy"]


@pytest.mark.parametrize("version", [1, 2])
def test_s4_a_policy_needs_a_higher_version(version: int) -> None:
    enclave = ready(policy(version=2))
    assert enclave.load(policy(version=version)).not_judged.reason == "BAD_POLICY"
    assert enclave.load(policy(version=3)).loaded.policy_version == 3


def test_s4_a_resume_is_approved_for_its_scope_and_what_it_covers() -> None:
    recorder = Recorder()
    enclave = ready()
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_ALL))
    enclave.service._authority = recorder
    reply = enclave.call(
        resume=signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT, last=7, approvals=[b"a"])
    )
    assert reply.not_judged.reason == "NOT_APPROVED"
    assert recorder.resumed == Resumed("ACCOUNT", ACCOUNT, "", "", 7)
    assert len(enclave.status().halts) == 1


# --- S7


TWO = policy(
    account("a", grants=[grant(engines=["mm", "risk"])]),
    account("b"),
    engines=[{"name": "mm", "accounts": ["a", "b"]}, {"name": "risk", "accounts": ["a"]}],
)
HALTS = [
    ("all", {"scope": 1}, {("a", BTC), ("a", ETH)}),
    ("its account", {"scope": 2, "account": "a"}, {("a", BTC), ("a", ETH)}),
    ("the venue", {"scope": 3, "venue": "tiny"}, {("a", BTC), ("a", ETH)}),
    ("a symbol", {"scope": 4, "symbol": BTC}, {("a", BTC)}),
    ("a symbol of its account", {"scope": 4, "symbol": ETH, "account": "a"}, {("a", ETH)}),
]


@pytest.mark.parametrize(("_name", "halt", "stopped"), HALTS, ids=[case[0] for case in HALTS])
def test_s7_a_halt_stops_new_orders_in_its_scope_and_no_other_engines_accounts(
    _name: str, halt: dict[str, object], stopped: set[tuple[str, str]]
) -> None:
    enclave = ready(TWO)
    assert enclave.rule(plain("halt", **halt), engine="risk") == "halt"
    for name in ("a", "b"):
        for symbol in (BTC, ETH):
            create = order(account=name, symbol=symbol, client_order_id=f"{name}-{symbol[:3]}")
            expected = "halted" if (name, symbol) in stopped else ALLOWED
            assert enclave.rule(create) == expected


def test_s7_a_refusal_names_the_halt_its_number_and_time() -> None:
    enclave = ready()
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_SYMBOL, symbol=ETH, account=ACCOUNT))
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_SYMBOL, symbol=BTC, account=ACCOUNT))
    verdict = enclave.judged(order()).verdict
    since = datetime.fromtimestamp(START // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (
        verdict.reason == f"HALT SYMBOL {ACCOUNT} {BTC} by {ENGINE}, number 2 since {since}; it stands until a RESUME"
    )
    assert [(each.name, each.value) for each in verdict.numbers] == [("number", "2"), ("since", str(START))]


def test_s7_cancels_reads_and_closes_pass_a_halt_and_amends_do_not() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_ALL))
    for kind, fields in (
        ("cancel", {"client_order_id": "o-1"}),
        ("cancel_all", {}),
        ("query", {"client_order_id": "o-1"}),
        ("open_orders", {}),
        ("balances", {}),
    ):
        assert enclave.rule(plain(kind, **fields)) == ALLOWED
    assert enclave.rule(plain("amend", client_order_id="o-1", quantity="2")) == "halted"
    # Even a repeat is not handed out again.
    assert enclave.rule(order()) == "halted"
    assert enclave.derived("o-1", CANCEL).judged.verdict.rule == "derived"
    assert enclave.rule(plain("order_closed", client_order_id="o-1", filled_quantity="0")) == "order_closed"


def test_s7_a_halt_survives_a_reload_and_ends_with_a_resume_only() -> None:
    enclave = ready()
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_ALL, tag="panic"))
    assert enclave.load(policy(account(), account("new"), version=2)).WhichOneof("answer") == "loaded"
    enclave.provision("new")
    assert enclave.rule(order()) == "halted"
    # An account that the engine gets later is covered as well.
    assert enclave.rule(order(account="new")) == "halted"
    halt = enclave.status().halts[0]
    assert (halt.scope, halt.by, halt.since) == (intent_pb2.HALT_SCOPE_ALL, ENGINE, START)
    assert enclave.resume(intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT).WhichOneof("answer") == "status"
    assert enclave.rule(order()) == "halted"
    assert list(enclave.resume().status.halts) == []
    assert enclave.rule(order()) == ALLOWED


def test_s7_a_resume_ends_just_the_halts_that_it_names() -> None:
    enclave = ready()
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_SYMBOL, symbol=BTC))
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_SYMBOL, symbol=ETH))
    enclave.resume(intent_pb2.HALT_SCOPE_SYMBOL, symbol=ETH)
    assert enclave.rule(order()) == "halted"
    assert enclave.rule(order(symbol=ETH)) == ALLOWED


@pytest.mark.parametrize(
    ("halt", "rule"),
    [
        ({"scope": 2, "account": "b"}, "account"),
        ({"scope": 3, "venue": "elsewhere"}, "account"),
        ({"scope": 4, "symbol": "XRP/USDT"}, "instrument"),
        ({"scope": 4, "symbol": BTC, "account": "b"}, "account"),
        ({"scope": 1, "valid_until": START}, "max_age"),
    ],
)
def test_s7_a_halt_that_would_stop_nothing_is_refused_rather_than_believed(halt: dict[str, object], rule: str) -> None:
    assert ready(TWO).rule(plain("halt", **halt), engine="risk") == rule


# --- S10


@pytest.mark.parametrize("module", [band, limits])
def test_s10_a_fault_inside_a_rule_refuses_without_its_text(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_case: Case) -> None:
        raise KeyError(SECRET)

    enclave = ready()
    monkeypatch.setattr(module, "check", broken)
    judged = enclave.judged(order())
    assert judged.verdict.rule == "fault"
    assert judged.verdict.decision == signer_pb2.DECISION_REFUSE
    assert SECRET not in str(judged)


def test_s10_nothing_leaves_signed_that_could_not_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_case: Case) -> None:
        raise MemoryError

    enclave = ready()
    monkeypatch.setattr(limits, "count", broken)
    reply = enclave.sign(order())
    assert reply.WhichOneof("answer") == "not_judged"
    assert reply.not_judged.reason == "INTERNAL"


# --- S11


def test_s11_the_stamp_is_the_enclaves_own_clock_and_the_nonce_never_falls() -> None:
    enclave = ready()
    enclave.judged(order(created_at=START - 5 * SECOND))
    enclave.judged(order(client_order_id="o-2"))
    enclave.later(ms=5)
    enclave.judged(plain("balances"))
    enclave.clock.now -= 3 * SECOND
    enclave.judged(plain("balances"))
    stamps = enclave.venue.sites[0].stamps
    micros = START // 1000
    assert [stamp.nonce for stamp in stamps] == [micros, micros + 1, micros + 5000, micros + 5001]
    assert [stamp.now_ms for stamp in stamps] == [START // MS, START // MS, START // MS + 5, START // MS + 5]


def test_s11_a_new_credential_continues_the_nonces() -> None:
    enclave = ready()
    enclave.judged(plain("balances"))
    enclave.provision(apiKey="rotated")
    enclave.judged(plain("balances"))
    first, second = (site.stamps[-1].nonce for site in (enclave.venue.sites[0], enclave.venue.sites[-1]))
    assert second == first + 1


def test_s11_a_clock_that_goes_backwards_loosens_nothing() -> None:
    enclave = ready(with_account(limits=[limit(max_orders=1, window_ms=1000)]))
    assert enclave.rule(order()) == ALLOWED
    enclave.clock.now -= 3600 * SECOND
    assert enclave.rule(order(client_order_id="o-2")) == "limit:day"
    enclave.clock.now = START + 20 * SECOND
    assert enclave.rule(order(client_order_id="o-2")) == "max_age"
    enclave.clock.now = START
    assert enclave.rule(order(client_order_id="o-2")) == "max_age"


# --- S12


def test_s12_the_same_intent_twice_signs_once() -> None:
    enclave = ready(with_account(limits=[limit(max_orders=1)]))
    first, again = enclave.judged(order()), enclave.judged(order())
    assert (first.repeated, again.repeated) == (False, True)
    assert first.request.SerializeToString() == again.request.SerializeToString()
    assert first.verdict == again.verdict
    assert len(enclave.venue.sites[0].stamps) == 1


def test_s12_the_same_content_in_another_encoding_is_the_same_intent() -> None:
    enclave = ready()
    first = enclave.judged(order())
    rest = order(client_order_id=None).order.SerializeToString()
    # The client order id first, the rest behind it: other bytes, the same message.
    inner = intent_pb2.OrderIntent(client_order_id="o-1").SerializeToString() + rest
    other = b"\x0a" + bytes([len(inner)]) + inner
    assert other != order().SerializeToString()
    sealed = intent_pb2.SealedIntent(session=ENGINE.encode(), intent=other)
    again = enclave.call(sign=sealed).judged
    assert again.repeated
    assert again.request == first.request


@pytest.mark.parametrize(
    "change", [{"quantity": "2"}, {"price": "51"}, {"symbol": ETH}, {"valid_until": START + 9 * SECOND}, {"tag": "t"}]
)
def test_s12_another_content_under_the_same_id_is_refused(change: dict[str, object]) -> None:
    enclave = ready()
    enclave.judged(order())
    assert enclave.rule(order(**change)) == "duplicate"


def test_s12_a_repeat_by_another_engine_is_refused() -> None:
    document = policy(
        account(grants=[grant(engines=["mm", "risk"])]),
        engines=[{"name": "mm", "accounts": [ACCOUNT]}, {"name": "risk", "accounts": [ACCOUNT]}],
    )
    enclave = ready(document)
    enclave.judged(order())
    assert enclave.rule(order(), engine="risk") == "duplicate"


def test_s12_after_its_end_a_repeat_is_refused() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.later(seconds=10)
    assert enclave.rule(order()) == "max_age"
    assert enclave.rule(order(valid_until=START + 20 * SECOND)) == "duplicate"


def test_s12_an_id_that_cannot_rest_is_free_again_after_its_end_and_a_margin() -> None:
    enclave = ready()
    ioc = {"time_in_force": intent_pb2.TIME_IN_FORCE_IOC}
    enclave.judged(order(**ioc))
    enclave.later(seconds=19)
    assert enclave.rule(order(**ioc, valid_until=START + 30 * SECOND)) == "duplicate"
    enclave.later(seconds=1)
    enclave.judged(order(client_order_id="o-2", valid_until=START + 30 * SECOND))
    assert enclave.rule(order(**ioc, valid_until=START + 30 * SECOND)) == ALLOWED


@pytest.mark.parametrize("exposed", [True, False])
def test_s12_an_id_is_kept_while_the_order_may_be_open_or_an_exposure_waits_for_its_end(*, exposed: bool) -> None:
    enclave = ready(with_account(exposures=[exposure()] if exposed else []))
    kept = {"time_in_force": intent_pb2.TIME_IN_FORCE_IOC} if exposed else {}
    enclave.judged(order(**kept))
    for hours in (1, 2, 3):
        enclave.clock.now = now = START + hours * 3600 * SECOND
        enclave.judged(plain("balances", created_at=now, valid_until=now + SECOND))
        assert enclave.rule(order(**kept, valid_until=now + SECOND)) == "duplicate"
    late = {"valid_until": enclave.clock.now + SECOND}
    close = plain("order_closed", client_order_id="o-1", filled_quantity="0", **late)
    assert enclave.rule(close) == "order_closed"
    assert enclave.rule(order(**kept, **late)) == ALLOWED


def test_s12_a_repeat_after_a_new_policy_is_refused() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.load(policy(version=2))
    assert enclave.rule(order()) == "duplicate"


def test_s12_ids_belong_to_an_account() -> None:
    enclave = ready(policy(account("a"), account("b")))
    assert enclave.rule(order(account="a")) == ALLOWED
    assert enclave.rule(order(account="b")) == ALLOWED


# --- S2: what follows from a declaration


def test_s2_a_derived_signature_needs_the_rights_to_all_that_it_is_good_for() -> None:
    also = {Operation.CANCEL: frozenset({Operation.CANCEL_ALL})}
    everything = with_account()
    narrow = with_account(grants=[grant(operations=["CREATE"])])
    enclave = ready(everything, tiny(also=also))
    enclave.judged(order())
    assert enclave.derived("o-1", CANCEL).judged.verdict.decision == signer_pb2.DECISION_ALLOW
    enclave = ready(narrow, tiny(also=also))
    enclave.judged(order())
    assert enclave.derived("o-1", CANCEL).judged.verdict.rule == "operation"
    assert enclave.derived("o-1", QUERY).judged.verdict.rule == "derived"


def test_s2_the_worth_of_an_order_is_the_policys_and_not_the_senders() -> None:
    document = with_account(
        instruments=[instrument(BTC, price_max="1000"), instrument(ETH)], grants=[grant(max_notional="999")]
    )
    assert ready(document).rule(order(price="10", reference_price="10", reference_time=START)) == "max_notional"


def test_the_reply_to_a_fault_has_no_traceback() -> None:
    text = str(ready().sign(order(tag="broken")))
    assert traceback.__name__ not in text
    assert "File" not in text


def test_a_policy_that_is_not_canonical_is_refused() -> None:
    data = canonical(policy())
    enclave = empty()
    for wrong in (data + b"\0", data[:-1], b"", b"\xbf" + data[1:] + b"\xff"):
        assert enclave.call(load_policy=signer_pb2.LoadPolicy(policy=wrong)).not_judged.reason == "BAD_POLICY"
