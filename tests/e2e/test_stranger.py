"""docs/verify.md, part 3: a stranger fetches a running enclave's document and verifies image, policy and quorum."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate_mock.pytest_plugin import RunningStack

pytest_plugins = ["casemate_mock.pytest_plugin"]


def casemate(*arguments: object) -> tuple[int, Any]:
    command = [sys.executable, "-m", "casemate", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "null")


def test_a_stranger_fetches_a_document_and_verifies_image_policy_and_quorum(
    casemate_stack: RunningStack, tmp_path: Path
) -> None:
    ready = casemate_stack.ready
    document = tmp_path / "document.bin"
    code, fetched = casemate("attest", "fetch", "--gateway", ready["gateway"], "-o", document)
    assert code == 0
    common = ("attest", "verify", document, "--root", ready["attestation"]["root"], "--nonce", fetched["nonce"])
    image = ("--pcr", f"0={ready['attestation']['pcrs']['0']}")
    rules = ("--policy", ready["policy"], "--quorum", ready["quorum"]["file"])
    assert casemate(*common, *image, *rules)[0] == 0

    code, refused = casemate(*common, "--pcr", f"0={'1' * 96}", *rules)
    assert (code, refused["reason"]) == (1, "pcr_mismatch")
    code, refused = casemate(*common[:-1], "00" * 32, *image, *rules)
    assert (code, refused["reason"]) == (1, "nonce_mismatch")
    other = tmp_path / "other.toml"
    other.write_text(Path(ready["policy"]).with_suffix(".toml").read_text().replace("60s", "59s"))
    assert casemate("policy", "compile", other, "-o", tmp_path / "other.cbor")[0] == 0
    rules = ("--policy", str(tmp_path / "other.cbor"), "--quorum", ready["quorum"]["file"])
    code, refused = casemate(*common, *image, *rules)
    assert (code, refused["reason"]) == (1, "pcr_mismatch")


def test_a_nonce_that_is_too_short_is_wrong_use(casemate_stack: RunningStack, tmp_path: Path) -> None:
    target = ("--gateway", casemate_stack.ready["gateway"], "-o", tmp_path / "document.bin")
    assert casemate("attest", "fetch", *target, "--nonce", "00")[0] == 2
    assert not (tmp_path / "document.bin").exists()
