"""``casemate seal`` and its neighbours: what is written, who can read it, and what is said of what is wrong."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from casemate.provisioning import bundles
from casemate.provisioning.descriptions import description, read_any
from casemate.provisioning.errors import SealError
from casemate_mock.kms.front import MockKms
from casemate_mock.nitro import FakeChain
from signer_api.v1 import signer_pb2
from tests.client.test_cli_contract import document, run
from tests.client.test_quorum_cli import Desk, now_of, sent
from tests.sealed.kms_rig import AWS, key_policy, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.fake_host import FakeHost

SECRET = "very-secret-0123456789-very-secret"  # noqa: S105 - made up; looked for in what is written
NAMED = ("--deployment", "desk-1", "--account", "main", "--version", "3")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    mock = MockKms(FakeChain().root, lambda: 0, policies={"seal": key_policy(bytes(48))})
    with served(mock.app()) as found:
        yield found


@pytest.fixture
def credential(tmp_path: Path) -> Path:
    path = tmp_path / "credential.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"apiKey": "key-1", "secret": SECRET}))
    return path


def sealed(credential: Path, *words: str, **environment: str) -> Any:
    done = run("seal", str(credential), *NAMED, "--json", *words, **(AWS | environment))
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return document(done)


def through(url: str) -> tuple[str, ...]:
    return ("--kms-key", "alias/seal", "--endpoint-url", url)


def test_s1_a_bundle_of_kms_holds_nothing_in_clear_and_names_the_key_itself(
    credential: Path, tmp_path: Path, url: str
) -> None:
    output = tmp_path / "main.bundle"
    said = sealed(credential, *through(url), "-o", str(output))
    data = output.read_bytes()
    assert SECRET.encode() not in data
    # The alias may point elsewhere tomorrow.
    assert said["key_id"].startswith("arn:aws:kms:")
    assert ":key/" in said["key_id"]
    fields = cbor2.loads(data)
    assert fields["context"] == {"deployment": "desk-1", "account": "main", "purpose": "credential", "version": "3"}
    words = (tmp_path / "main.bundle.txt").read_text()
    assert "CREDENTIAL version 3 of account main, deployment desk-1" in words
    assert said["sha256"] in words
    assert SECRET not in words
    assert {stat.S_IMODE(path.stat().st_mode) for path in (output, tmp_path / "main.bundle.txt")} == {0o600}


def test_a_sealed_file_is_never_written_over(credential: Path, tmp_path: Path) -> None:
    words = ("--direct", "-o", str(tmp_path / "x.content"))
    sealed(credential, *words)
    before = (tmp_path / "x.content").read_bytes()
    assert run("seal", str(credential), *NAMED, *words).returncode == 2
    assert (tmp_path / "x.content").read_bytes() == before


def test_a_credential_comes_from_stdin_too(tmp_path: Path) -> None:
    output = tmp_path / "x.content"
    text = json.dumps({"apiKey": "k", "secret": SECRET})
    done = run("seal", "-", *NAMED, "--direct", "-o", str(output), stdin=text)
    assert done.returncode == 0, done.stderr
    assert "holds the credential in clear" in done.stderr
    assert bundles.read(output.read_bytes()).label.account == "main"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("{}", "expected a JSON object"),
        (json.dumps({"apiKey": 1}), "expected a JSON object"),
        (json.dumps({"apiKey": "k", SECRET: "x"}), "1 unknown field(s): expected ccxt's names"),
        (json.dumps({"apiKey": SECRET * 600}), "expected a JSON object"),
    ],
)
def test_s1_a_file_that_is_no_credential_is_told_without_its_content(tmp_path: Path, text: str, said: str) -> None:
    done = run("seal", "-", *NAMED, "--direct", "-o", str(tmp_path / "x"), stdin=text)
    assert done.returncode == 2
    assert said in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert not (tmp_path / "x").exists()


def test_s1_a_credential_that_others_can_read_is_refused(credential: Path, tmp_path: Path) -> None:
    credential.chmod(0o644)
    done = run("seal", str(credential), *NAMED, "--direct", "-o", str(tmp_path / "x"))
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("venue", "fields", "said"),
    [
        ("kraken", {"apiKey": "k", "secret": "not base64 !"}, "not a credential of kraken: secret"),
        ("okx", {"apiKey": "k", "secret": "s"}, "not a credential of okx: password"),
        ("coinbase", {"apiKey": "k", "secret": "-----BEGIN nothing"}, "not a credential of coinbase: secret"),
        ("nowhere", {"apiKey": "k", "secret": "s"}, 'venue "nowhere": expected one of'),
    ],
)
def test_a_credential_is_checked_by_the_venues_own_code(
    tmp_path: Path, venue: str, fields: dict[str, str], said: str
) -> None:
    words = ("--direct", "--venue", venue, "-o", str(tmp_path / "x"))
    done = run("seal", "-", *NAMED, *words, stdin=json.dumps(fields))
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kms-key", "alias/none"), "KMS: NotFoundException"),
        (("--kms-key", "alias/seal", "--endpoint-url", "http://127.0.0.1:9"), "KMS: "),
    ],
)
def test_what_kms_refuses_is_told_and_nothing_is_written(
    credential: Path, tmp_path: Path, url: str, words: tuple[str, ...], said: str
) -> None:
    output = tmp_path / "x.bundle"
    done = run("seal", str(credential), *NAMED, "--endpoint-url", url, *words, "-o", str(output), **AWS)
    assert done.returncode == 1
    assert said in done.stderr
    assert not output.exists()


def test_which_way_has_to_be_said(credential: Path) -> None:
    assert run("seal", str(credential), *NAMED).returncode == 2
    assert run("seal", str(credential), *NAMED, "--direct", "--kms-key", "x").returncode == 2


# --- approvals


def test_s4_two_administrators_approve_a_bundle_and_the_host_is_asked_to_open_it(
    desk: Desk, credential: Path, tmp_path: Path, url: str, host: FakeHost
) -> None:
    output = tmp_path / "main.bundle"
    said = sealed(credential, *through(url), "-o", str(output))
    approvals = []
    for admin in (0, 1):
        done = run("credential", "sign", str(output), "--key", str(desk.keys[admin]))
        assert done.returncode == 0, done.stderr
        approvals.append(next(tmp_path.glob(f"main.bundle-*-{desk.public[admin][:8]}.approval")))
        assert f"CREDENTIAL version 3 of account main, sha256 {said['sha256']}" in approvals[-1].read_text()
    host.answers["Unseal"] = signer_pb2.Loaded(policy_version=1, phase=signer_pb2.PHASE_READY)
    words = [word for path in approvals for word in ("--approval", str(path))]
    done = run("credential", "load", str(output), *words, "--gateway", host.target)
    assert done.returncode == 0, done.stderr
    message = signer_pb2.Provision.FromString(sent(host, "Unseal"))
    assert (message.account, message.bundle) == ("main", output.read_bytes())
    subject, now = bytes.fromhex(said["sha256"]), max(map(now_of, approvals))
    desk.quorum.approve_credential("main", 3, subject, list(message.approvals), now)


def test_s1_a_direct_one_is_approved_by_its_description_which_holds_no_key(
    desk: Desk, credential: Path, tmp_path: Path
) -> None:
    output = tmp_path / "main.content"
    said = sealed(credential, "--direct", "-o", str(output))
    words = tmp_path / "main.content.txt"
    assert SECRET not in words.read_text()
    done = run("credential", "sign", str(words), "--key", str(desk.keys[0]), "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["statement"]["subject"] == said["sha256"]
    assert document(done)["output"].startswith(f"{output}-")


def test_s4_a_description_whose_words_were_edited_is_not_approved(desk: Desk, credential: Path, tmp_path: Path) -> None:
    output = tmp_path / "main.content"
    sealed(credential, "--direct", "-o", str(output))
    words = tmp_path / "main.content.txt"
    for old, new in (("version 3", "version 4"), ('account = "main"', 'account = "other"'), ("# CRED", "# cred")):
        edited = tmp_path / "edited.txt"
        edited.write_text(words.read_text().replace(old, new))
        assert edited.read_text() != words.read_text()
        done = run("credential", "sign", str(edited), "--key", str(desk.keys[0]), "-o", str(tmp_path / "a"))
        assert (done.returncode, "words in the file" in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "a").exists()


def test_a_bundle_of_kms_is_approved_by_itself_not_by_its_description(tmp_path: Path) -> None:
    label = bundles.Label(deployment="d", account="a", version=1, created=1)
    text = description(bundles.Sealed("kms", label, bytes(32), "arn:aws:kms:x:1:key/y"))
    with pytest.raises(SealError, match="name the bundle itself"):
        read_any(text.encode())
    with pytest.raises(SealError):
        read_any(b"# nothing")
    with pytest.raises(SealError):
        read_any(b"\xa0")
    assert tmp_path


def test_s1_a_credential_in_clear_goes_to_the_stand_in_alone_and_loudly(credential: Path, host: FakeHost) -> None:
    host.answers["Provision"] = signer_pb2.Loaded(policy_version=1, phase=signer_pb2.PHASE_READY)
    done = run("credential", "load", str(credential), "--account", "main", "--gateway", host.target)
    assert done.returncode == 0, done.stderr
    assert "travels in clear through the host" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    without = run("credential", "load", str(credential), "--gateway", host.target)
    assert (without.returncode, "casemate seal" in without.stderr) == (2, True)


def test_the_region_is_the_options_or_the_environments_and_its_lack_names_the_option(
    credential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    aws = {name: value for name, value in AWS.items() if name != "AWS_DEFAULT_REGION"}
    words = ("seal", str(credential), *NAMED, *through(url), "-o")
    without = run(*words, str(tmp_path / "a"), **aws)
    assert (without.returncode, "--region NAME, or set AWS_REGION" in without.stderr) == (1, True)
    done = run(*words, str(tmp_path / "b"), **aws, AWS_REGION=AWS["AWS_DEFAULT_REGION"])
    assert done.returncode == 0, done.stderr
