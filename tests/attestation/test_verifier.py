"""The verifier refuses, with a stable reason, everything but the expected document (S8)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.attestation import (
    CLOCK_TOLERANCE_MS,
    Attestation,
    AttestationError,
    Reason,
    UntimelyDocument,
    parse,
    verify,
)
from casemate_mock.nitro import FakeChain, MapForm, SForm, encode_payload, measure
from casemate_mock.nitro.forge import MEASUREMENTS, NOW_MS, Forge

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_MS = 3_600_000


def verified(forge: Forge, document: bytes, **options: Any) -> Attestation:
    """Verify against the forge's root, expecting nothing that is not named."""
    defaults: dict[str, Any] = {
        "at": forge.now_ms,
        "pcrs": {},
        "nonce": None,
        "max_age_ms": None,
        "root": forge.chain.root,
    }
    return verify(document, **(defaults | options))


def refused(forge: Forge, document: bytes, reason: Reason, **options: Any) -> AttestationError:
    with pytest.raises(AttestationError) as refusal:
        verified(forge, document, **options)
    assert refusal.value.reason is reason, str(refusal.value)
    assert refusal.value.explanation
    return refusal.value


# --- what is accepted


@pytest.mark.parametrize("map_form", MapForm)
@pytest.mark.parametrize("s_form", SForm)
def test_accepts_both_map_forms_and_both_signature_forms(forge: Forge, map_form: MapForm, s_form: SForm) -> None:
    document = forge.nsm(map_form=map_form, s_form=s_form).attestation(nonce=b"n", user_data=b"", public_key=b"k")
    attestation = verified(forge, document, pcrs=MEASUREMENTS, nonce=b"n", max_age_ms=0)
    assert (attestation.nonce, attestation.user_data, attestation.public_key) == (b"n", b"", b"k")
    assert attestation.pcrs[4] == measure(b"i-0123456789abcdef0")
    assert not attestation.debug


def test_null_fields_are_none(forge: Forge) -> None:
    attestation = verified(forge, forge.nsm().attestation())
    assert (attestation.nonce, attestation.user_data, attestation.public_key) == (None, None, None)


def test_optional_fields_may_be_absent(forge: Forge) -> None:
    fields = [field for field in forge.fields() if field[0] not in ("public_key", "user_data", "nonce")]
    assert verified(forge, forge.document(fields)).nonce is None


def test_accepts_a_thousand_and_twenty_four_bytes_in_each_field(forge: Forge) -> None:
    full = bytes(1024)
    attestation = verified(forge, forge.nsm().attestation(user_data=full, nonce=full, public_key=full))
    assert attestation.user_data == attestation.nonce == attestation.public_key == full


def test_one_leaf_signs_several_documents(forge: Forge) -> None:
    first, second = forge.nsm().attestation(nonce=b"1"), forge.nsm().attestation(nonce=b"2")
    assert parse(first).certificate == parse(second).certificate
    assert first != second


def test_any_of_several_pcr_values_is_accepted(forge: Forge) -> None:
    document = forge.nsm().attestation()
    assert verified(forge, document, pcrs={0: [measure(b"older"), MEASUREMENTS[0]]}).pcrs[0] == MEASUREMENTS[0]


def test_at_may_be_a_datetime_of_any_zone(forge: Forge) -> None:
    document = forge.nsm().attestation()
    at = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert verified(forge, document, at=at) == verified(forge, document, at=NOW_MS)


# --- structure


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"module_id": ""}, Reason.NOT_AN_ENCLAVE),
        ({"module_id": "i-0123456789abcdef0"}, Reason.NOT_AN_ENCLAVE),
        ({"module_id": "i-0123456789abcdef0-tpm0123456789abcdef"}, Reason.NOT_AN_ENCLAVE),
        ({"module_id": "i-0123456789abcdef0-enc0123456789abcdef\n"}, Reason.NOT_AN_ENCLAVE),
        ({"module_id": 7}, Reason.MALFORMED_CBOR),
        ({"digest": "SHA256"}, Reason.INVALID_FIELD),
        ({"digest": b"SHA384"}, Reason.MALFORMED_CBOR),
        ({"timestamp": 0}, Reason.INVALID_FIELD),
        ({"timestamp": -1}, Reason.MALFORMED_CBOR),
        ({"timestamp": 1.5e12}, Reason.MALFORMED_CBOR),
        ({"timestamp": 1 << 64}, Reason.MALFORMED_CBOR),
        ({"timestamp": NOW_MS // 1000}, Reason.TIMESTAMP_OUTSIDE_CERTIFICATE),
        ({"timestamp": (1 << 64) - 1}, Reason.TIMESTAMP_OUTSIDE_CERTIFICATE),
        ({"pcrs": {}}, Reason.INVALID_FIELD),
        ({"pcrs": {32: bytes(48)}}, Reason.INVALID_FIELD),
        ({"pcrs": {0: bytes(32)}}, Reason.INVALID_FIELD),
        ({"pcrs": {0: bytes(64)}}, Reason.INVALID_FIELD),
        ({"pcrs": {0: bytes(49)}}, Reason.INVALID_FIELD),
        ({"pcrs": {"0": bytes(48)}}, Reason.MALFORMED_CBOR),
        ({"pcrs": {-1: bytes(48)}}, Reason.MALFORMED_CBOR),
        ({"pcrs": None}, Reason.MALFORMED_CBOR),
        ({"certificate": b""}, Reason.INVALID_FIELD),
        ({"certificate": bytes(1025)}, Reason.INVALID_FIELD),
        ({"certificate": None}, Reason.MALFORMED_CBOR),
        ({"certificate": bytes(1024)}, Reason.BAD_CERTIFICATE),
        ({"cabundle": []}, Reason.INVALID_FIELD),
        ({"cabundle": [b""]}, Reason.INVALID_FIELD),
        ({"cabundle": [b"0"] * 9}, Reason.INVALID_FIELD),
        ({"cabundle": None}, Reason.MALFORMED_CBOR),
        ({"cabundle": [b"0"]}, Reason.UNTRUSTED_ROOT),
        ({"public_key": b""}, Reason.INVALID_FIELD),
        ({"public_key": bytes(1025)}, Reason.INVALID_FIELD),
        ({"user_data": bytes(1025)}, Reason.INVALID_FIELD),
        ({"nonce": bytes(1025)}, Reason.INVALID_FIELD),
        ({"nonce": "text"}, Reason.MALFORMED_CBOR),
        ({"nonce": cbor2.CBORTag(24, b"n")}, Reason.MALFORMED_CBOR),
        ({"extra": 1}, Reason.UNKNOWN_FIELD),
        ({"nitrotpm_pcrs": {0: bytes(48)}}, Reason.NOT_AN_ENCLAVE),
    ],
)
def test_refuses_a_signed_payload_with_a_field_out_of_its_limits(
    forge: Forge, changes: dict[str, object], reason: Reason
) -> None:
    refused(forge, forge.document(forge.fields(**changes)), reason)


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_refuses_a_signed_payload_that_lacks_a_field(forge: Forge, name: str) -> None:
    fields = [field for field in forge.fields() if field[0] != name]
    assert refused(forge, forge.document(fields), Reason.MISSING_FIELD).field == name


@pytest.mark.parametrize("form", MapForm)
def test_refuses_a_signed_payload_with_a_key_twice(forge: Forge, form: MapForm) -> None:
    for field in forge.fields():
        refused(forge, forge.document([*forge.fields(), field], form), Reason.DUPLICATE_KEY)


def test_refuses_a_pcr_twice(forge: Forge) -> None:
    payload = forge.document(forge.fields(pcrs={0: bytes(48), 1: bytes(48)}))
    once, twice = (
        b"\xa2\x00\x58\x30" + bytes(48) + b"\x01\x58\x30",
        b"\xa2\x00\x58\x30" + bytes(48) + b"\x00\x58\x30",
    )
    refused(forge, payload.replace(once, twice), Reason.DUPLICATE_KEY)


def test_refuses_what_follows_the_payload_map_inside_the_signature(forge: Forge) -> None:
    payload = cbor2.loads(forge.nsm().attestation())[2]
    refused(forge, forge.signed(payload + b"\xf6"), Reason.TRAILING_BYTES)
    refused(forge, forge.signed(payload[:-1]), Reason.MALFORMED_CBOR)


def _swap(document: bytes, old: bytes, new: bytes) -> bytes:
    assert document.startswith(old)
    return new + document.removeprefix(old)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("8344a1013822a0", Reason.NOT_COSE_SIGN1),
        ("8544a1013822a0", Reason.NOT_COSE_SIGN1),
        ("9f44a1013822a0", Reason.NOT_COSE_SIGN1),
        ("980444a1013822a0", Reason.NOT_COSE_SIGN1),
        ("d28444a1013822a1", Reason.UNPROTECTED_HEADER),
        ("d2d28444a1013822a0", Reason.NOT_COSE_SIGN1),
        ("d1" + "8444a1013822a0", Reason.NOT_COSE_SIGN1),
        ("8444a1013823a0", Reason.PROTECTED_HEADER),
        ("8440a0", Reason.PROTECTED_HEADER),
        ("8443a10126a0", Reason.PROTECTED_HEADER),
        ("8445a101182200a0", Reason.PROTECTED_HEADER),
        ("845804a1013822a0", Reason.MALFORMED_CBOR),
        ("8444a1013822f6", Reason.UNPROTECTED_HEADER),
        ("8444a1013822bfff", Reason.UNPROTECTED_HEADER),
        ("8444a1013822a10442aabb", Reason.UNPROTECTED_HEADER),
    ],
)
def test_refuses_every_other_cose_head(forge: Forge, head: str, reason: Reason) -> None:
    document = forge.nsm().attestation()
    good = bytes.fromhex("8444a1013822a0")
    refused(forge, _swap(document, good, bytes.fromhex(head)), reason)


def test_refuses_lengths_that_are_not_in_their_shortest_form(forge: Forge) -> None:
    document = forge.nsm().attestation()
    head = bytes.fromhex("8444a1013822a0")
    length = document[len(head) + 1 : len(head) + 3]
    refused(forge, _swap(document, head + b"\x59", head + b"\x5a\x00\x00"), Reason.MALFORMED_CBOR)
    payload = cbor2.loads(document)[2]
    wide = payload.replace(b"\x69timestamp\x1b", b"\x78\x09timestamp\x1b")
    assert wide != payload
    refused(forge, forge.signed(wide), Reason.MALFORMED_CBOR)
    assert int.from_bytes(length, "big") == len(payload)


def test_refuses_indefinite_strings_arrays_and_inner_maps(forge: Forge) -> None:
    payload = cbor2.loads(forge.nsm().attestation())[2]
    for old, new in (
        (b"\x66digest\x66SHA384", b"\x66digest\x7f\x66SHA384\xff"),
        (b"\x65nonce\xf6", b"\x65nonce\x5f\x41n\xff"),
        (b"\x68cabundle\x84", b"\x68cabundle\x9f"),
        (b"\x64pcrs\xb0", b"\x64pcrs\xbf"),
    ):
        assert old in payload
        refused(forge, forge.signed(payload.replace(old, new)), Reason.MALFORMED_CBOR)


def test_refuses_more_bytes_than_an_nsm_can_answer(forge: Forge) -> None:
    refused(forge, bytes(12289), Reason.TOO_LARGE)


# --- signature and chain


def test_refuses_a_signature_by_another_key(forge: Forge) -> None:
    payload = cbor2.loads(forge.nsm().attestation())[2]
    other = Forge(FakeChain())
    refused(forge, other.signed(payload), Reason.BAD_SIGNATURE)


@pytest.mark.parametrize("signature", [bytes(96), b"\xff" * 96, bytes(48) + b"\x01" * 48, b"\x01" * 48 + bytes(48)])
def test_refuses_degenerate_signatures(forge: Forge, signature: bytes) -> None:
    refused(forge, forge.nsm().attestation()[:-96] + signature, Reason.BAD_SIGNATURE)


@pytest.mark.parametrize("size", [0, 64, 95, 97])
def test_refuses_signatures_of_another_length(forge: Forge, size: int) -> None:
    protected, unprotected, payload, _ = cbor2.loads(forge.nsm().attestation())
    refused(forge, cbor2.dumps([protected, unprotected, payload, bytes(size)]), Reason.INVALID_FIELD)


def test_refuses_a_chain_to_another_root(forge: Forge) -> None:
    other = Forge(FakeChain())
    refused(forge, other.nsm().attestation(), Reason.UNTRUSTED_ROOT)
    with pytest.raises(AttestationError) as refusal:
        verify(forge.nsm().attestation(), at=NOW_MS, pcrs={}, nonce=None, max_age_ms=None)
    assert refusal.value.reason is Reason.UNTRUSTED_ROOT


def test_refuses_the_pinned_root_in_front_of_a_foreign_chain(forge: Forge) -> None:
    other = Forge(FakeChain())
    root = forge.chain.path(NOW_MS)[0].der
    cabundle = [root, *(issued.der for issued in other.chain.path(NOW_MS)[1:-1])]
    refused(forge, other.document(other.fields(cabundle=cabundle)), Reason.BAD_CHAIN)


def test_refuses_a_chain_out_of_order_or_with_a_gap_or_a_double(forge: Forge) -> None:
    root, region, zone, instance, _ = (issued.der for issued in forge.chain.path(NOW_MS))
    for cabundle in (
        [root],
        [root, region, zone],
        [root, zone, instance],
        [root, zone, region, instance],
        [root, region, zone, zone, instance],
        [root, root, region, zone, instance],
    ):
        refused(forge, forge.document(forge.fields(cabundle=cabundle)), Reason.BAD_CHAIN)


def test_refuses_a_document_signed_by_a_certificate_authority(forge: Forge) -> None:
    root, region, zone, instance, _ = forge.chain.path(NOW_MS)
    fields = forge.fields(certificate=instance.der, cabundle=[root.der, region.der, zone.der])
    refused(forge, forge.signed(encode_payload(fields, MapForm.DEFINITE), level=3), Reason.BAD_CHAIN)


@pytest.mark.parametrize(
    ("level", "changes", "reason"),
    [
        (0, {"is_ca": False}, Reason.BAD_CHAIN),
        (0, {"path_length": 2}, Reason.BAD_CHAIN),
        (1, {"path_length": 1}, Reason.BAD_CHAIN),
        (2, {"path_length": 0}, Reason.BAD_CHAIN),
        (2, {"path_length": 2}, Reason.BAD_CHAIN),
        (2, {"path_length": None}, Reason.BAD_CHAIN),
        (2, {"is_ca": False, "path_length": None}, Reason.BAD_CHAIN),
        (3, {"certifies": False}, Reason.BAD_CHAIN),
        (3, {"usage_is_critical": False}, Reason.BAD_CHAIN),
        (3, {"basic_constraints": False}, Reason.BAD_CERTIFICATE),
        (3, {"unknown_critical_extension": True}, Reason.BAD_CERTIFICATE),
        (3, {"curve": ec.SECP256R1()}, Reason.BAD_CERTIFICATE),
        (3, {"digest": hashes.SHA256()}, Reason.BAD_CERTIFICATE),
        (4, {"signs": False}, Reason.BAD_CHAIN),
        (4, {"certifies": True}, Reason.BAD_CHAIN),
        (4, {"is_ca": True}, Reason.BAD_CHAIN),
        (4, {"basic_constraints": False}, Reason.BAD_CERTIFICATE),
        (4, {"unknown_critical_extension": True}, Reason.BAD_CERTIFICATE),
        (4, {"curve": ec.SECP521R1()}, Reason.BAD_CERTIFICATE),
        (4, {"digest": hashes.SHA256()}, Reason.BAD_CERTIFICATE),
    ],
)
def test_refuses_a_certificate_that_does_not_fit_its_level(
    forge_with: Callable[..., Forge], level: int, changes: dict[str, Any], reason: Reason
) -> None:
    forge = forge_with(level, **changes)
    if isinstance(changes.get("curve"), ec.SECP521R1):
        # Such a signature has no room in 96 bytes; the certificate is looked at first.
        document = Forge(FakeChain()).document(forge.fields())
    else:
        document = forge.nsm().attestation()
    refused(forge, document, reason)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_refuses_a_certificate_whose_names_cannot_be_read(forge: Forge, level: int) -> None:
    """Found by fuzzing: the library parses a name only when it is first asked for."""
    ders = [issued.der for issued in forge.chain.path(NOW_MS)]
    # The tag of the country's printable string becomes one that no name can have.
    ders[level] = ders[level].replace(b"\x13\x02US", b"\x05\x02US")
    fields = forge.fields(cabundle=ders[:-1], certificate=ders[-1])
    refused(forge, forge.document(fields), Reason.BAD_CERTIFICATE)


def test_a_certificate_that_the_library_warns_about_is_refused_within_the_error_tree(forge: Forge) -> None:
    """Found by fuzzing: a country of another length than two is a warning, which may be an error."""
    ders = [issued.der for issued in forge.chain.path(NOW_MS)]
    ders[2] = ders[2].replace(b"\x06\x03U\x04\x0b\x0c\x07Not AWS", b"\x06\x03U\x04\x06\x0c\x07Not AWS")
    with pytest.raises(AttestationError):
        verified(forge, forge.document(forge.fields(cabundle=ders[:-1])))


def test_accepts_a_path_length_that_is_just_enough(forge_with: Callable[..., Forge]) -> None:
    forge = forge_with(0, path_length=3)
    verified(forge, forge.nsm().attestation())


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_refuses_when_any_certificate_has_expired(forge_with: Callable[..., Forge], level: int) -> None:
    forge = forge_with(level, lifetime=timedelta(minutes=30))
    document = forge.nsm().attestation()
    verified(forge, document, at=NOW_MS + HOUR_MS // 2 - 1_000)
    refused(forge, document, Reason.CERTIFICATE_EXPIRED, at=NOW_MS + HOUR_MS // 2 + 1_000)


# --- time


@settings(max_examples=60, deadline=None)
@given(
    offset=st.integers(-20_000, 4 * HOUR_MS) | st.sampled_from([-10_001, -10_000, -3_123, -3_124, 3 * HOUR_MS - 123])
)
def test_is_valid_exactly_from_the_latest_start_to_the_earliest_end(forge: Forge, offset: int) -> None:
    document = forge.nsm().attestation()
    good = verified(forge, document, at=NOW_MS)
    at = NOW_MS + offset
    is_inside = good.valid_from_ms <= at <= good.valid_until_ms and good.timestamp_ms <= at + CLOCK_TOLERANCE_MS
    if is_inside:
        assert verified(forge, document, at=at) == good
    else:
        with pytest.raises(UntimelyDocument):
            verified(forge, document, at=at)


def test_refuses_a_document_from_the_future_under_a_leaf_that_is_already_valid(forge: Forge) -> None:
    document = forge.nsm(now_ms=lambda: NOW_MS + HOUR_MS).attestation()
    verified(forge, document, at=NOW_MS + HOUR_MS - CLOCK_TOLERANCE_MS)
    refused(forge, document, Reason.FROM_THE_FUTURE, at=NOW_MS + HOUR_MS - CLOCK_TOLERANCE_MS - 1)


def test_the_age_of_a_document_is_bounded_apart_from_its_certificates(forge: Forge) -> None:
    document = forge.nsm().attestation()
    verified(forge, document, at=NOW_MS + 60_000, max_age_ms=60_000)
    refused(forge, document, Reason.TOO_OLD, at=NOW_MS + 60_001, max_age_ms=60_000)
    verified(forge, document, at=NOW_MS + 60_001, max_age_ms=None)


# --- what is measured


def test_s8_debug_mode_is_refused_unless_asked_for_by_name(forge: Forge) -> None:
    document = forge.nsm(debug=True).attestation()
    refused(forge, document, Reason.DEBUG_MODE)
    refused(forge, document, Reason.DEBUG_MODE, pcrs={0: bytes(48)})
    assert verified(forge, document, allow_debug=True).debug
    assert any(verified(forge, document, allow_debug=True).pcrs[4])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_s8_one_zero_code_register_is_enough_to_be_debug_mode(forge: Forge, index: int) -> None:
    refused(forge, forge.nsm(measurements=MEASUREMENTS | {index: bytes(48)}).attestation(), Reason.DEBUG_MODE)


def test_s8_a_wrong_pcr_is_refused_and_both_values_are_named(forge: Forge) -> None:
    error = refused(forge, forge.nsm().attestation(), Reason.PCR_MISMATCH, pcrs={0: measure(b"other")})
    assert error.field == "pcrs.0"
    assert MEASUREMENTS[0].hex() in error.explanation
    assert measure(b"other").hex() in error.explanation


def test_an_unlocked_pcr_is_not_in_the_document(forge: Forge) -> None:
    nsm = forge.nsm()
    value = nsm.extend_pcr(16, b"policy")
    assert value == hashlib.sha384(bytes(48) + b"policy").digest()
    refused(forge, nsm.attestation(), Reason.PCR_MISSING, pcrs={16: value})
    nsm.lock_pcr(16)
    verified(forge, nsm.attestation(), pcrs={16: value})


@pytest.mark.parametrize("carried", [None, b"", b"m", b"n" * 2])
def test_s8_another_nonce_or_none_is_refused(forge: Forge, carried: bytes | None) -> None:
    refused(forge, forge.nsm().attestation(nonce=carried), Reason.NONCE_MISMATCH, nonce=b"n")


def test_an_expected_empty_nonce_is_not_the_absent_one(forge: Forge) -> None:
    refused(forge, forge.nsm().attestation(), Reason.NONCE_MISMATCH, nonce=b"")


# --- mistakes of the caller


@pytest.mark.parametrize(
    "options",
    [
        {"pcrs": {32: bytes(48)}},
        {"pcrs": {-1: bytes(48)}},
        {"pcrs": {0: b"short"}},
        {"pcrs": {0: []}},
        {"max_age_ms": -1},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001  # the mistake
    ],
)
def test_an_expectation_that_makes_no_sense_is_the_callers_mistake(forge: Forge, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"PCR|max_age_ms|zone"):
        verified(forge, forge.nsm().attestation(), **options)
