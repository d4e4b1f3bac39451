"""The state's two homes: one officer at a time, nothing half written, nobody writes over another's state."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from casemate.duty import postgres
from casemate.duty.decide import decide
from casemate.duty.errors import Held, StateLost
from casemate.duty.model import State, Wishes
from casemate.duty.store import FileStore, open_store
from casemate.duty.texts import read_state, state_text
from tests.duty.worlds import START, TERMS, Enclave, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from casemate.duty.store import Store

    Opening = Callable[[], Store]


@pytest.fixture(params=["file", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Open the same state, as often as one likes; empty for each test."""
    address, name = f"file:{tmp_path / 'state'}", "rig"
    if request.param == "postgresql":
        address, name = request.getfixturevalue("postgresql"), f"rig-{os.urandom(6).hex()}"
    opened: list[Store] = []

    def once_more() -> Store:
        opened.append(open_store(address, name))
        return opened[-1]

    yield once_more
    for each in opened:
        each.close()


def _state(opening: Opening) -> State:
    held = opening().read()
    one = Enclave(0, 0)
    decision = decide(held, [seen(one, START)], TERMS, START, Wishes(fresh=True))
    return decision.state


def test_s13_what_was_written_is_read_and_survives_the_officer(opening: Opening) -> None:
    store = opening()
    state = replace(_state(opening), revision=store.hold().revision)
    written = store.write(state)
    store.close()
    again = opening()
    assert again.hold() == written
    assert written.boots == state.boots
    assert written.sequence == 1
    again.close()


def test_s13_two_officers_do_not_hold_one_state(opening: Opening) -> None:
    first, second = opening(), opening()
    first.hold()
    with pytest.raises(Held):
        second.hold()
    first.close()
    second.hold()
    second.close()


def test_s13_a_state_that_is_not_the_latest_is_not_written(opening: Opening) -> None:
    store = opening()
    state = replace(_state(opening), revision=store.hold().revision)
    store.write(state)
    with pytest.raises(StateLost):
        store.write(state)
    store.close()


def test_wishes_are_left_seen_and_taken_back(opening: Opening) -> None:
    store = opening()
    store.hold()
    opening().ask("b")
    opening().ask("b")
    assert store.asked() == {"b"}
    store.done("b")
    assert store.asked() == frozenset()
    store.close()


def test_s13_an_officer_whose_database_session_ended_cannot_write_over_its_successor(postgresql: str) -> None:
    first, second = (open_store(postgresql, "fenced") for _ in range(2))
    assert isinstance(first, postgres.PostgresStore)
    state = first.hold()
    # The server ends the session: the lock is free, and the first officer does not know.
    second.read()
    assert isinstance(second, postgres.PostgresStore)
    pid = first._connection.info.backend_pid
    second._connection.execute("select pg_terminate_backend(%s, 5000)", (pid,))
    taken = second.hold()
    second.write(replace(taken, sequence=7))
    with pytest.raises(StateLost):
        first.write(replace(state, sequence=1))
    # Not even over a connection that works again.
    first.close()
    first._connected()
    with pytest.raises(StateLost, match="another officer"):
        first.write(replace(state, sequence=1))
    assert second.read().sequence == 7
    second.close()
    first.close()


def test_an_error_of_the_database_shows_no_password(postgresql: str) -> None:
    wrong = f"{postgresql}&password=hunter2&port=1"
    with pytest.raises(StateLost) as caught:
        open_store(wrong, "rig").hold()
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateLost, match=r"casemate\[postgresql\]"):
        open_store("postgresql://nowhere/x", "rig")


def test_s13_a_half_written_file_is_not_the_state(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "rig")
    written = store.write(store.hold())
    (tmp_path / "state.json.new").write_text("{")
    assert FileStore(tmp_path, "rig").read() == written
    store.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "casemate.duty.state.v2", "state": {}}'])
def test_s13_a_damaged_state_is_no_empty_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(StateLost, match="damaged"):
        FileStore(tmp_path, "rig").hold()


def test_a_state_of_another_deployment_is_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "other")
    store.write(store.hold())
    store.close()
    with pytest.raises(StateLost, match="other"):
        FileStore(tmp_path, "rig").hold()


def test_the_lock_ends_with_the_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from casemate.duty.store import FileStore;"
        " FileStore(Path(sys.argv[1]), 'rig').hold(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 9
    with (tmp_path / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_state_is_the_same_after_writing_and_reading() -> None:
    one = Enclave(0, 0)
    state = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True)).state
    assert read_state(state_text(state)) == state
