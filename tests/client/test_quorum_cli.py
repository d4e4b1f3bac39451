"""Administrators' commands: keys, the quorum file, approvals, and that what they write is what the enclave takes."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.cli.quorum import each_approval
from casemate.quorum.errors import QuorumError
from casemate.quorum.files import approval_text, read_approval_file
from casemate.quorum.statements import Terms, approve
from enclave_signer.admins import read_admins
from enclave_signer.errors import NotApproved
from enclave_signer.ports import Resumed
from enclave_signer.quorum import Quorum
from signer_api.v1 import signer_pb2
from tests.client.test_cli_contract import EXAMPLE, document, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.fake_host import FakeHost

BOOT = bytes(range(32))


class Desk:
    """Three administrators, their quorum and a compiled policy, all made by the command line."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.keys = [place / f"admin-{n}.pem" for n in range(3)]
        self.public = [run("admin-key", "new", str(key)).stdout.strip() for key in self.keys]
        self.quorum_file = place / "quorum.cbor"
        named = [word for key in self.public for word in ("--key", key)]
        made = run("quorum", "make", "--deployment", "desk-1", "--threshold", "2", *named, "-o", str(self.quorum_file))
        assert made.returncode == 0, made.stderr
        self.policy = place / "policy.cbor"
        text = EXAMPLE.read_text(encoding="utf-8")
        (place / "policy.toml").write_text(text, encoding="utf-8")
        assert run("policy", "compile", str(place / "policy.toml"), "-o", str(self.policy)).returncode == 0
        self.deployment = next(line.split('"')[1] for line in text.splitlines() if line.startswith("deployment"))
        self.quorum = Quorum(read_admins(self.quorum_file.read_bytes()), BOOT)

    def signed(self, admin: int, *command: str) -> Path:
        output = self.place / f"{command[0]}-{admin}.approval"
        done = run(*command, "--key", str(self.keys[admin]), "-o", str(output))
        assert done.returncode == 0, done.stderr
        assert "your approval" in done.stdout
        return output


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def now_of(approval: Path) -> int:
    line = next(line for line in approval.read_text().splitlines() if line.startswith("not_before"))
    return int(line.split(" = ")[1])


def sent(host: FakeHost, name: str) -> bytes:
    return next(raw for method, raw in host.asked if method == name)


def test_a_key_is_for_its_owner_alone_and_never_written_over(desk: Desk) -> None:
    assert stat.S_IMODE(desk.keys[0].stat().st_mode) == 0o600
    before = desk.keys[0].read_bytes()
    again = run("admin-key", "new", str(desk.keys[0]))
    assert (again.returncode, again.stdout) == (2, "")
    assert desk.keys[0].read_bytes() == before
    shown = run("admin-key", "public", str(desk.keys[0]))
    assert shown.stdout.strip() == desk.public[0]
    assert "PRIVATE" not in shown.stdout + shown.stderr


def test_a_key_that_others_can_read_is_not_used(desk: Desk, tmp_path: Path) -> None:
    loose = tmp_path / "loose.pem"
    loose.write_bytes(desk.keys[0].read_bytes())
    loose.chmod(0o644)
    done = run("policy", "sign", str(desk.policy), "--key", str(loose), "-o", str(tmp_path / "a"))
    assert done.returncode != 0
    assert "chmod 600" in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("threshold", "times"), [("0", 1), ("4", 1), ("2", 2)])
def test_a_quorum_that_cannot_be_is_wrong_use(desk: Desk, tmp_path: Path, threshold: str, times: int) -> None:
    named = [word for key in desk.public * times for word in ("--key", key)]
    output = tmp_path / "q.cbor"
    done = run("quorum", "make", "--deployment", "x", "--threshold", threshold, *named, "-o", str(output))
    assert done.returncode == 2
    assert not output.exists()


def test_what_two_administrators_sign_is_a_policy_that_the_enclave_takes(desk: Desk, host: FakeHost) -> None:
    files = [desk.signed(admin, "policy", "sign", str(desk.policy)) for admin in (0, 2)]
    words = files[0].read_text()
    assert f"approves: POLICY version 1, the file with sha256 {document_digest(desk)}" in words
    host.answers["LoadPolicy"] = signer_pb2.Loaded(policy_version=1, phase=signer_pb2.PHASE_AWAITING_CREDENTIALS)
    approval_words = [word for file in files for word in ("--approval", str(file))]
    loaded = run("policy", "load", str(desk.policy), *approval_words, "--gateway", host.target, "--json")
    assert loaded.returncode == 0, loaded.stderr
    assert document(loaded)["phase"] == "AWAITING_CREDENTIALS"
    message = signer_pb2.LoadPolicy.FromString(sent(host, "LoadPolicy"))
    now = max(map(now_of, files))
    desk.quorum.approve_policy(message.policy, list(message.approvals), now)
    with pytest.raises(NotApproved, match="1 of 2"):
        desk.quorum.approve_policy(message.policy, list(message.approvals)[:1], now)


def document_digest(desk: Desk) -> str:
    return str(document(run("policy", "compile", str(desk.place / "policy.toml"), "--json"))["digest"])


def test_a_resume_is_approved_for_one_boot_and_scope(desk: Desk, host: FakeHost) -> None:
    words = (
        "--deployment",
        desk.deployment,
        "--boot",
        BOOT.hex(),
        "--scope",
        "account",
        "--account",
        "main",
        "--last",
        "3",
    )
    files = [desk.signed(admin, "quorum", "sign-resume", *words, "--sequence", "5") for admin in (1, 2)]
    host.answers["Resume"] = signer_pb2.EnclaveStatus(phase=signer_pb2.PHASE_READY, boot_key=BOOT)
    approval_words = [word for file in files for word in ("--approval", str(file))]
    scope = ("--scope", "account", "--account", "main")
    done = run("resume", *scope, *approval_words, "--gateway", host.target, "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["boot_key"] == BOOT.hex()
    message = signer_pb2.Resume.FromString(sent(host, "Resume"))
    now = max(map(now_of, files))
    assert message.last == 3
    desk.quorum.approve_resume(Resumed("ACCOUNT", "main", "", "", 3), list(message.approvals), now)


@pytest.mark.parametrize(("old", "new"), [("version = 1", "version = 2"), ("approves", "refuses"), ('l = "', 'l = "A')])
def test_a_file_whose_words_are_not_what_was_signed_is_refused(desk: Desk, tmp_path: Path, old: str, new: str) -> None:
    file = desk.signed(0, "policy", "sign", str(desk.policy))
    text = file.read_text()
    assert old in text
    edited = tmp_path / "edited.approval"
    edited.write_text(text.replace(old, new))
    done = run("policy", "load", str(desk.policy), "--approval", str(edited), "--gateway", f"unix:{tmp_path}/x")
    assert done.returncode == 2
    assert str(edited) in done.stderr


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xa1\x61a\x01", b"[package]\n"])
def test_what_is_no_compiled_policy_is_not_signed(desk: Desk, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.cbor"
    file.write_bytes(content)
    done = run("policy", "sign", str(file), "--key", str(desk.keys[0]), "-o", str(tmp_path / "a"))
    assert done.returncode == 2
    assert "not a compiled policy" in done.stderr
    assert not (tmp_path / "a").exists()


def test_an_approval_cannot_put_words_into_its_file_through_the_name_of_a_field() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    terms = Terms(deployment="d", sequence=1, not_before=1, not_after=2)
    fields = {"subject": "0" * 64, "version": 1, "x = 1\n# Nothing to see here. y": 1}
    with pytest.raises(QuorumError, match="plain names"):
        approval_text(approve(key, "policy", terms, fields))


def test_a_successor_that_two_administrators_sign_takes_the_quorums_place(
    desk: Desk, tmp_path: Path, host: FakeHost
) -> None:
    new, old = tmp_path / "new.cbor", desk.quorum_file
    made = ("quorum", "make", "--deployment", "desk-1", "--threshold", "1", "--key", desk.public[2], "-o", str(new))
    assert run(*made, "--after", str(old)).returncode == 0
    files = [desk.signed(admin, "quorum", "sign-successor", str(new), "--after", str(old)) for admin in (0, 1)]
    assert "QUORUM of generation 1" in files[0].read_text()
    host.answers["Succeed"] = signer_pb2.EnclaveStatus(quorum=bytes(32), quorum_generation=1)
    approval_words = [word for file in files for word in ("--approval", str(file))]
    done = run("quorum", "succeed", str(new), *approval_words, "--gateway", host.target)
    assert done.returncode == 0, done.stderr
    assert "generation 1" in done.stdout
    message = signer_pb2.SucceedQuorum.FromString(sent(host, "Succeed"))
    one = Quorum(read_admins(old.read_bytes()), BOOT)
    one.succeed(message.quorum, list(message.approvals), max(map(now_of, files)))
    assert one.digest == hashlib.sha256(new.read_bytes()).digest()


def test_a_successor_that_skips_a_generation_or_is_no_quorum_is_not_signed(desk: Desk, tmp_path: Path) -> None:
    old = str(desk.quorum_file)
    for wrong in (desk.quorum_file, desk.policy):
        done = run("quorum", "sign-successor", str(wrong), "--after", old, "--key", str(desk.keys[0]))
        assert (done.returncode, done.stdout) == (2, "")
    named = ("--deployment", "other", "--threshold", "1", "--key", desk.public[0], "-o", str(tmp_path / "q"))
    assert run("quorum", "make", *named, "--after", old).returncode == 2


def test_a_resume_is_numbered_by_the_time_and_the_others_are_told_the_number(desk: Desk, tmp_path: Path) -> None:
    words = ("quorum", "sign-resume", "--deployment", "desk-1", "--boot", BOOT.hex(), "--last", "3")
    first = run(*words, "--key", str(desk.keys[0]), "-o", str(tmp_path / "first"))
    assert first.returncode == 0, first.stderr
    sequence = first.stderr.rsplit("--sequence ", 1)[1].strip()
    assert int(sequence) > 1_700_000_000_000
    run(*words, "--key", str(desk.keys[1]), "--sequence", sequence, "-o", str(tmp_path / "second"))
    approvals = [read_approval_file((tmp_path / name).read_bytes()) for name in ("first", "second")]
    now = max(now_of(tmp_path / name) for name in ("first", "second"))
    desk.quorum.approve_resume(Resumed("ALL", "", "", "", 3), approvals, now)


def test_approvals_may_follow_one_another_and_take_no_other_word() -> None:
    expected = ["load", "--approval", "a.approval", "--approval", "b.approval", "policy.cbor", "--json"]
    assert each_approval(["load", "--approval", "a.approval", "b.approval", "policy.cbor", "--json"]) == expected
    assert each_approval(expected) == expected
    assert each_approval(["sign", "x.approval", "--approval", "policy.cbor"]) == [
        "sign",
        "x.approval",
        "--approval",
        "policy.cbor",
    ]
