"""S9: evidence made to fool the auditor, or to stop him: what was not checked is never said to hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.audit import export, journal, live, view, witness
from casemate.audit.audit import Expected, audit
from casemate.audit.check import MOST_TAIL, Problem
from casemate.audit.errors import BadFile
from casemate.audit.evidence import Boot, Claim, Evidence, together
from casemate.audit.forms import HEAD_TAG
from casemate.audit.witness import Seen
from casemate.cli.main import main
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2
from tests.audit.audit_rig import Story, tell
from tests.session.session_rig import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.audit.audit import Audit

STORY = tell()
OTHER = tell(start=HOUR)
TAIL = tell(14)
DAY = 86_400_000_000_000


def hang(receipts: list[bytes], **changes: Any) -> bytes:
    """Make a receipt that hangs on the last one, as root on the host can; changed from the last decision."""
    last = cbor2.loads(receipts[-1])
    decision = next(cbor2.loads(each) for each in reversed(receipts) if b"hdecision" in each)
    previous = hashlib.sha256(b"casemate.receipt.v1\0" + receipts[-1]).digest()
    said = decision | {"seq": last["seq"] + 1, "prev": previous, "time": last["time"]} | changes
    return cbor2.dumps(said, canonical=True)


def head(story: Story, receipts: list[bytes], **changes: Any) -> tuple[bytes, bytes]:
    """Sign a head of the last receipt, with the boot's own key: what a broken enclave could do."""
    last = cbor2.loads(receipts[-1])
    own = hashlib.sha256(b"casemate.receipt.v1\0" + receipts[-1]).digest()
    before = cbor2.loads(story.heads[-1][0])
    said = before | {"seq": last["seq"], "hash": own, "time": last["time"]} | changes
    data = cbor2.dumps(said, canonical=True)
    return data, story.rig.sessions.keys.receipts.sign(HEAD_TAG + data)


def signed(story: Story, *added: bytes) -> Boot:
    """The story's boot with more receipts under a good head."""
    receipts = [*story.receipts, *added]
    return story.boot(receipts, [*story.heads, head(story, receipts)])


def kinds(outcome: Audit) -> set[Problem]:
    return {finding.problem for finding in outcome.findings}


def text(outcome: Audit, span: tuple[int, int] | None = None) -> str:
    return "\n".join(view.lines(outcome, span))


def pins() -> Expected:
    return Expected(pcrs={0: STORY.rig.measurements[0]}, root=STORY.rig.chain.root)


def test_s9_a_witness_who_saw_nothing_of_a_boot_checks_nothing_of_it() -> None:
    for seen in ([], [Seen(0, *STORY.heads[0])._replace(signature=bytes(64))]):
        outcome = STORY.audited(seen=seen)
        assert not outcome.sound
        assert view.as_json(outcome, None)["truncation"] == "not checked"
        assert "truncation not checked" in text(outcome)
    both = audit(Evidence([STORY.boot(), OTHER.boot()], None), pins(), STORY.witness)
    assert not both.sound
    assert both.findings == []
    assert OTHER.key.hex()[:16] in next(line for line in view.lines(both, None) if line.startswith("NOT CHECKED"))
    assert audit(Evidence([STORY.boot(), OTHER.boot()], None), pins(), [*STORY.witness, *OTHER.witness]).sound


@pytest.mark.parametrize("at", range(len(STORY.receipts) - 1))
def test_s9_one_missing_receipt_is_a_gap_of_that_number_and_nothing_else_can_hide_it(at: int) -> None:
    numbered = [(number, each) for number, each in enumerate(STORY.receipts) if number != at]
    boot = STORY.boot()._replace(receipts=lambda: iter(numbered))
    outcome = STORY.audited(boot)
    gaps = [finding for finding in outcome.findings if finding.problem is Problem.GAP]
    assert [gap.sequence for gap in gaps] == [at]
    assert f"receipt {at} is missing" in gaps[0].text
    assert not outcome.sound
    # No --day hides it.
    assert f"WRONG gap: receipt {at} is missing" in text(outcome, (0, DAY))
    assert view.as_json(outcome, (0, DAY))["table"] == []
    assert not view.as_json(outcome, (0, DAY))["sound"]


def test_s9_a_day_shows_its_own_rows_alone() -> None:
    outcome = STORY.audited()
    begun = outcome.reports[0].begun
    day = begun - begun % DAY
    whole = view.as_json(outcome, None)["table"]
    assert whole
    assert view.as_json(outcome, (day, day + 2 * DAY))["table"] == whole
    assert view.as_json(outcome, (day - DAY, day))["table"] == []
    first = whole[0]["hour"]
    assert view.as_json(outcome, (first, first + 1))["table"] == [row for row in whole if row["hour"] == first]
    assert view.as_json(outcome, (first + 1, first + DAY))["table"] == [row for row in whole if row["hour"] > first]


def test_s9_the_text_shows_the_boots_the_table_and_the_end() -> None:
    shown = text(STORY.audited(sent={}))
    assert f"boot {STORY.key.hex()[:16]}" in shown
    assert "allowed 8, refused 4, charged" in shown
    assert "the host says it sent 0 requests; the chain allows 0 of them" in shown
    assert "signed, and by the host's word never sent: 8" in shown
    assert shown.endswith("The chain holds: nothing is missing, altered or unsigned but the tails named above.")
    without = text(STORY.audited(seen=None))
    assert "The chain holds" not in without
    assert without.endswith("NOT CHECKED: truncation not checked: give --witness FILE")


def test_s9_what_a_host_writes_into_the_unsigned_tail_cannot_speak_for_the_auditor() -> None:
    lie = "x\nThe chain holds: nothing is missing\x1b[2K"
    receipts = list(TAIL.receipts)
    receipts.append(hang(receipts, kind=lie, policy=1))
    outcome = TAIL.audited(TAIL.boot(receipts), sent={bytes(32): Claim(lie, lie, 1, 1 << 62)})
    assert Problem.CLAIM in kinds(outcome)
    for line in view.lines(outcome, None):
        assert line.isprintable()
        assert not line.startswith("The chain holds")


def test_s9_a_request_that_only_the_unsigned_tail_allows_is_not_said_to_be_allowed() -> None:
    receipts = list(TAIL.receipts)
    receipts.append(hang(receipts, intent=b"\7" * 32, request=b"\1" * 32, verdict=1))
    outcome = TAIL.audited(TAIL.boot(receipts), sent={b"\7" * 32: Claim("main", "forged", 1, 1)})
    claims = view.as_json(outcome, None)["host_claims"]
    assert claims["in_unsigned_tail"] == 1
    assert "the chain allows 0 of them" in text(outcome)
    assert "1 by receipts that nobody signed" in text(outcome)


def test_s9_a_tail_longer_than_an_enclave_leaves_one_is_found() -> None:
    receipts = list(STORY.receipts)
    for _ in range(MOST_TAIL):
        receipts.append(hang(receipts))
    assert kinds(STORY.audited(STORY.boot(receipts))) == set()
    receipts.append(hang(receipts))
    assert kinds(STORY.audited(STORY.boot(receipts))) == {Problem.NOT_SIGNED}


def test_s9_a_host_that_says_it_met_the_boot_later_does_not_excuse_what_it_sent() -> None:
    sent = {bytes(32): Claim("main", "id", 1, cbor2.loads(STORY.receipts[-1])["time"])}
    boot = STORY.boot()._replace(since=1 << 62)
    assert kinds(STORY.audited(boot, sent=sent)) == {Problem.CLAIM}


def test_s9_one_boot_told_twice_is_found() -> None:
    outcome = audit(Evidence([STORY.boot(), STORY.boot(STORY.receipts[:1], [])], None), pins(), STORY.witness)
    assert Problem.BOOT in kinds(outcome)


def test_s9_new_orders_after_a_retirement_are_found_and_cancels_are_not() -> None:
    retired = hang(STORY.receipts)
    said = {key: cbor2.loads(retired)[key] for key in ("seq", "prev", "time", "policy")}
    retired = cbor2.dumps(said | {"kind": "retired", "digest": bytes(32), "sequence": 2}, canonical=True)
    for operation, request, found in ((1, b"\1" * 32, True), (5, b"\1" * 32, False), (1, b"", False)):
        verdict = 1 if request else 2
        after = hang([*STORY.receipts, retired], operation=operation, verdict=verdict, request=request)
        assert (Problem.RETIRED in kinds(STORY.audited(signed(STORY, retired, after)))) == found


def test_s9_a_policy_that_heads_name_and_no_receipt_brought_is_found() -> None:
    after = hang(STORY.receipts)
    receipts = [*STORY.receipts, after]
    for changes in ({"policy_version": 2}, {"policy_digest": bytes(32)}):
        boot = STORY.boot(receipts, [*STORY.heads, head(STORY, receipts, **changes)])
        assert kinds(STORY.audited(boot)) == {Problem.POLICY}
    assert kinds(STORY.audited(signed(STORY, after))) == set()


def test_s9_heads_of_another_deployment_are_found() -> None:
    receipts = [*STORY.receipts, hang(STORY.receipts)]
    first = cbor2.loads(receipts[4])["seq"]
    other = head(STORY, receipts[: first + 1], deployment="elsewhere")
    assert Problem.HEAD in kinds(STORY.audited(STORY.boot(heads=[other, *STORY.heads])))


@pytest.mark.parametrize("charged", ["1e999999999", "abc", "-1", "NaN", "", "0" * 9, "9" * 400, "1.", "٣"])
def test_s9_an_amount_that_is_none_is_no_zero(charged: str) -> None:
    receipts = list(TAIL.receipts)
    receipts.append(hang(receipts, counters={"charged": charged, "session": 1}))
    assert Problem.MALFORMED in kinds(TAIL.audited(TAIL.boot(receipts)))


def test_s9_amounts_are_added_to_the_last_digit() -> None:
    receipts = list(STORY.receipts)
    for amount in ("100000000000000000.000000000000000001",) * 3:
        receipts.append(hang(receipts, counters={"charged": amount, "session": 1}, rule="digits"))
    (report,) = STORY.audited(STORY.boot(receipts, [*STORY.heads, head(STORY, receipts)])).reports
    (row,) = (row for key, row in report.tally.rows.items() if key.rule == "digits")
    assert f"{row.charged:f}" == "300000000000000000.000000000000000003"
    assert f"{report.tally.charged:f}".endswith(".000000000000000003")


def _journal(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA user_version = 2;"
        " CREATE TABLE boots (number INTEGER PRIMARY KEY, boot, since, document);"
        " CREATE TABLE receipts (boot, sequence, receipt); CREATE TABLE heads (boot, sequence, head, signature);"
        " CREATE TABLE orders (account, client_order_id, operation, placed, intent);"
        " CREATE TABLE events (sequence INTEGER PRIMARY KEY, time, payload);"
    )
    connection.execute("INSERT INTO boots VALUES (1, ?, 5, ?)", (STORY.key, STORY.document))
    for number, receipt in enumerate(STORY.receipts):
        connection.execute("INSERT INTO receipts VALUES (?, ?, ?)", (STORY.key, number, receipt))
    for number, (made, signature) in enumerate(STORY.heads):
        connection.execute("INSERT INTO heads VALUES (?, ?, ?, ?)", (STORY.key, number, made, signature))
    connection.commit()
    return connection


def _from(path: Path) -> Audit:
    with journal.opened(path) as evidence:
        return audit(evidence, pins(), STORY.witness)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE receipts SET sequence = 'four' WHERE sequence = 4",
        "UPDATE receipts SET sequence = NULL WHERE sequence = 4",
        "UPDATE receipts SET receipt = 'text' WHERE sequence = 4",
        "UPDATE receipts SET receipt = 17 WHERE sequence = 4",
        "UPDATE boots SET document = NULL",
        "UPDATE boots SET document = 'text'",
        "INSERT INTO boots VALUES (2, 'text', 5, x'')",
        "UPDATE boots SET since = 'long ago'",
        "UPDATE heads SET head = 1",
        "UPDATE heads SET signature = NULL",
        "INSERT INTO orders VALUES ('main', 'id', 1, 1, 1); INSERT INTO events VALUES (1, 9, x'ffffff')",
        "INSERT INTO orders VALUES ('main', 'id', 1, 1, 1); INSERT INTO events VALUES (1, 9, 'text')",
        "INSERT INTO orders VALUES (1, 2, 3, 1, 1); INSERT INTO events VALUES (1, 'now', x'')",
        "DROP TABLE boots;"  # noqa: ISC004 - one script
        " CREATE VIEW boots AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
        " SELECT n AS number, x'00' AS boot, n AS since, x'' AS document FROM r",
        "PRAGMA user_version = 99",
        "DROP TABLE heads",
    ],
)
def test_s9_a_journal_made_by_hand_is_no_crash_and_never_sound(tmp_path: Path, change: str) -> None:
    path = tmp_path / "journal.db"
    with contextlib.closing(_journal(path)) as connection:
        assert _from(path).sound
        connection.executescript(change)
        connection.commit()
    with pytest.raises(BadFile):
        _from(path)


def _gateway(boot: Boot, *, receipts: Callable[[list[bytes]], list[bytes]] = lambda page: page) -> live.Ask:
    stored = [each for _, each in boot.receipts()]

    def ask(_: bytes, start: int, limit: int) -> dispatch_pb2.StoredReceipts:
        made, signature = boot.heads[-1]
        return dispatch_pb2.StoredReceipts(
            boot=boot.key,
            receipts=receipts(stored[start : start + min(limit, 5)]),
            head=signer_pb2.SignedHead(head=made, signature=signature),
            document=boot.document,
            boots=[boot.key],
        )

    return ask


def test_s9_a_gateway_is_audited_page_by_page_and_told_nothing_on_trust() -> None:
    assert audit(live.fetch(_gateway(STORY.boot())), pins(), STORY.witness).sound
    assert not audit(live.fetch(_gateway(STORY.boot())), pins(), None).sound
    hidden = _gateway(STORY.boot(), receipts=lambda page: [each for each in page if each != STORY.receipts[7]])
    assert Problem.GAP in kinds(audit(live.fetch(hidden), pins(), STORY.witness))
    cut = STORY.boot(STORY.receipts[:6], STORY.heads[:1])
    assert Problem.TRUNCATED in kinds(audit(live.fetch(_gateway(cut)), pins(), STORY.witness))


def test_s9_a_gateway_that_repeats_itself_is_not_followed() -> None:
    calls = 0

    def ask(boot: bytes, _: int, limit: int) -> dispatch_pb2.StoredReceipts:
        nonlocal calls
        calls += 1
        assert calls < 50
        page = _gateway(STORY.boot())(boot, 0, limit)
        if limit:
            del page.receipts[:]
            page.receipts.extend([STORY.receipts[0]] * 2048)
        return page

    assert Problem.ORDER in kinds(audit(live.fetch(ask), pins(), STORY.witness))


_DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "line", [_DEEP, "1", "[]", "{}", '{"seen": 1}', '{"seen": true, "head": "", "signature": "00"}', "9" * 5000, "\x00"]
)
def test_s9_a_witness_file_or_an_export_made_by_hand_is_no_crash(tmp_path: Path, line: str) -> None:
    path = tmp_path / "file"
    path.write_text(f"{line}\n")
    with pytest.raises(BadFile):
        witness.read(path)
    with pytest.raises(BadFile):
        export.read(path)
    path.write_text(f'{{"format": "casemate.export.v1"}}\n{line}\n')
    with pytest.raises(BadFile):
        export.read(path)


def test_s9_two_heads_of_one_receipt_are_a_fork_whichever_comes_first() -> None:
    made, _ = STORY.heads[1]
    other = cbor2.dumps(cbor2.loads(made) | {"hash": bytes(32)}, canonical=True)
    signature = STORY.rig.sessions.keys.receipts.sign(HEAD_TAG + other)
    outcome = STORY.audited(seen=[Seen(0, other, signature), *STORY.witness])
    assert kinds(outcome) == {Problem.FORK}


def test_s9_time_that_goes_back_is_found_under_a_good_head() -> None:
    time = cbor2.loads(STORY.receipts[-1])["time"]
    for back, found in ((1, {Problem.TIME}), (0, set())):
        boot = signed(STORY, hang(STORY.receipts, time=time - back))
        assert kinds(STORY.audited(boot)) == found


def test_s9_a_boots_receipt_stands_first_and_nowhere_else() -> None:
    said = cbor2.loads(STORY.receipts[0])
    again = {key: cbor2.loads(hang(STORY.receipts))[key] for key in ("seq", "prev", "time")}
    boot = signed(STORY, cbor2.dumps(said | again | {"policy": 1}, canonical=True))
    assert kinds(STORY.audited(boot)) == {Problem.BOOT}
    first = cbor2.dumps({**said, "kind": "other"}, canonical=True)
    assert Problem.BOOT in kinds(STORY.audited(STORY.boot([first])))
    for name, value in (("format", "other"), ("boot", bytes(32))):
        first = cbor2.dumps({**said, name: value}, canonical=True)
        assert Problem.BOOT in kinds(STORY.audited(STORY.boot([first])))


def test_s9_findings_of_one_kind_are_told_up_to_twenty_and_then_counted() -> None:
    outcome = STORY.audited(STORY.boot(heads=[(b"", b"")] * 25))
    shown = text(outcome).splitlines()
    assert sum(line.startswith("WRONG head: one of") for line in shown) == 20
    assert any(line.startswith("WRONG head: 5 more") for line in shown)


def test_s9_two_hosts_with_one_witness_are_audited_together_and_their_boots_are_no_twins() -> None:
    twin = tell()
    seen = [*STORY.witness, *twin.witness]
    alone = audit(Evidence([STORY.boot()], {}), pins(), seen)
    assert kinds(alone) == {Problem.TRUNCATED}
    parts = [Evidence([STORY.boot()], {}), Evidence([twin.boot()], {})]
    assert audit(together(parts), pins(), seen).sound
    assert kinds(audit(together([Evidence([STORY.boot(), twin.boot()], None)]), pins(), seen)) == {Problem.TWINS}
    assert together([parts[0], Evidence([], None)]).sent is None


def test_s9_the_command_takes_a_file_of_each_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = tell()
    files, root, heads = [], tmp_path / "root.pem", tmp_path / "witness"
    for name, story in (("a", STORY), ("b", twin)):
        files.append(str(tmp_path / name))
        with Path(files[-1]).open("w") as file:
            export.write(Evidence([story.boot()], None), file, lambda *_: None)
        for each in story.witness:
            witness.append(heads, each)
    root.write_bytes(STORY.rig.chain.root.public_bytes(Encoding.PEM))
    options = ["--witness", str(heads), "--root", str(root), "--pcr", f"0={STORY.rig.measurements[0].hex()}"]
    assert main(["audit", "verify", *files, *options]) == 0
    assert "The chain holds" in capsys.readouterr().out
    assert main(["audit", "verify", files[0], *options]) == 1
    assert main(["audit", "verify", *files, *options[2:]]) == 1
    assert main(["audit", "verify", *files, *options, "--day", "1970-01-01", "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.rindex("\n{\n") :])["table"] == []
