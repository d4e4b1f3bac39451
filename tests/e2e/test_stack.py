"""The stack of stand-ins as other people's suites use it, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from casemate import OrderIntent, OrderState, SyncGateway, UnauthenticatedSealer, new_client_order_id
from casemate.errors import BadRequest, NotAllowed
from casemate.quorum.keys import read_key
from casemate.quorum.statements import POLICY, Terms, approve, policy_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemate_mock.pytest_plugin import RunningStack

pytest_plugins = ["casemate_mock.pytest_plugin"]
_GONE_S = 15


@pytest.fixture
def stack(casemate_stack: RunningStack) -> RunningStack:
    """The plugin's fixture, as a user's own suite has it."""
    return casemate_stack


@pytest.fixture
def gateway(stack: RunningStack) -> Iterator[SyncGateway]:
    """The trading engine's gateway."""
    with SyncGateway.connect(stack.profile) as opened:
        yield opened


def resting(account: str, venue: str, symbol: str, price: str, quantity: str = "0.001") -> OrderIntent:
    """An order far below the simulated market."""
    return OrderIntent.limit(account, venue, symbol, "BUY", quantity=quantity, price=price)


def test_an_order_rests_at_every_venue_and_is_cancelled(stack: RunningStack, gateway: SyncGateway) -> None:
    for account in stack.accounts:
        instrument = account["instruments"][0]
        order = resting(account["name"], account["venue"], instrument["symbol"], "59000")
        placed = gateway.submit(order)
        assert placed.allowed, placed.verdict
        assert placed.state is OrderState.OPEN, (account["name"], placed.report)
        (found,) = [
            item for item in stack.orders(account["server"]) if item["client_order_id"] == order.client_order_id
        ]
        assert found["status"] == "new"
        assert placed.report is not None
        canceled = gateway.cancel(
            order.account,
            order.venue,
            order.symbol,
            order.client_order_id,
            venue_order_id=placed.report.venue_order_id,
        )
        assert canceled.allowed, canceled.verdict
        after = {item["client_order_id"]: item["status"] for item in stack.orders(account["server"])}
        assert after[order.client_order_id] == "canceled"


def test_a_moved_market_fills_a_resting_order(stack: RunningStack, gateway: SyncGateway) -> None:
    order = resting("okx-spot", "okx", "BTC/USDT", "58000")
    assert gateway.submit(order).state is OrderState.OPEN
    stack.move_price("okx", "BTC/USDT", "57000")
    (read,) = gateway.query(order.account, order.venue, order.symbol, order.client_order_id).orders
    assert read.state is OrderState.FILLED
    stack.move_price("okx", "BTC/USDT", "60000")


def test_the_same_intent_twice_makes_one_order(stack: RunningStack, gateway: SyncGateway) -> None:
    # An intent may not be older than the session that it is sent under.
    gateway.open_session()
    now = time.time_ns()
    order = OrderIntent(
        **{name: getattr(resting("okx-spot", "okx", "BTC/USDT", "55000"), name) for name in OrderIntent.__slots__}
        | {"created_at": now, "valid_until": now + 10_000_000_000}
    )
    first, second = gateway.submit(order), gateway.submit(order)
    assert first.allowed
    assert second.repeated
    ids = [item["client_order_id"] for item in stack.orders("okx")]
    assert ids.count(order.client_order_id) == 1


def test_a_reader_may_not_trade(stack: RunningStack) -> None:
    with SyncGateway.connect(stack.profile_of(stack.ready["engines"][1])) as reader:
        result = reader.submit(resting("okx-spot", "okx", "BTC/USDT", "55000"))
        assert result.verdict.rule == "operation"
        assert reader.balances("okx-spot", "okx").balances


def test_a_lost_reply_is_resolved_by_asking_and_never_sent_again(stack: RunningStack, gateway: SyncGateway) -> None:
    stack.script("okx", kind="DROP_AFTER", method="POST")
    order = resting("okx-spot", "okx", "BTC/USDT", "54000")
    state = gateway.submit(order, timeout_s=30).state
    until = time.monotonic() + 30
    while state is OrderState.UNKNOWN and time.monotonic() < until:
        time.sleep(0.1)
        state = gateway.get(order.account, order.client_order_id).state
    assert state is OrderState.OPEN
    ids = [item["client_order_id"] for item in stack.orders("okx")]
    assert ids.count(order.client_order_id) == 1


def test_an_intent_that_is_already_dead_is_not_sent(stack: RunningStack, gateway: SyncGateway) -> None:
    client_order_id = new_client_order_id("okx")
    order = OrderIntent.limit(
        "okx-spot", "okx", "BTC/USDT", "BUY", quantity="0.001", price="54000", client_order_id=client_order_id
    )
    stale = OrderIntent(
        **{name: getattr(order, name) for name in OrderIntent.__slots__} | {"created_at": 1, "valid_until": 2}
    )
    try:
        refused = not gateway.submit(stale).allowed
    except BadRequest:
        refused = True
    except Exception as error:  # noqa: BLE001 - whichever way the host says that it took nothing
        refused = getattr(error, "reason", "") == "STALE"
    assert refused
    assert client_order_id not in {item["client_order_id"] for item in stack.orders("okx")}


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - gone between two looks
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent-death signal and /proc")
@pytest.mark.parametrize("how", ["stdin", "terminate", "kill"])
def test_no_process_of_a_stack_outlives_it(tmp_path: Path, how: str) -> None:
    # Not at the top: pytest wants to load the plugin itself first.
    from casemate_mock.pytest_plugin import RunningStack  # noqa: PLC0415

    running = RunningStack(tmp_path)
    pids = list(running.ready["pids"].values())
    assert all(_alive(pid) for pid in pids)
    if how == "stdin":
        assert running.stop() == 0
    else:
        os.kill(running.pid, signal.SIGTERM if how == "terminate" else signal.SIGKILL)
    until = time.monotonic() + _GONE_S
    while any(_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)
    running.stop()


def test_a_stack_goes_on_without_its_officer_and_says_which_other_part_ended(tmp_path: Path) -> None:
    from casemate_mock.pytest_plugin import RunningStack  # noqa: PLC0415 - as above

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = RunningStack(tmp_path, "--duty", "--metrics", str(port))
    try:
        os.kill(running.ready["pids"]["duty"], signal.SIGKILL)
        log = tmp_path / "stack.log"
        assert _soon(lambda: "no officer grants duty any more" in log.read_text())
        with SyncGateway.connect(running.profile) as opened:
            order = resting("okx-spot", "okx", "BTC/USDT", "53000")
            assert opened.submit(order).state is OrderState.OPEN
        with urllib.request.urlopen(running.ready["metrics"], timeout=10) as page:  # noqa: S310 - http to 127.0.0.1
            assert b"casemate" in page.read()
        assert json.loads(Path(running.ready["spare_credentials"]).read_text()).keys() == {
            account["name"] for account in running.accounts
        }
        os.kill(running.ready["pids"]["host"], signal.SIGKILL)
        assert _soon(lambda: "host (pid" in log.read_text())
        assert running.stop() == 1
    finally:
        running.stop()


def _soon(said: Callable[[], bool]) -> bool:
    until = time.monotonic() + _GONE_S
    while not said() and time.monotonic() < until:
        time.sleep(0.05)
    return said()


def test_the_side_door_says_what_is_wrong_with_a_fault(stack: RunningStack) -> None:
    with pytest.raises(ValueError, match=r"DROP_AFTERR.*DROP_AFTER"):
        stack.script("okx", kind="DROP_AFTERR")


def test_secrets_of_a_stack_are_readable_by_their_owner_alone(stack: RunningStack, tmp_path: Path) -> None:
    directory = type(tmp_path)(stack.ready["directory"])
    secret = [directory / "credentials.json", directory / "credentials-spare.json", *directory.glob("*.key")]
    # Three administrators, two engines, the duty officer, and the root of the pretended platform.
    assert len(secret) == 2 + 3 + 2 + 1 + 1
    assert [file.name for file in secret if file.stat().st_mode & 0o077] == []


def test_a_stack_proves_who_is_who_unless_it_is_asked_not_to(stack: RunningStack, gateway: SyncGateway) -> None:
    assert not gateway.status().enclave.unauthenticated
    placed = gateway.submit(resting("okx-spot", "okx", "BTC/USDT", "52000"))
    assert placed.allowed
    assert placed.authenticated
    with (
        SyncGateway(stack.gateway, UnauthenticatedSealer(stack.engine)) as stranger,
        pytest.raises(NotAllowed, match="NOT_AUTHENTICATED"),
    ):
        stranger.submit(resting("okx-spot", "okx", "BTC/USDT", "52000"))


def test_the_unauthenticated_stack_says_so_on_every_way(unauthenticated_stack: RunningStack) -> None:
    with SyncGateway(unauthenticated_stack.gateway, UnauthenticatedSealer(unauthenticated_stack.engine)) as gateway:
        assert gateway.status().enclave.unauthenticated
        assert not gateway.submit(resting("okx-spot", "okx", "BTC/USDT", "52000")).authenticated
    assert "profiles" not in unauthenticated_stack.ready
    log = Path(unauthenticated_stack.ready["directory"]) / "enclave.log"
    assert "UNAUTHENTICATED, DEVELOPMENT ONLY" in log.read_text(encoding="utf-8")


def test_s4_one_administrator_alone_changes_no_policy_of_a_stack(stack: RunningStack, gateway: SyncGateway) -> None:
    policy = Path(stack.ready["policy"]).read_bytes()
    with pytest.raises(NotAllowed, match="NOT_APPROVED"):
        gateway.load_policy(policy)
    (admin, *_) = (read_key(Path(path)) for path in stack.ready["quorum"]["admins"])
    now = time.time_ns()
    terms = Terms(deployment="demo", sequence=9, not_before=now - 10**9, not_after=now + 10**11)
    with pytest.raises(NotAllowed, match="1 of 2"):
        gateway.load_policy(policy, [approve(admin, POLICY, terms, policy_fields(policy))])


def _contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and bytes of what a stack writes once, its sockets included."""
    names = (
        "credentials.json",
        "policy.toml",
        "policy.cbor",
        "host.toml",
        "quorum.cbor",
        "nitro-root.pem",
        "admin-1.key",
        "demo-engine.key",
        "demo-engine.toml",
        "enclave.sock",
        "gateway.sock",
    )
    files = [directory / name for name in names]
    return {file.name: (file.stat().st_ino, b"" if file.is_socket() else file.read_bytes()) for file in files}


def test_a_second_stack_in_the_same_directory_ends_and_leaves_the_first_as_it_was(
    stack: RunningStack, gateway: SyncGateway, tmp_path: Path
) -> None:
    directory = type(tmp_path)(stack.ready["directory"])
    before = _contents(directory)
    done = subprocess.run(
        [sys.executable, "-m", "casemate_mock", "all", "--dir", str(directory)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"{directory} is in use by another stack" in done.stderr
    assert _contents(directory) == before
    order = resting("okx-spot", "okx", "BTC/USDT", "53000")
    assert gateway.submit(order).state is OrderState.OPEN


def test_wrong_use_of_the_stand_ins_exits_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate_mock", "venue", "--venue", "nowhere"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
