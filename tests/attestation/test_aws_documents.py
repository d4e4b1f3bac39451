"""Every AWS-signed document at hand verifies or fails as its index says, at the time that it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from casemate.attestation import (
    AWS_ROOT_SHA256,
    AttestationError,
    MalformedDocument,
    Reason,
    aws_root,
    verify,
)
from enclave_signer.session.facts import read_facts

if TYPE_CHECKING:
    from pathlib import Path

    from casemate.attestation import Attestation

ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)


def _verify(shared: Path, entry: dict[str, Any], **options: Any) -> Attestation:
    at = datetime.fromisoformat(entry["verify_at_utc"]) if "verify_at_utc" in entry else ANY_TIME
    pcrs = {int(index): bytes.fromhex(value) for index, value in (entry.get("pcrs_nonzero") or {}).items()}
    settings: dict[str, Any] = {
        "at": at,
        "pcrs": pcrs,
        "nonce": None,
        "max_age_ms": 1_000,
        "allow_debug": True,
    } | options
    return verify((shared / entry["file"]).read_bytes(), **settings)


def test_the_pinned_root_is_the_one_that_the_documents_name(shared: Path) -> None:
    assert AWS_ROOT_SHA256 in (shared / "index.json").read_text()


def test_the_pinned_root_is_aws_s() -> None:
    assert aws_root().subject.rfc4514_string() == "CN=aws.nitro-enclaves,OU=AWS,O=Amazon,C=US"
    aws_root().verify_directly_issued_by(aws_root())


def test_every_real_document_verifies_with_its_pcrs_at_its_time(shared: Path, real_entries: list[Any]) -> None:
    real = [entry for entry in real_entries if entry["kind"] == "real"]
    assert real
    for entry in real:
        attestation = _verify(shared, entry)
        assert attestation.module_id == entry["module_id"]
        assert attestation.debug == entry["debug_mode"]
        assert attestation.pcrs[0].hex() == entry["pcr0"]


def test_s11_the_enclave_reads_time_and_end_of_every_real_document_as_the_verifier_does(
    shared: Path, real_entries: list[Any]
) -> None:
    for entry in (each for each in real_entries if each["kind"] == "real"):
        attestation = _verify(shared, entry)
        facts = read_facts((shared / entry["file"]).read_bytes())
        assert facts == (attestation.timestamp_ms, attestation.valid_until_ms)


def test_s8_every_real_debug_document_is_refused_unless_debug_is_allowed(shared: Path, real_entries: list[Any]) -> None:
    for entry in real_entries:
        if entry["kind"] == "real" and entry["debug_mode"]:
            with pytest.raises(AttestationError) as refusal:
                _verify(shared, entry, allow_debug=False)
            assert refusal.value.reason is Reason.DEBUG_MODE


def test_every_real_document_is_refused_outside_its_certificates_windows(shared: Path, real_entries: list[Any]) -> None:
    for entry in real_entries:
        if entry["kind"] != "real":
            continue
        first, last = (datetime.fromisoformat(moment) for moment in entry["all_certs_valid_window_utc"])
        for at, reason in (
            (first - timedelta(milliseconds=1), Reason.CERTIFICATE_NOT_YET_VALID),
            (last + timedelta(milliseconds=1), Reason.CERTIFICATE_EXPIRED),
        ):
            with pytest.raises(AttestationError) as refusal:
                _verify(shared, entry, at=at, max_age_ms=None)
            assert refusal.value.reason is reason
        assert _verify(shared, entry, at=last, max_age_ms=None).valid_until_ms == int(last.timestamp()) * 1000


def test_every_negative_document_is_refused_for_its_own_reason(shared: Path, real_entries: list[Any]) -> None:
    reasons = {}
    for entry in real_entries:
        if entry["kind"] != "real":
            with pytest.raises(AttestationError) as refusal:
                _verify(shared, entry)
            reasons[entry["file"]] = refusal.value
    assert {error.reason for name, error in reasons.items() if "oyster" in name} == {Reason.UNTRUSTED_ROOT}
    assert [error.reason for name, error in reasons.items() if "EternisAI" in name] == [Reason.BAD_SIGNATURE]
    rest = [error for name, error in reasons.items() if "oyster" not in name and "EternisAI" not in name]
    assert rest
    assert all(isinstance(error, MalformedDocument) for error in rest)
