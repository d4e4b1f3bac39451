"""S13: what a lying host, a slow one, a frozen database or an old copy of the state can do to the officer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from casemate.audit import witness
from casemate.duty import postgres
from casemate.duty.decide import KEPT_BOOTS, decide, free_from
from casemate.duty.errors import StateLost
from casemate.duty.model import Alarm, Grant, Lost, Retire, State, Wishes
from casemate.duty.officer import HEAD_EVERY_NS
from casemate.duty.store import FileStore, open_store
from casemate.duty.texts import read_state, state_text
from dispatch_api.v1 import dispatch_pb2
from tests.duty.hosts import LENGTH, MARGIN
from tests.duty.test_s13_officer import on_duty, pass_time, world
from tests.duty.worlds import SECOND, START, TERMS, Enclave, seen

if TYPE_CHECKING:
    from pathlib import Path

    from casemate.duty.model import Decision


def granted(one: Enclave, at: int = START, state: State | None = None) -> State:
    """The state after a boot took a first grant and showed it."""
    before = state or State(deployment="rig")
    decision = decide(before, [seen(one, at)], TERMS, at, Wishes(fresh=state is None))
    assert one.take(decision.sends[-1], at) == ""
    return decide(decision.state, [seen(one, at)], TERMS, at).state


def grants(decision: Decision) -> list[Grant]:
    return [send.what for send in decision.sends if isinstance(send.what, Grant)]


def alarms(decision: Decision) -> set[Alarm]:
    return {each.alarm for each in decision.alarms}


def test_s13_a_boot_that_was_followed_gets_nothing_however_many_boots_came_after_it() -> None:
    """A host that starts enclave after enclave must not make the officer forget who has counted what."""
    one, now = Enclave(0, 0), START
    state = granted(one)
    for number in range(1, 3 * KEPT_BOOTS):
        now += 100 * SECOND
        state = granted(Enclave(number, 0), now, state)
    assert len(state.boots) <= KEPT_BOOTS + 2
    state = read_state(state_text(state))
    now += 100 * SECOND
    back = decide(state, [replace(seen(one, now), field="continues", refused="continues")], TERMS, now)
    assert not back.sends
    assert Alarm.SUPERSEDED in alarms(back)


def test_s13_an_old_copy_of_the_state_uses_no_number_twice_and_overlaps_with_nothing() -> None:
    one, two = Enclave(0, 0), Enclave(1, 0)
    old = granted(one)
    now = START + TERMS.length + MARGIN + SECOND
    state = granted(two, now, old)
    assert two.grant is not None
    for shown in ([seen(two, now, "b")], [seen(one, now), seen(two, now, "b")], [seen(two, now, "b"), seen(one, now)]):
        decision = decide(old, shown, TERMS, now)
        assert Alarm.UNKNOWN_GRANT in alarms(decision)
        assert decision.state.holder == two.key
        assert decision.state.sequence >= state.sequence
        assert free_from(decision.state, one.key, 0) >= two.grant.not_after
        for grant in grants(decision):
            assert grant.sequence > state.sequence
        assert all(send.boot != one.key for send in decision.sends)


def test_s13_a_grant_that_somebody_else_gave_is_waited_out() -> None:
    """The quorum's, or a second officer's: two boots must not hold duty at once all the same."""
    one, two = Enclave(0, 0), Enclave(1, 0)
    given = decide(State(deployment="rig", sequence=7), [seen(one, START)], TERMS, START, Wishes(fresh=True))
    one.take(given.sends[0], START)
    decision = decide(State(deployment="rig"), [seen(one, START), seen(two, START, "b")], TERMS, START)
    assert all(send.boot != two.key for send in decision.sends)
    assert decision.state.sequence >= 8
    gone = START + 30 * SECOND
    later = decide(decision.state, [Lost("a", Alarm.GATEWAY_LOST, ""), seen(two, gone, "b")], TERMS, gone)
    assert not grants(later)


def test_s13_a_wish_outlives_a_round_in_which_nobody_was_there(tmp_path: Path) -> None:
    async def play() -> None:
        async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
            FileStore(tmp_path / "state", "rig").ask("a")
            await officer.round()
            await officer.round()
            assert not FileStore(tmp_path / "state", "rig").asked()
            made.clock.now += SECOND
            made.hosts["a"].reboot()
            await officer.round()
            made.hosts["a"].lost.add("all")
            FileStore(tmp_path / "state", "rig").ask("a")
            await officer.round()
            assert FileStore(tmp_path / "state", "rig").asked() == {"a"}
            made.hosts["a"].lost.clear()
            await officer.round()
            await officer.round()
            assert not FileStore(tmp_path / "state", "rig").asked()
            assert all(boot.retired for boot in officer.state.boots.values() if boot.gateway == "a")

    asyncio.run(play())


async def test_s13_a_host_that_shows_no_head_or_an_old_one_is_an_alarm(tmp_path: Path) -> None:
    """Without the heads the witness's file would prove nothing, and nobody would notice."""
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        first = made.hosts["a"].answers["Receipts"][0]
        for answer in (first, dispatch_pb2.StoredReceipts().SerializeToString(), b"\xff"):
            made.desk.lines.clear()
            made.hosts["a"].tamper = lambda method, raw, answer=answer: answer if method == "Receipts" else raw
            await pass_time(made, officer, HEAD_EVERY_NS // SECOND // 2)
            assert "NO_HEAD" not in made.desk.alarms()
            for _ in range(4):
                made.verdict("a")
                await pass_time(made, officer, 5)
            assert "NO_HEAD" in made.desk.alarms()
            made.hosts["a"].tamper = lambda _, raw: raw
            await pass_time(made, officer, 10)
            said = [json.loads(line) for line in made.desk.lines]
            assert "NO_HEAD" in [each["alarm"] for each in said if each["event"] == "ended"]


async def test_s13_an_alarm_that_shows_right_after_a_grant_is_said(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        host = made.hosts["a"]
        first = host.answers["Checkpoint"][0]
        granting = False

        def older(method: str, raw: bytes) -> bytes:
            nonlocal granting
            shown = first if granting and method == "Checkpoint" else raw
            granting = method == "Grant"
            return shown

        host.tamper = older
        made.verdict("a")
        await pass_time(made, officer, 40)
        assert "HEAD_WENT_BACK" in made.desk.alarms()


@pytest.mark.parametrize("answer", [b"", b"\xff", b"\n\x00", os.urandom(2000), b"\x00" * 3_000_000, b"\x08" * 200])
async def test_s13_no_answer_of_a_host_ends_the_officer(tmp_path: Path, answer: bytes) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        for method in ("Attest", "Checkpoint", "Grant", "Receipts"):
            made.hosts["b"].tamper = lambda asked, raw, method=method: answer if asked == method else raw
            await pass_time(made, officer, 35)
        assert made.verdict("a") == ""


async def test_s13_a_fault_in_reading_one_host_is_that_hosts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        broken = officer._gateways[1]

        async def fail(*_: Any) -> None:
            raise RecursionError

        for name in ("_attest", "_seen"):
            monkeypatch.setattr(broken, name, fail)
        await pass_time(made, officer, 60)
        assert made.verdict("a") == ""
        assert "GATEWAY_LOST" in made.desk.alarms()


async def test_s13_a_slow_host_does_not_take_anothers_duty_away(tmp_path: Path) -> None:
    """Each answer comes just before its time is over; together they must not take longer than one is allowed to."""
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        waited: list[float] = []
        slow = officer._gateways[1]
        slow._timeout, slow._boot = 0.3, b""

        async def dawdle(*_: Any, **said: Any) -> bytes:
            waited.append(said["timeout"])
            await asyncio.sleep(0.2)
            return made.hosts["b"].answers["Checkpoint"][-1]

        class Channel:
            def unary_unary(self, *_: Any, **__: Any) -> Any:
                return dawdle

            async def close(self) -> None:
                pass

        await slow.close()
        slow._channel = Channel()  # type: ignore[assignment]
        slow._boot = next(key for key, boot in officer.state.boots.items() if boot.gateway == "b")
        slow._attested_at = made.clock.now
        made.hosts["b"].answers["Checkpoint"].append(b"")
        found = await slow.look(made.clock.now)
        assert isinstance(found, Lost)
        assert "longer" in found.reason


async def test_s13_what_a_host_says_in_an_error_is_cut_short(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        made.desk.lines.clear()
        officer._gateways[1]._lost(Alarm.GATEWAY_LOST, RuntimeError("x" * 100_000))
        assert len(officer._gateways[1]._lost(Alarm.GATEWAY_LOST, RuntimeError("x" * 100_000)).reason) < 1000


class Frozen:
    """A way to the database that stops passing bytes on, and says nothing."""

    def __init__(self, path: str, port: int) -> None:
        self.directory = os.path.dirname(path)  # noqa: PTH120
        self._target, self._port = path, port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.frozen = threading.Event()
        self._sockets: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if not self.frozen.is_set():
                    other.sendall(data)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def test_s13_a_database_that_does_not_answer_ends_the_officer_and_does_not_hang_it(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = postgresql.partition("host=")[2].partition("&")[0]
    between = Frozen(f"{directory}/.s.PGSQL.5432", 5432)
    monkeypatch.setattr(postgres, "ANSWER_S", 0.5)
    store = open_store(f"postgresql://casemate@127.0.0.1:{between.port}/postgres?sslmode=disable", "frozen")
    try:
        state = store.hold()
        between.frozen.set()
        done: list[BaseException | None] = []

        def write() -> None:
            try:
                store.write(state)
            except StateLost as error:
                done.append(error)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(20)
        assert len(done) == 1
    finally:
        between.close()
        store.close()


def test_s13_the_times_of_a_retirement_are_as_wide_as_the_clocks_differ() -> None:
    one = Enclave(0, 0)
    state = granted(one)
    (send,) = decide(state, [seen(one, START)], TERMS, START, Wishes(retire=frozenset({"a"}))).sends
    assert isinstance(send.what, Retire)
    assert send.what.not_before <= START - TERMS.margin
    assert send.what.not_after <= START + TERMS.length


def test_s13_a_witness_file_gets_one_line_a_head(tmp_path: Path) -> None:
    async def play() -> None:
        async with world(tmp_path) as made, on_duty(made, fresh=True, rounds=3) as officer:
            await pass_time(made, officer, 10)

    asyncio.run(play())
    lines = witness.read(tmp_path / "witness.jsonl")
    assert lines
    assert len({each.head for each in lines}) == len(lines)
    assert LENGTH > 0
