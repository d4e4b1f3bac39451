"""`policy explain` and `policy replay`: the enclave's own rules, asked without an enclave."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from casemate import OrderIntent, UnauthenticatedSealer
from casemate.calls import Calls
from casemate.errors import InvalidIntentError, PolicyError
from casemate.intents import HaltIntent, Intent
from casemate.policy import compile_policy
from casemate.tools.policy_check import check, compile_checked, declared_uses
from casemate.tools.policy_explain import explain
from casemate.tools.policy_replay import JournalError, replay

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.toml"
# A Tuesday, 12:00 UTC.
NOON = 1_700_568_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def policy() -> bytes:
    """The example, compiled."""
    return compile_policy(EXAMPLE.read_text(encoding="utf-8"), declared_uses=declared_uses()).canonical


def order(**changes: object) -> OrderIntent:
    """An order that the example permits, changed."""
    values = {"quantity": "0.5", "price": "60000", "reference_price": "60000", **changes}
    return OrderIntent.limit("binance-main", "binance", "BTC/USDT", "BUY", **values)  # type: ignore[arg-type]


def test_an_order_within_the_policy_passes_every_rule(policy: bytes) -> None:
    verdict, rows = explain(policy, "mm-1", order(), NOON)
    assert (verdict["decision"], verdict["rule"]) == ("ALLOW", "grant:quotes")
    assert {row["says"] for row in rows} == {"pass"}
    rules = [row["rule"] for row in rows]
    assert rules.index("engine") < rules.index("band") < rules.index("limit")


def test_every_rule_that_would_refuse_is_shown_and_not_only_the_first(policy: bytes) -> None:
    verdict, rows = explain(policy, "mm-1", order(price="300000.001", quantity="500"), NOON)
    refusing = [row["rule"] for row in rows if row["says"] == "refuse"]
    assert verdict["decision"] == "REFUSE"
    assert verdict["rule"] == refusing[0] == "precision"
    assert "band" in refusing
    assert "limit:hourly" in refusing


def test_an_engine_that_the_policy_does_not_know_is_refused_by_name(policy: bytes) -> None:
    verdict, rows = explain(policy, "stranger", order(), NOON)
    assert verdict["rule"] == "engine"
    assert [row["rule"] for row in rows] == ["engine"]


def test_what_is_no_policy_and_no_intent_is_said_so(policy: bytes) -> None:
    with pytest.raises(PolicyError, match="not a compiled policy"):
        explain(b"nonsense", "mm-1", order(), NOON)
    with pytest.raises(InvalidIntentError):
        explain(policy, "mm-1", OrderIntent(**{**_fields(order()), "symbol": "nonsense"}), NOON)  # type: ignore[arg-type]


def _fields(intent: OrderIntent) -> dict[str, object]:
    return {name: getattr(intent, name) for name in OrderIntent.__slots__}


def write_journal(
    path: Path, intents: list[tuple[int, Intent]], refused: tuple[int, ...] = (), *, receipts: bool = True
) -> Path:
    """A journal with these intents of engine mm-1 (docs/journal.md), some of them refused when they came.

    They came by a session, which names no engine: that is in the receipts.
    """
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE events (sequence INTEGER PRIMARY KEY, time INTEGER, account TEXT, client_order_id TEXT,"
            " operation INTEGER, kind INTEGER, intent INTEGER, payload BLOB)"
        )
        database.execute("CREATE TABLE receipts (boot BLOB, sequence INTEGER, receipt BLOB)")
        for index, (time, intent) in enumerate(intents):
            request = Calls(UnauthenticatedSealer("session 7"), lambda time=time: time).request(intent)  # type: ignore[misc]
            row = (2 * index + 1, time, "", "", 1, 1, 2 * index + 1, request.SerializeToString())
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if receipts:
                receipt = decided(index, time, request.sealed.intent)
                database.execute("INSERT INTO receipts VALUES (?, ?, ?)", (bytes(32), index, receipt))
            if index in refused:
                row = (2 * index + 2, time, "", "", 1, 7, 2 * index + 1, b"")
                database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.close()
    return path


def decided(number: int, time: int, intent: bytes) -> bytes:
    said = {
        "seq": number, "prev": bytes(32), "time": time, "kind": "decision", "policy": 1, "engine": "mm-1",
        "account": "binance-main", "operation": 1, "verdict": 1, "rule": "", "intent": hashlib.sha256(intent).digest(),
        "request": b"", "counters": {"charged": "0"},
    }  # fmt: skip
    return cbor2.dumps(said, canonical=True)


def test_a_replay_without_receipts_asks_for_the_engine(policy: bytes, tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "host.db", [(NOON, order())], receipts=False)
    with pytest.raises(JournalError, match="--engine"):
        replay(policy, journal)
    assert replay(policy, journal, "mm-1")["allowed"] == 1


def test_a_replay_counts_what_each_rule_would_have_refused(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    exposure = text[text.index("[[account.exposure]]") : text.index('[[account]]\nname = "okx-hedge"')]
    policy = compile_policy(text.replace(exposure, "")).canonical
    # Orders of 0.9 BTC, each worth 225,000 at the top of the band and counted twice; the limit is 5,000,000.
    intents: list[tuple[int, Intent]] = [(NOON + n * SECOND, order(quantity="0.9")) for n in range(14)]
    intents.append((NOON + 20 * SECOND, order(price="5")))
    intents.append((NOON + 7200 * SECOND, order()))
    journal = write_journal(tmp_path / "host.db", intents, refused=(0,))
    found = replay(policy, journal)
    assert found["intents"] == 16
    assert found["refused_by_rule"] == {"limit:hourly": 3, "band": 1}
    assert found["allowed"] == 12
    assert found["refused_then_allowed"] == 1
    assert found["allowed_then_refused"] == 4


def test_a_replay_may_take_another_engine_and_leaves_halts_out(policy: bytes, tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "host.db", [(NOON, HaltIntent()), (NOON, order())])
    assert replay(policy, journal)["allowed"] == 1
    assert replay(policy, journal)["halts_left_out"] == 1
    assert replay(policy, journal, "risk")["refused_by_rule"] == {"operation": 1}


def test_a_replay_changes_nothing_and_names_a_file_that_is_no_journal(policy: bytes, tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "host.db", [(NOON, order())])
    before = journal.read_bytes()
    replay(policy, journal)
    assert journal.read_bytes() == before
    other = tmp_path / "other.db"
    other.write_text("no database")
    with pytest.raises(JournalError, match=r"other\.db"):
        replay(policy, other)


def test_the_commands_answer_in_json_and_by_exit_code(tmp_path: Path) -> None:
    intent = tmp_path / "intent.json"
    fields = {"account": "binance-main", "venue": "binance", "symbol": "BTC/USDT", "side": "BUY", "quantity": "0.5"}
    for price, code in (("60000", 0), ("1", 1)):
        intent.write_text(json.dumps({**fields, "price": price, "reference_price": price}))
        done = _casemate("explain", "--policy", str(EXAMPLE), "--engine", "mm-1", str(intent), "--json")
        assert done.returncode == code, done.stderr
        assert json.loads(done.stdout)["verdict"]["decision"] == ("REFUSE" if code else "ALLOW")
    journal = write_journal(tmp_path / "host.db", [(NOON, order())])
    done = _casemate("replay", "--policy", str(EXAMPLE), "--journal", str(journal), "--json")
    assert json.loads(done.stdout)["allowed"] == 1
    assert _casemate("replay", "--policy", str(EXAMPLE), "--journal", str(tmp_path / "no.db")).returncode == 2


def _casemate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "casemate", "policy", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("duty", "line"), [("on_parent", "duty on_parent: no grants."), ("daemon", "duty daemon d75a")]
)
def test_s13_the_report_says_who_grants_duty(duty: str, line: str) -> None:
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    example = EXAMPLE.read_text(encoding="utf-8")
    daemon = f'[duty]\nkey = "{key}"\nlongest = "5m"\n'
    compiled = compile_checked(example if duty == "on_parent" else example.replace('duty = "on_parent"\n', "") + daemon)
    report = check(compiled)
    assert any(shown.startswith(line) for shown in report.lines(compiled))
    assert report.as_json()["duty"]["mode"] == duty
