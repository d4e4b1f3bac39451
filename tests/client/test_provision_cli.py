"""``casemate provision`` holds the enclave against the profile's pins, and its options before them."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.cli.main import main
from casemate.provisioning import bundles
from casemate_mock.fake_nitro import EverybodyApproves
from signer_api.v1 import signer_pb2
from tests.session.session_rig import CHAIN, MEASUREMENTS, Clock, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.fake_host import FakeHost

LABEL = bundles.Label(deployment="rig", account="main", version=1, created=1)
QUORUM = EverybodyApproves.digest.hex()


@pytest.fixture
def asked(host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A gateway to a boot, and the command without any pin."""
    rig = Rig(clock=Clock(time.time_ns())).load()
    host.answers["Attest"] = lambda raw, _: rig.ask(attest=signer_pb2.Attest.FromString(raw)).attested
    host.answers["Provision"] = signer_pb2.Loaded(phase=signer_pb2.PHASE_READY)
    (tmp_path / "root.pem").write_bytes(CHAIN.root.public_bytes(Encoding.PEM))
    content = tmp_path / "main.content"
    content.touch(mode=0o600)
    content.write_bytes(bundles.content(LABEL, b"\xa0", hashlib.sha256(os.urandom(8)).digest()))
    monkeypatch.delenv("CASEMATE_PROFILE", raising=False)
    return ["provision", str(content), "--gateway", host.target]


def profile(directory: Path, quorum: str = QUORUM, deployment: str = "rig") -> str:
    path = directory / "profile.toml"
    pins = f'[pins]\ndeployment = "{deployment}"\nroot = "root.pem"\nquorum = "{quorum}"\n'
    path.write_text(f'{pins}[pins.pcrs]\n0 = "{MEASUREMENTS[0].hex()}"\n')
    return str(path)


def test_the_profile_s_pins_are_enough(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CASEMATE_PROFILE", profile(tmp_path))
    assert main(asked) == 0, capsys.readouterr().err
    assert f"verified: quorum {QUORUM}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"quorum": "00" * 32}, (1, "its quorum is")), ({"deployment": "other"}, (2, "the profile pins other"))],
)
def test_another_quorum_or_deployment_than_pinned_gets_nothing(
    host: FakeHost, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    changes: dict[str, str], expected: tuple[int, str],
) -> None:  # fmt: skip
    code, said = expected
    assert main([*asked, "--pins", profile(tmp_path, **changes)]) == code
    assert said in capsys.readouterr().err
    assert "Provision" not in [name for name, _ in host.asked]


def test_options_come_before_the_profile_and_the_messages_name_them(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--pins", profile(tmp_path), "--pcr", f"0={'ab' * 48}"]) == 1
    assert "--pcr N=HEX" in capsys.readouterr().err
    assert main(asked) == 2
    assert "--pcr 0=HEX" in capsys.readouterr().err
    assert main([*asked, "--pcr", f"0={MEASUREMENTS[0].hex()}"]) == 1
    assert "--root PEM" in capsys.readouterr().err
