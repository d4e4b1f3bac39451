"""An engine may pin who approves; PCR16 says who did, and what."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.cli.main import main
from casemate.errors import NotAttested
from casemate.quorum.files import quorum_bytes
from casemate_mock.fake_nitro import EverybodyApproves
from signer_api.v1 import signer_pb2
from tests.session.session_rig import CHAIN, Rig, key_of

if TYPE_CHECKING:
    from pathlib import Path


def test_s4_an_engine_opens_no_session_under_another_quorum_than_it_pins() -> None:
    rig = Rig().load()
    rig.opened(pins=rig.pins(quorum={bytes(32), EverybodyApproves.digest}))
    with pytest.raises(NotAttested, match="quorum"):
        rig.opened(pins=rig.pins(quorum={bytes(32)}))


@pytest.mark.parametrize("wrong", [{bytes(31)}, bytes(32)])
def test_a_pinned_quorum_is_a_set_of_digests(wrong: object) -> None:
    with pytest.raises(ValueError, match="quorum"):
        Rig().pins(quorum=wrong)


def test_s4_attest_verify_holds_pcr16_against_policy_and_quorum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = key_of("admin").public_key().public_bytes_raw().hex()
    files = {name: tmp_path / name for name in ("document", "policy", "later", "quorum", "other", "root")}
    files["quorum"].write_bytes(quorum_bytes("rig", 1, [key]))
    files["other"].write_bytes(quorum_bytes("rig", 1, [key], 1))
    files["root"].write_bytes(CHAIN.root.public_bytes(Encoding.PEM))
    rig = Rig()
    rig.service._authority.digest = hashlib.sha256(files["quorum"].read_bytes()).digest()  # type: ignore[misc]
    files["policy"].write_bytes(rig.policy())
    files["later"].write_bytes(rig.policy(2))
    rig.load_policy(rig.policy())
    files["document"].write_bytes(rig.ask(attest=signer_pb2.Attest()).attested.document)
    at = ("--at", str(rig.clock.now // 1_000_000), "--root", str(files["root"]))

    def verify(policy: str, quorum: str) -> int:
        given = ("--policy", str(files[policy]), "--quorum", str(files[quorum]))
        return main(["attest", "verify", str(files["document"]), *at, *given])

    assert verify("policy", "quorum") == 0
    assert verify("later", "quorum") == 1
    assert verify("policy", "other") == 1
    assert "pcr_mismatch" in capsys.readouterr().out
    assert main(["attest", "verify", str(files["document"]), *at, "--policy", str(files["policy"])]) == 2
    with pytest.raises(SystemExit):
        verify("quorum", "quorum")
    assert "not a compiled policy" in capsys.readouterr().err
