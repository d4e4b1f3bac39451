"""Attacks on what the policy forbids: by denials, reloads, HALTs, credentials and hostile policy bytes."""

from __future__ import annotations

import ast
import re
import traceback
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

import enclave_signer
from enclave_signer.errors import BadCredential
from enclave_signer.model import Environment, Operation, OrderType, Side, TimeInForce
from enclave_signer.venues.registry import VENUES
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    BTC,
    ENGINE,
    ETH,
    MS,
    SECOND,
    START,
    TinySite,
    TinyVenue,
    account,
    canonical,
    denial,
    empty,
    exposure,
    grant,
    instrument,
    limit,
    market,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enclave_signer.credentials import Credential
    from enclave_signer.model import Placement

ALLOWED = "grant:g"
MINUTE = 60 * SECOND


# --- S2: a denial holds for every use of a signature


BANKS = {
    Operation.CREATE: frozenset({Operation.AMEND, Operation.CANCEL, Operation.CANCEL_ALL}),
    Operation.QUERY: frozenset({Operation.CANCEL}),
    Operation.OPEN_ORDERS: frozenset({Operation.CANCEL_ALL}),
    Operation.BALANCES: frozenset({Operation.OPEN_ORDERS}),
}


@pytest.mark.parametrize(
    ("denied", "intent", "rule"),
    [
        (denial(operations=["CANCEL_ALL"]), plain("open_orders"), "denied"),
        (denial(operations=["CANCEL_ALL"], symbols=[ETH]), plain("open_orders"), ALLOWED),
        (denial(operations=["CANCEL_ALL"], symbols=[ETH]), plain("open_orders", symbol=ETH), "denied"),
        (denial(operations=["CANCEL"]), plain("query", client_order_id="x"), "denied"),
        (denial(operations=["CANCEL"]), plain("open_orders"), ALLOWED),
        (denial(operations=["OPEN_ORDERS"]), plain("balances"), "denied"),
        (denial(operations=["OPEN_ORDERS"], symbols=[ETH]), plain("balances"), "denied"),
        (denial(operations=["CANCEL"], symbols=[ETH]), plain("balances"), ALLOWED),
        (denial(operations=["CANCEL_ALL"]), order(), "denied"),
        (denial(operations=["CANCEL_ALL"]), market(), "denied"),
        (denial(operations=["AMEND"], sides=["SELL"]), order(), ALLOWED),
        (denial(operations=["AMEND"], sides=["BUY"]), order(), "denied"),
        (denial(sides=["SELL"]), order(), ALLOWED),
        (denial(sides=["SELL"]), plain("open_orders"), ALLOWED),
        (denial(operations=["CANCEL_ALL"], hours=[[239, 240]]), plain("open_orders"), ALLOWED),
        (denial(operations=["CANCEL_ALL"], hours=[[240, 241]]), plain("open_orders"), "denied"),
    ],
)
def test_s2_what_is_denied_is_denied_as_the_other_use_of_a_signature_too(
    denied: dict[str, object], intent: intent_pb2.Intent, rule: str
) -> None:
    assert ready(with_account(denials=[denied]), tiny(also=BANKS)).rule(intent) == rule


def test_no_shape_slips_through_a_denial_that_names_nothing() -> None:
    enclave = ready(with_account(denials=[denial()]))
    shapes = [
        order(
            client_order_id=f"{side}-{kind}-{time}",
            side=side,
            type=kind,
            time_in_force=None if kind is OrderType.MARKET else time,
            price=None if kind is OrderType.MARKET else "50",
            stop_price="50" if kind is OrderType.STOP_LIMIT else None,
            expire_at=START + SECOND if time is TimeInForce.GTD and kind is not OrderType.MARKET else None,
        )
        for side in Side
        for kind in OrderType
        for time in TimeInForce
    ]
    assert {enclave.rule(each) for each in shapes} == {"denied"}


@pytest.mark.parametrize(
    ("spans", "minute", "inside"),
    [
        ([[1320, 360]], 1319, False),
        ([[1320, 360]], 1320, True),
        ([[1320, 360]], 1439, True),
        ([[1320, 360]], 0, True),
        ([[1320, 360]], 359, True),
        ([[1320, 360]], 360, False),
        ([[0, 1440]], 1439, True),
        ([[480, 1020]], 1019, True),
        ([[480, 1020]], 1020, False),
    ],
)
def test_hours_hold_to_the_nanosecond_for_denials_and_grants(
    spans: list[list[int]], minute: int, *, inside: bool
) -> None:
    midnight = START + 20 * 60 * MINUTE
    for now in (midnight + minute * MINUTE, midnight + (minute + 1) * MINUTE - 1):
        intent = order(created_at=0, valid_until=now + SECOND)
        forbidding = ready(with_account(denials=[denial(hours=spans)]))
        forbidding.clock.now = now
        assert forbidding.rule(intent) == ("denied" if inside else ALLOWED)
        granting = ready(with_account(grants=[grant(hours=spans)]))
        granting.clock.now = now
        assert granting.rule(intent) == (ALLOWED if inside else "hours")


# --- S4, S2: a policy is live in full or not at all


class Picky(TinyVenue):
    """A venue without a test network, which it says when an account is bound to it."""

    def site(self, placement: Placement, credential: Credential) -> TinySite:
        if placement.environment is not Environment.PRODUCTION:
            message = "no test network"
            raise BadCredential(message, field="environment")
        return super().site(placement, credential)


def test_s4_a_policy_that_cannot_be_bound_to_its_venues_leaves_the_live_one_whole() -> None:
    """Else the new policy would judge while the old placement, perhaps production, signs."""
    enclave = ready(with_account(environment="production"), Picky())
    before = enclave.status()
    bad = policy(account(environment="testnet", grants=[grant("loose", max_notional="9999999")]), version=2)
    assert enclave.load(bad).not_judged.reason == "BAD_POLICY"
    after = enclave.status()
    assert (after.policy_version, after.policy_digest) == (before.policy_version, before.policy_digest)
    judged = enclave.judged(order())
    assert (judged.verdict.rule, judged.verdict.policy_version) == (ALLOWED, 1)


def test_s4_a_bad_policy_does_not_touch_what_was_counted() -> None:
    tight = limit(max_notional="100")
    enclave = ready(with_account(limits=[tight]))
    assert enclave.rule(order()) == ALLOWED
    bents: tuple[dict[str, Any], ...] = ({"limits": []}, {"limits": [limit(symbols=["X/Y"])]}, {"margin_mode": "cross"})
    for bad in bents:
        assert enclave.load(policy(account(**bad), version=2)).not_judged.reason == "BAD_POLICY"
    assert enclave.rule(order(client_order_id="o-2", quantity="0.001")) == "limit:day"


# Each must refuse what is over the limit after the reloads, however they dress it.
LIMIT = {"window_ms": 60_000, "max_notional": "100"}
COVER = limit("z", window_ms=60_000)
RELOADS: dict[str, list[list[dict[str, Any]]]] = {
    "renamed": [[limit("b", **LIMIT)]],
    "renamed and back": [[limit("b", **LIMIT)], [limit("a", **LIMIT)]],
    "gone and back": [[COVER], [limit("a", **LIMIT), COVER]],
    "longer": [[limit("a", **{**LIMIT, "window_ms": 120_000})]],
    "shorter": [[limit("a", **{**LIMIT, "window_ms": 30_000})]],
    "split": [[limit("a", **LIMIT, symbols=[BTC]), limit("b", **LIMIT, symbols=[ETH])]],
    "split and joined": [
        [limit("a", **LIMIT, symbols=[ETH]), limit("b", **LIMIT, symbols=[BTC])],
        [limit("a", **LIMIT)],
    ],
    "names swapped": [
        [limit("a", **LIMIT, symbols=[ETH]), limit("z", window_ms=60_000)],
        [limit("a", window_ms=60_000), limit("z", **LIMIT)],
    ],
}


@pytest.mark.parametrize("name", RELOADS)
def test_no_dressing_of_a_limit_in_new_policies_forgets_what_was_spent(name: str) -> None:
    enclave = ready(with_account(limits=[limit("a", **LIMIT)]))
    assert enclave.rule(order()) == ALLOWED
    for version, limits in enumerate(RELOADS[name], start=2):
        assert enclave.load(policy(account(limits=limits), version=version)).WhichOneof("answer") == "loaded"
    decided = enclave.rule(order(client_order_id="o-2", quantity="0.001"))
    assert decided.startswith("limit:")


def test_a_reload_that_counts_fewer_uses_frees_nothing_of_signatures_that_still_live() -> None:
    def counting(uses: int, version: int) -> dict[str, Any]:
        used = account(accept=["replayable"], count_uses=uses, exposures=[exposure(max_quantity="9")])
        return policy(used, version=version)

    enclave = ready(counting(3, 1), tiny(uses=3))
    assert enclave.rule(order(quantity="3")) == ALLOWED
    assert enclave.load(counting(1, 2)).WhichOneof("answer") == "loaded"
    assert enclave.rule(plain("order_closed", client_order_id="o-1", filled_quantity="0")) == "order_closed"
    assert enclave.rule(order(quantity="3.001", client_order_id="o-2")) == "exposure:x"
    assert enclave.rule(order(quantity="3", client_order_id="o-3")) == ALLOWED


def test_no_dressing_of_instruments_forgets_it_either() -> None:
    enclave = ready(with_account(limits=[limit("a", **LIMIT)]))
    assert enclave.rule(order()) == ALLOWED
    without = account(
        instruments=[instrument(ETH)],
        grants=[grant(symbols=[ETH])],
        limits=[limit("a", **LIMIT, symbols=[ETH])],
    )
    assert enclave.load(policy(without, version=2)).WhichOneof("answer") == "loaded"
    assert enclave.load(policy(account(limits=[limit("a", **LIMIT)]), version=3)).WhichOneof("answer") == "loaded"
    assert enclave.rule(order(client_order_id="o-2", quantity="0.001")) == "limit:a"


@pytest.mark.parametrize("settle", ["USDC", "ETH", "BTC"])
def test_a_contract_settled_in_neither_base_nor_quote_does_not_load(settle: str) -> None:
    """Its notional would be a number in one currency, held against a limit in another."""
    symbol = f"BTC/USDT:{settle}"
    swap = account(
        margin_mode="cross",
        instruments=[instrument(symbol)],
        grants=[grant(symbols=[symbol])],
        limits=[limit(symbols=[symbol])],
    )
    reply = empty().load(policy(swap))
    assert reply.not_judged.reason == "BAD_POLICY"
    assert "settle" in reply.not_judged.message


# --- S7


def engines(*rights: tuple[str, list[str]]) -> list[dict[str, object]]:
    return [{"name": name, "accounts": own} for name, own in rights]


def two_accounts(**changes: Any) -> dict[str, Any]:
    both = [account(name, grants=[grant(engines=sorted(who))]) for name, who in (("a", "xy"), ("b", "y"))]
    return policy(*both, **{"engines": engines(("x", ["a"]), ("y", ["a", "b"])), **changes})


@pytest.mark.parametrize(
    "halt",
    [
        {"scope": intent_pb2.HALT_SCOPE_ALL},
        {"scope": intent_pb2.HALT_SCOPE_VENUE, "venue": "tiny"},
        {"scope": intent_pb2.HALT_SCOPE_SYMBOL, "symbol": BTC},
        {"scope": intent_pb2.HALT_SCOPE_ACCOUNT, "account": "a"},
    ],
)
def test_s7_an_engine_halts_no_account_but_its_own_and_a_reload_that_swaps_engines_lifts_none(halt: Any) -> None:
    enclave = ready(two_accounts())
    assert enclave.rule(plain("halt", **halt), "x") == "halt"
    assert enclave.rule(order(account="b"), "y") == ALLOWED
    assert enclave.rule(order(account="a"), "y") == "halted"
    # Its engine leaves the policy: the HALT stands, and still covers no more than it did.
    gone = policy(account("a", grants=[grant(engines=["y"])]), account("b", grants=[grant(engines=["y"])]), version=2)
    gone["engines"] = engines(("y", ["a", "b"]))
    assert enclave.load(gone).WhichOneof("answer") == "loaded"
    assert enclave.rule(order(account="a", client_order_id="o-2"), "y") == "halted"
    assert enclave.rule(order(account="b", client_order_id="o-2"), "y") == ALLOWED


def test_s7_an_engine_names_no_foreign_account_in_a_halt() -> None:
    enclave = ready(two_accounts())
    for scope, more in ((intent_pb2.HALT_SCOPE_ACCOUNT, {}), (intent_pb2.HALT_SCOPE_SYMBOL, {"symbol": BTC})):
        assert enclave.rule(plain("halt", scope=scope, account="b", **more), "x") == "account"
    assert not enclave.status().halts


def test_s7_a_batch_is_halted_from_the_halt_on() -> None:
    enclave = ready()
    intents = [order(), plain("halt", scope=intent_pb2.HALT_SCOPE_ALL), order(client_order_id="o-2")]
    sealed = [intent_pb2.SealedIntent(session=b"mm", intent=each.SerializeToString()) for each in intents]
    reply = enclave.call(sign_batch=signer_pb2.SealedBatch(intents=sealed))
    assert [each.judged.verdict.rule for each in reply.judged_batch.answers] == [ALLOWED, "halt", "halted"]


# --- S11


@pytest.mark.parametrize("jump", [-(10**18), -SECOND, 0, SECOND, 90_000 * SECOND, 10**18])
def test_s11_stamps_and_nonces_never_fall_whatever_the_clock_does(jump: int) -> None:
    enclave = ready(venue=tiny())
    for step in range(6):
        enclave.clock.now += jump if step % 2 else 7 * MS
        now = enclave.service._now()
        enclave.rule(order(client_order_id=f"o-{step}", created_at=0, valid_until=now + SECOND))
        enclave.rule(plain("balances", created_at=0, valid_until=now + SECOND))
    stamps = enclave.venue.sites[-1].stamps
    assert len(stamps) == 12
    assert all(left.nonce < right.nonce for left, right in pairwise(stamps))
    assert all(left.now_ms <= right.now_ms for left, right in pairwise(stamps))
    assert all(each.now_ms < each.valid_until_ms for each in stamps)


# --- S1: credentials


PEMS = {
    "rsa": "-----BEGIN RSA PRIVATE KEY-----\nMIIEsecretsecretsecret\n-----END RSA PRIVATE KEY-----",
    "cut": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIsecretsecretsecret",
    "sealed": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIEsecretsecretsecret\n-----END ENCRYPTED PRIVATE KEY-----",
    "base64": "secretsecretsecret!!",
    "short": "c2VjcmV0c2VjcmV0",
    "umlaut": "secretsecretsecret-ü",
    "control": "secretsecretsecret\r\nX-Evil: 1",
    "surrogate": "secretsecretsecret\ud800",
}


def _shown(venue: str, fields: dict[str, str]) -> str:
    """All that can be seen of a credential, or of why it is none, a traceback included."""
    try:
        made = VENUES[venue].credential(fields)
    except BadCredential as error:
        return f"{error!r} {error} {error.message} {error.field} {''.join(traceback.format_exception_only(error))}" + (
            f"{error.__cause__!r}" if error.__suppress_context__ else f"{error.__context__!r}"
        )
    return f"{made!r} {made} {made.key!r} {made.key}"


@pytest.mark.parametrize("venue", sorted(VENUES))
@pytest.mark.parametrize("kind", sorted(PEMS))
def test_s1_no_venue_shows_a_secret_that_it_refuses(venue: str, kind: str) -> None:
    for fields in (
        {"apiKey": "key", "secret": PEMS[kind], "password": "pass"},
        {"apiKey": PEMS[kind], "secret": "A" * 43 + "=", "password": "pass"},
        {"apiKey": "key", "secret": "A" * 43 + "=", "password": PEMS[kind]},
        {"apiKey": "key", "password": PEMS[kind], "twofa": PEMS[kind]},
    ):
        shown = _shown(venue, fields)
        assert "secretsecret" not in shown
        assert "c2VjcmV0" not in shown


@pytest.mark.parametrize("spelling", [" same", "same ", "sa me", "same\t", "same\n"])
def test_s1_another_spelling_of_an_api_key_is_no_way_around_one_key_one_account(spelling: str) -> None:
    enclave = empty()
    enclave.load(policy(account("a"), account("b")))
    assert enclave.provision("a", apiKey="same").WhichOneof("answer") == "loaded"
    assert enclave.provision("b", apiKey=spelling).not_judged.field == "apiKey"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        b"\xf6",
        canonical(["secretsecret"]),
        canonical({"apiKey": 7, "secret": "secretsecret"}),
        canonical({"apiKey": "k", "secret": {"secretsecret": "x"}}),
        cbor2.dumps({"secret": "secretsecret", "apiKey": "k"}),
        b"\xa2\x66apiKey\x61k\x66apiKey\x61l",
        b"\xbf\x66apiKey\x61k\xff",
        canonical({"apiKey": "k", "secret": "secretsecret"}) + b"\x00",
        canonical({"apiKey": "k", "secret": "secretsecret"})[:-1],
        b"\x81" * 5000,
        b"\xbb" + b"\xff" * 8,
        b"\x7b" + b"\xff" * 8,
    ],
)
def test_s1_malformed_credentials_are_refused_without_their_content_and_change_nothing(data: bytes) -> None:
    enclave = ready()
    reply = enclave.call(provision=signer_pb2.Provision(account="main", credential=data))
    assert reply.not_judged.reason == "BAD_CREDENTIAL"
    assert b"secretsecret" not in reply.SerializeToString()
    assert enclave.rule(order()) == ALLOWED


# --- policy bytes


def _replaced(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    document = policy()
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


LISTING = ("accounts", 0, "instruments", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 0),
        (("version",), -1),
        (("version",), 1 << 63),
        (("version",), 1.0),
        (("version",), True),
        (("version",), "2"),
        (("max_age_ms",), 60_001),
        (("max_age_ms",), 0),
        (("extra",), 1),
        (("accounts", 0, "count_uses"), 0),
        (("accounts", 0, "count_uses"), 2),
        (("accounts", 0, "max_open_orders"), 0),
        (("accounts", 0, "limits", 0, "window_ms"), 999),
        (("accounts", 0, "limits", 0, "window_ms"), 86_400_001),
        (("accounts", 0, "limits", 0, "max_notional"), None),
        (("accounts", 0, "limits", 0, "max_notional"), "-1"),
        (("accounts", 0, "limits", 0, "max_notional"), "1.0"),
        (("accounts", 0, "limits", 0, "max_notional"), "1e9"),
        (("accounts", 0, "grants", 0, "max_notional"), None),
        (("accounts", 0, "grants", 0, "operations"), ["WITHDRAW"]),
        (("accounts", 0, "grants", 0, "operations"), ["HALT"]),
        (("accounts", 0, "grants", 0, "engines"), ["*"]),
        (("accounts", 0, "grants", 0, "hours"), [[0, 1441]]),
        (("accounts", 0, "grants", 0, "hours"), [[5, 5]]),
        (("accounts", 0, "grants", 0, "hours"), [[-1, 5]]),
        (("accounts", 0, "grants", 0, "days"), [7]),
        (("accounts", 0, "accept"), ["everything"]),
        (("accounts", 0, "venue"), "binance"),
        ((*LISTING, "price_max"), "10"),
        ((*LISTING, "price_min"), "0"),
        ((*LISTING, "contract_size"), "0.001"),
        ((*LISTING, "base"), "ETH"),
        ((*LISTING, "venue_symbol"), "ETHUSDT"),
        ((*LISTING, "venue_symbol"), "A&quantity=9"),
        ((*LISTING, "symbol"), "BTC/USDT\n"),
        (("engines", 0, "name"), "mm\n"),
        (("engines", 0, "accounts"), ["nobody"]),
        (("deployment",), "a b"),
    ],
)
def test_s4_a_policy_with_one_bent_field_does_not_load(path: tuple[str | int, ...], value: object) -> None:
    enclave = empty()
    assert enclave.load(_replaced(path, value)).not_judged.reason == "BAD_POLICY"
    assert enclave.status().phase == signer_pb2.PHASE_AWAITING_POLICY


@pytest.mark.parametrize("call", ["sign", "sign_batch", "derived", "provision", "resume"])
def test_before_a_policy_and_before_a_credential_nothing_is_signed(call: str) -> None:
    enclave = empty()
    kinds: dict[str, Any] = {
        "sign": intent_pb2.SealedIntent(session=b"mm", intent=order().SerializeToString()),
        "sign_batch": signer_pb2.SealedBatch(),
        "derived": signer_pb2.DerivedRequest(account="main", client_order_id="o-1"),
        "provision": signer_pb2.Provision(account="main"),
        "resume": signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ALL),
    }
    assert enclave.call(**{call: kinds[call]}).not_judged.reason == "WRONG_PHASE"
    enclave.load(policy())
    if call == "sign":
        assert enclave.call(sign=kinds["sign"]).not_judged.reason == "WRONG_PHASE"
        assert enclave.service._ledger.table.size == 0


# --- what the enclave is made of


SOURCES = sorted(Path(enclave_signer.__file__).parent.rglob("*.py"))
SPEAKING = {"logging", "warnings", "traceback", "faulthandler", "pickle", "marshal", "shelve", "subprocess"}


def _imports(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_s1_no_file_of_the_enclave_logs_prints_pickles_evaluates_or_reads_its_environment(source: Path) -> None:
    text = source.read_text()
    tree = ast.parse(text)
    assert not SPEAKING & {name.split(".")[0] for name in _imports(tree)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"print", "eval", "exec", "open", "__import__", "breakpoint", "input"}
    assert re.search(r"\bos\.(environ|getenv|system|popen)|sys\.stdout", text) is None
    assert ("sys.stderr" in text) <= (source.name == "__main__.py")


def test_the_engine_of_another_account_can_name_nothing_of_this_one() -> None:
    enclave = ready(two_accounts())
    assert enclave.rule(order(account="b"), "y") == ALLOWED
    for intent in (
        order(account="b", client_order_id="o-2"),
        plain("amend", account="b", client_order_id="o-1", quantity="2"),
        plain("order_closed", account="b", client_order_id="o-1", filled_quantity="0"),
        plain("cancel", account="b", client_order_id="o-1"),
        plain("balances", account="b"),
    ):
        assert enclave.rule(intent, "x") == "account"
        assert enclave.rule(intent, ENGINE) == "engine"
    # The same id in an account of its own is another order.
    assert enclave.rule(plain("order_closed", account="a", client_order_id="o-1", filled_quantity="0"), "x") == (
        "unknown_order"
    )
