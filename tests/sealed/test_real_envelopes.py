"""KMS's own envelopes, where they are at hand: read as KMS writes them, and what is not 32 bytes opens no bundle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from enclave_signer.nitro.cms import Recipient, parse_envelope
from enclave_signer.nitro.recipients import RsaRecipients

FOLDER = Path(os.environ.get("CASEMATE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "attestation" / "cms"


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    if not (FOLDER / "index.json").is_file():
        pytest.skip("no real envelopes at hand (CASEMATE_SHARED)")
    found: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
    return found


def test_real_envelopes_have_the_shape_that_is_read(entries: list[dict[str, Any]]) -> None:
    assert entries
    for entry in entries:
        parts = parse_envelope((FOLDER / entry["file"]).read_bytes())
        assert parts is not None, entry["file"]
        assert parts.key_id.hex() == entry["rid_hex"]
        assert len(parts.ciphertext) == entry["ct_len"]


def test_a_real_envelope_of_another_length_uses_its_key_up_and_opens_nothing(entries: list[dict[str, Any]]) -> None:
    with_key = [entry for entry in entries if entry["private_key"]]
    assert with_key
    for entry in with_key:
        key = load_der_private_key((FOLDER / entry["private_key"].split()[0]).read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        recipients = RsaRecipients(lambda key=key: Recipient(key))  # type: ignore[misc]
        recipients.new()
        envelope = (FOLDER / entry["file"]).read_bytes()
        # "Hello, World": a right envelope, but not of a data key.
        assert Recipient(key).open(envelope, length=len(entry["plaintext"])) == entry["plaintext"].encode()
        assert recipients.open(envelope) is None
        assert "0" in repr(recipients)
