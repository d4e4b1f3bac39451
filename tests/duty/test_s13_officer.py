"""S13: the officer and real enclaves, over gRPC: what it grants, to whom, and what gets nothing."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from casemate.audit import witness
from casemate.duty import forms
from casemate.duty.errors import Held, NotFresh, StateLost
from casemate.duty.officer import granted
from casemate.duty.store import FileStore
from signer_api.v1 import signer_pb2
from tests.duty.hosts import FOREIGN, LENGTH, MARGIN, OLDER, Desk, Host
from tests.session.session_rig import SECOND, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from casemate.session.sealer import AttestedSealer


class World:
    """Two hosts and the officer's desk."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.hosts = {name: Host(directory / f"{name}.sock", self.clock) for name in ("a", "b")}
        self.desk = Desk(directory, self.hosts, self.clock)
        self.sealers: dict[int, AttestedSealer] = {}

    def verdict(self, name: str, **changes: Any) -> str:
        """An order of an engine to the boot behind a gateway: empty if signed, else the rule that refused."""
        rig = self.hosts[name].rig
        if id(rig) not in self.sealers:
            self.sealers[id(rig)] = rig.opened(pins=rig.pins(pcrs={0: [rig.measurements[0]]}))
        judged = rig.sign(rig.sealed(self.sealers[id(rig)], **changes))
        return "" if judged.HasField("request") else judged.verdict.rule


@contextlib.asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    made = World(directory)
    for host in made.hosts.values():
        await host.server.start()
    try:
        yield made
    finally:
        for host in made.hosts.values():
            await host.server.stop(None)


@contextlib.asynccontextmanager
async def on_duty(made: World, *, fresh: bool = False, rounds: int = 1) -> AsyncIterator[Any]:
    officer = made.desk.officer(fresh=fresh)
    await officer.begin()
    try:
        for _ in range(rounds):
            await officer.round()
        yield officer
    finally:
        await officer.close()


async def pass_time(made: World, officer: Any, seconds: int, step: int = 5) -> None:
    """Let the officer work while time passes."""
    for _ in range(seconds // step):
        made.clock.now += step * SECOND
        await officer.round()


async def test_s13_a_boot_signs_only_once_it_is_granted_and_goes_on_while_it_is_renewed(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        assert made.verdict("a") == "duty"
        async with on_duty(made, fresh=True) as officer:
            assert made.verdict("a") == ""
            assert made.verdict("b") == "duty"
            await pass_time(made, officer, 300)
            assert made.verdict("a") == ""
            assert made.verdict("b") == "duty"
            boot = officer.state.boots[officer.state.holder]
            assert boot.taken == officer.state.sequence == boot.grant.sequence > 5


async def test_s13_loss_of_the_officer_stops_new_orders_after_a_grant_and_cancels_pass(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        async with on_duty(made, fresh=True):
            assert made.verdict("a", client_order_id="kept") == ""
        made.clock.now += LENGTH
        rig = made.hosts["a"].rig
        refused = rig.sign(rig.sealed(made.sealers[id(rig)]))
        assert refused.verdict.rule == "duty"
        assert "grant" in refused.verdict.reason
        derived = signer_pb2.DerivedRequest(
            account="main",
            client_order_id="kept",
            operation="OPERATION_CANCEL",
        )
        assert rig.ask(derived=derived).judged.HasField("request")
        async with on_duty(made):
            assert made.verdict("a") == ""


async def test_s13_fail_over_gives_another_boot_duty_and_never_both(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        assert made.verdict("a") == ""
        await pass_time(made, officer, 10)
        made.hosts["a"].lost.add("all")
        end = officer.state.boots[officer.state.holder].until
        both = neither = 0
        while made.verdict("b") != "":
            made.clock.now += SECOND
            await officer.round()
            signing = [name for name in ("a", "b") if made.verdict(name) == ""]
            both += len(signing) == 2
            neither += not signing
            assert made.clock.now < end + 3 * MARGIN
        assert not both
        assert neither >= 1
        begun = [json.loads(line) for line in made.desk.lines if "continues" in line]
        assert begun, made.desk.lines
        # It knows what the first one spent: all of the checkpoint.
        made.hosts["a"].lost.clear()
        await pass_time(made, officer, 120)
        assert made.verdict("a") == "duty"
        assert made.verdict("b") == ""
        assert "SUPERSEDED" in made.desk.alarms()


async def test_s13_an_upgrade_retires_the_old_boot_and_its_successor_has_duty_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.hosts["a"].reboot(OLDER)
        async with on_duty(made, fresh=True) as officer:
            assert made.verdict("a") == ""
            FileStore(tmp_path / "state", "rig").ask("a")
            await officer.round()
            assert made.verdict("a") == "duty"
            await officer.round()
            assert made.verdict("b") == ""
            assert not FileStore(tmp_path / "state", "rig").asked()


async def test_s13_a_successor_of_a_measurement_that_the_policy_does_not_list_gets_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.hosts["a"].reboot(FOREIGN)
        made.hosts["b"].lost.add("all")
        async with on_duty(made, fresh=True) as officer:
            assert made.verdict("a") == ""
            made.hosts["a"].lost.add("all")
            made.hosts["b"].lost.clear()
            await pass_time(made, officer, 120)
            assert made.verdict("b") == "duty"
            assert "GRANT_REFUSED" in made.desk.alarms()


async def test_s13_a_twin_behind_the_same_host_gets_nothing_while_the_first_may_sign(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        first = made.hosts["a"].rig
        made.hosts["b"].lost.add("all")
        until = officer.state.boots[officer.state.holder].until
        twin = made.hosts["a"].reboot()
        while made.clock.now < until:
            assert made.verdict("a") == "duty"
            made.clock.now += 5 * SECOND
            await officer.round()
        await pass_time(made, officer, 10, 1)
        assert made.verdict("a") == ""
        made.hosts["a"].rig = first
        assert made.verdict("a") == "duty"
        await pass_time(made, officer, 5, 1)
        assert made.verdict("a") == "duty"
        made.hosts["a"].rig = twin


async def test_s13_a_rolled_back_host_that_shows_old_checkpoints_gets_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        host = made.hosts["a"]
        made.verdict("a")
        await pass_time(made, officer, 5)
        old = host.answers["Checkpoint"][0]
        host.tamper = lambda method, answer: old if method == "Checkpoint" else answer
        sequence = officer.state.sequence
        made.hosts["b"].lost.add("all")
        await pass_time(made, officer, 60)
        assert officer.state.sequence == sequence
        assert made.verdict("a") == "duty"
        assert "HEAD_WENT_BACK" in made.desk.alarms()


async def test_s13_a_replayed_grant_is_worth_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        async with on_duty(made, fresh=True):
            message = made.hosts["a"].requests["Grant"][0]
        made.clock.now += LENGTH
        grant = signer_pb2.DutyGrant.FromString(message)
        for host in made.hosts.values():
            with pytest.raises(Exception, match="NOT_APPROVED"):
                host.rig.ask(grant=grant)
        made.hosts["a"].reboot()
        with pytest.raises(Exception, match="NOT_APPROVED"):
            made.hosts["a"].rig.ask(grant=grant)


async def test_s13_a_checkpoint_that_the_boot_did_not_sign_gets_nothing(tmp_path: Path) -> None:
    def forged(method: str, answer: bytes) -> bytes:
        if method != "Checkpoint":
            return answer
        read = signer_pb2.Checkpoint.FromString(answer)
        return signer_pb2.Checkpoint(checkpoint=read.checkpoint, signature=bytes(64)).SerializeToString()

    async with world(tmp_path) as made:
        for host in made.hosts.values():
            host.tamper = forged
        async with on_duty(made, fresh=True, rounds=2) as officer:
            assert officer.state.sequence == 0
        assert "BAD_CHECKPOINT" in made.desk.alarms()


@pytest.mark.parametrize("lost", ["Grant", "answer to Grant", "answer to Checkpoint"])
async def test_s13_a_lost_message_uses_no_second_number_and_no_second_beginning(tmp_path: Path, lost: str) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True, rounds=0) as officer:
        made.hosts["b"].lost.add("all")
        await officer.round()
        made.hosts["a"].lost.add(lost)
        await pass_time(made, officer, 40)
        made.hosts["a"].lost.clear()
        await pass_time(made, officer, 10)
        assert made.verdict("a") == ""
        grants = made.hosts["a"].requests["Grant"]
        numbers = {signer_pb2.DutyGrant.FromString(each).grant for each in grants}
        assert len(numbers) == officer.state.sequence


@pytest.mark.parametrize("crash", ["before the write", "after the write"])
async def test_s13_a_crash_of_the_officer_at_a_write_grants_nothing_twice(tmp_path: Path, crash: str) -> None:
    class Crashing(FileStore):
        armed = False

        def write(self, state: Any) -> Any:
            if self.armed and crash == "before the write":
                raise StateLost(crash)
            written = super().write(state)
            if self.armed:
                raise StateLost(crash)
            return written

    async with world(tmp_path) as made:
        store = Crashing(tmp_path / "state", "rig")
        officer = made.desk.officer(fresh=True, store=store)
        await officer.begin()
        store.armed = True
        with pytest.raises(StateLost):
            await officer.round()
        await officer.close()
        assert made.verdict("a") == "duty"
        async with on_duty(made, fresh=True, rounds=2) as again:
            assert granted(await again.round())
            assert made.verdict("a") == ""
            assert again.state.sequence == 1


async def test_s13_two_officers_with_one_key_do_not_overlap(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True):
        second = made.desk.officer()
        with pytest.raises(Held):
            await second.begin()
        await second.close()
        sent = len(made.hosts["a"].requests["Grant"])
    async with on_duty(made):
        assert len(made.hosts["a"].requests["Grant"]) == sent


async def test_s13_fresh_is_refused_where_somebody_held_duty(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        async with on_duty(made, fresh=True):
            pass
        officer = made.desk.officer(fresh=True)
        with pytest.raises(NotFresh, match="--fresh"):
            await officer.begin()
        await officer.close()


async def test_s13_without_history_and_without_fresh_every_limit_starts_full_and_that_is_said(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made):
        assert made.verdict("a") not in {"", "duty"}
        assert "STARTS_FULL" in made.desk.alarms()


async def test_s13_the_alarm_of_full_limits_stands_until_they_open(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made) as officer:
        boot = officer.state.boots[officer.state.holder]
        opens = boot.witnessed.full_until
        assert opens > made.clock.now
        while made.clock.now + 20 * SECOND < opens:
            made.clock.now += 20 * SECOND
            await officer.round()
            assert not any('"ended"' in line and "STARTS_FULL" in line for line in made.desk.lines)
        made.clock.now = opens
        await officer.round()
        assert any('"ended"' in line and "STARTS_FULL" in line for line in made.desk.lines)


async def test_s9_heads_are_witnessed_in_the_form_that_the_audit_reads(tmp_path: Path) -> None:
    async with world(tmp_path) as made, on_duty(made, fresh=True) as officer:
        made.verdict("a")
        await pass_time(made, officer, 10)
        heads = witness.read(tmp_path / "witness.jsonl")
        assert len(heads) >= 2
        assert all(len(each.signature) == 64 for each in heads)


async def test_s13_an_officer_whose_state_is_gone_learns_the_number_and_goes_on_above_it(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        async with on_duty(made, fresh=True) as officer:
            await pass_time(made, officer, 120)
            used = officer.state.sequence
        assert used >= 5
        (tmp_path / "state").rename(tmp_path / "moved")
        made.clock.now += 2 * LENGTH
        async with on_duty(made, fresh=True) as officer:
            assert officer.state.sequence == used + 1
            assert granted_now(officer)
            assert made.verdict("a") == ""
        assert "UNKNOWN_GRANT" in made.desk.alarms()


async def test_s13_a_grant_that_is_refused_for_its_number_is_no_duty(tmp_path: Path) -> None:
    """A boot that does not show which numbers are used up: refusals and nobody's duty are said, and the reason."""
    async with world(tmp_path) as made:
        async with on_duty(made, fresh=True) as officer:
            await pass_time(made, officer, 120)
        (tmp_path / "state").rename(tmp_path / "moved")
        made.clock.now += 2 * LENGTH
        made.desk.lines.clear()
        hidden = forms.read_checkpoint

        def older(*arguments: Any) -> Any:
            return replace(hidden(*arguments), used=0)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forms, "read_checkpoint", older)
            async with on_duty(made, rounds=5) as officer:
                assert not granted_now(officer)
        assert {"GRANT_REFUSED", "NO_DUTY"} <= made.desk.alarms()
        refused = [each for each in map(json.loads, made.desk.lines) if each["event"] == "refused"]
        assert [each["sequence"] for each in refused] == [1]
        assert "sequence" in refused[0]["text"]


def granted_now(officer: Any) -> bool:
    boot = officer.state.boots[officer.state.holder]
    return bool(boot.witnessed.granted == boot.grant.sequence)
