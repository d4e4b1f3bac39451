"""The mock KMS refuses what KMS refuses, by KMS's own names, and shows a plaintext to no enclave's host."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from casemate_mock.kms.front import MockKms
from casemate_mock.kms.policy import MalformedPolicy, allows, request_keys
from casemate_mock.nitro import EnvelopeForm, FakeChain, measure
from casemate_mock.nitro.forge import MEASUREMENTS, NOW_MS, Forge
from enclave_signer.nitro.cms import Recipient
from tests.sealed.kms_rig import IMAGE, client, key_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGE = Forge(FakeChain())
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
CONTEXT = {"deployment": "test", "account": "main"}
OAEP = "RSAES_OAEP_SHA_256"


def spki(key: Any = KEY) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture(scope="module")
def mock() -> MockKms:
    pcr4 = {"kms:RecipientAttestation:PCR4": measure(b"i-0123456789abcdef0").hex().upper()}
    return MockKms(
        FORGE.chain.root,
        lambda: NOW_MS,
        policies={
            "image": key_policy(MEASUREMENTS[0]),
            "instance": key_policy(MEASUREMENTS[0], **pcr4),
            "other": key_policy(bytes(48)),
        },
    )


@pytest.fixture(scope="module")
def kms(mock: MockKms) -> Iterator[Any]:
    with client(mock) as made:
        yield made


def document(forge: Forge = FORGE, public_key: bytes | None = None, **options: Any) -> bytes:
    return forge.nsm(**options).attestation(public_key=spki() if public_key is None else public_key or None)


def decrypted(kms: Any, alias: str = "image", raw: bytes | None = b"", **changes: Any) -> dict[str, Any]:
    """Make a data key and have it decrypted for a document."""
    made = kms.generate_data_key(KeyId=f"alias/{alias}", KeySpec="AES_256", EncryptionContext=CONTEXT)
    asked = {"CiphertextBlob": made["CiphertextBlob"], "KeyId": made["KeyId"], "EncryptionContext": CONTEXT}
    if raw is not None:
        asked["Recipient"] = {"AttestationDocument": raw or document(), "KeyEncryptionAlgorithm": OAEP}
    answer: dict[str, Any] = kms.decrypt(**(asked | changes))
    return answer | {"wanted": made}


def refused(kms: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        decrypted(kms, *arguments, **options)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("form", list(EnvelopeForm))
def test_the_answer_opens_with_the_documents_key_alone(kms: Any, mock: MockKms, form: EnvelopeForm) -> None:
    mock.form = form
    answer = decrypted(kms)
    assert not answer.get("Plaintext")
    assert answer["KeyId"] == mock.keys["image"]
    assert Recipient(KEY).open(answer["CiphertextForRecipient"]) == answer["wanted"]["Plaintext"]


@pytest.mark.parametrize("operation", ["GenerateDataKey", "GenerateRandom"])
def test_other_operations_take_a_recipient_too(mock: MockKms, operation: str) -> None:
    fields = {"NumberOfBytes": 32} | ({"KeyId": "alias/free"} if operation == "GenerateDataKey" else {})
    if "free" not in mock.keys:
        mock.keys["free"] = mock.make_key("free", json.dumps({"Statement": [{"Effect": "Allow", "Action": "kms:*"}]}))
    recipient = {"AttestationDocument": base64.b64encode(document()).decode(), "KeyEncryptionAlgorithm": OAEP}
    answer = mock.answer(operation, {**fields, "Recipient": recipient})
    assert "Plaintext" not in answer
    assert len(Recipient(KEY).open(base64.b64decode(answer["CiphertextForRecipient"]))) == 32


def test_a_policy_with_attestation_refuses_who_brings_no_document(kms: Any) -> None:
    assert refused(kms, raw=None)[0] == "AccessDeniedException"


def test_the_measurements_of_the_key_policy_are_enforced(kms: Any) -> None:
    assert decrypted(kms, "instance")["CiphertextForRecipient"]
    elsewhere = document(instance_id="i-00000000000000000")
    assert refused(kms, "instance", elsewhere)[0] == "AccessDeniedException"
    assert decrypted(kms, "image", elsewhere)["CiphertextForRecipient"]
    other = document(measurements={**MEASUREMENTS, 0: measure(b"another image")})
    assert refused(kms, "image", other)[0] == "AccessDeniedException"


def test_a_debug_enclave_opens_what_a_policy_of_zeros_guards_and_nothing_else(kms: Any) -> None:
    debug = document(debug=True)
    assert refused(kms, "image", debug)[0] == "AccessDeniedException"
    assert decrypted(kms, "other", debug)["CiphertextForRecipient"]


def spliced() -> bytes:
    """The right root on top of somebody else's chain."""
    other = Forge(FakeChain())
    root, foreign = FORGE.chain.path(NOW_MS)[0].der, [each.der for each in other.chain.path(NOW_MS)[1:-1]]
    return other.document(other.fields(cabundle=[root, *foreign], public_key=spki()))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (spliced(), "not an attestation document"),
        (b"no document", "not an attestation document"),
        (document(public_key=b""), "no public key"),
        (document(public_key=spki(ec.generate_private_key(ec.SECP256R1()))), "not RSA"),
        (document(public_key=spki(SHORT)), "not RSA"),
        (document(public_key=b"\x30\x00"), "not RSA"),
        (document(Forge(FakeChain())), "trusted root"),
        (document(Forge(FORGE.chain, NOW_MS - 300_001)), "too old"),
        (document()[:-1] + b"\0", "not an attestation document"),
        (document()[:-1], "not an attestation document"),
        (FORGE.signed(b"\xa0"), "not an attestation document"),
        (FORGE.signed(document(), level=-2), "not an attestation document"),
    ],
)
def test_a_document_that_proves_nothing_is_refused(kms: Any, raw: bytes, said: str) -> None:
    code, message = refused(kms, raw=raw)
    assert code == "ValidationException"
    assert said in message


def test_an_expired_certificate_is_refused() -> None:
    raw = document()
    late = MockKms(FORGE.chain.root, lambda: NOW_MS + 3 * 3_600_000, policies={"late": key_policy(MEASUREMENTS[0])})
    with client(late) as kms:
        code, message = refused(kms, "late", raw)
    assert (code, "expired" in message) == ("ValidationException", True)


def test_another_context_key_or_ciphertext_does_not_decrypt(kms: Any, mock: MockKms) -> None:
    assert refused(kms, EncryptionContext={**CONTEXT, "account": "other"})[0] == "InvalidCiphertextException"
    assert refused(kms, EncryptionContext={})[0] == "InvalidCiphertextException"
    assert refused(kms, CiphertextBlob=b"x" * 100)[0] == "AccessDeniedException"
    assert refused(kms, KeyId=mock.keys["other"])[0] == "AccessDeniedException"
    assert refused(kms, KeyId="alias/none")[0] == "NotFoundException"


def test_encryption_contexts_can_be_demanded_and_a_denial_wins() -> None:
    keyed = {"StringEquals": {"kms:EncryptionContext:account": ["main", "backup"]}}
    allowed: dict[str, Any] = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:Gen*"], "Condition": keyed}
    denied = {"Effect": "Deny", "Action": "kms:Decrypt", "Condition": {"Null": {IMAGE: "true"}}}
    text = json.dumps({"Statement": [allowed, denied]})
    with client(MockKms(FORGE.chain.root, lambda: NOW_MS, policies={"kept": text})) as kms:
        assert decrypted(kms, "kept")["CiphertextForRecipient"]
        assert refused(kms, "kept", None)[0] == "AccessDeniedException"
        with pytest.raises(ClientError, match="AccessDenied"):
            kms.generate_data_key(KeyId="alias/kept", KeySpec="AES_256", EncryptionContext={"account": "third"})


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [("main", True), ("m*", True), ("ma?n", True), ("[m]ain", False), ("m.*", False), ("*x", False)],
)
def test_a_likeness_knows_star_and_question_mark_and_nothing_else(wanted: str, holds: bool) -> None:  # noqa: FBT001
    text = json.dumps(
        {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "kms:Decrypt",
                    "Condition": {"StringLike": {"kms:EncryptionContext:account": wanted}},
                }
            ]
        }
    )
    assert allows(text, "kms:Decrypt", request_keys(None, {"account": "main"})) == holds
    bracketed = json.dumps({"Statement": [{"Effect": "Allow", "Action": "kms:[D]ecrypt"}]})
    assert not allows(bracketed, "kms:Decrypt", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"Statement": [{"Effect": "Perhaps", "Action": "kms:*"}]}',
        '{"Statement": {"Effect": "Allow"}}',
        '{"Statement": [{"Effect": "Allow", "NotAction": "kms:Encrypt"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "NotPrincipal": {"AWS": "*"}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:us-east-1:1:key/other"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "NotResource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "Condition": {"StringEqualsIfExists": {}}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "Condition": {"ForAllValues:StringEquals": {}}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "Condition": {"DateLessThan": {}}}]}',
    ],
)
def test_a_policy_that_is_not_understood_makes_no_key(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        MockKms(FORGE.chain.root, lambda: NOW_MS, policies={"bad": text})


def test_an_algorithm_that_kms_does_not_have_is_refused(kms: Any) -> None:
    with pytest.raises(Exception, match=r"KeyEncryptionAlgorithm|Validation"):
        decrypted(kms, Recipient={"AttestationDocument": document(), "KeyEncryptionAlgorithm": "RSAES_PKCS1_V1_5"})
