"""The direct way against HPKE written anew from RFC 9180, which is held against the RFC's own vector first."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from casemate.provisioning import bundles
from enclave_signer.sealed.bundle import DirectBundle, KmsBundle, read
from enclave_signer.sealed.keys_in import SUITE
from tests.sealed.sealed_rig import Boot, content, credential, kms_sealed, signed

# RFC 9180, section 7: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
KEM: Final = b"KEM" + bytes.fromhex("0020")
HPKE: Final = b"HPKE" + bytes.fromhex("002000010003")
# RFC 9180, appendix A.2.1.
RECIPIENT: Final = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
EPHEMERAL: Final = bytes.fromhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")
ENC: Final = bytes.fromhex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
INFO: Final = b"Ode on a Grecian Urn"
PLAIN: Final = b"Beauty is truth, truth beauty"
SEALED: Final = bytes.fromhex(
    "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
)


def extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, text + b"\x01", "sha256")[:length]


def schedule(shared: bytes, enc: bytes, public: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the first message, base mode."""
    secret = expand(KEM, extract(KEM, b"", b"eae_prk", shared), b"shared_secret", enc + public, 32)
    context = b"\0" + extract(HPKE, b"", b"psk_id_hash", b"") + extract(HPKE, b"", b"info_hash", info)
    key = extract(HPKE, secret, b"secret", b"")
    return expand(HPKE, key, b"key", context, 32), expand(HPKE, key, b"base_nonce", context, 12)


def seal(
    ephemeral: X25519PrivateKey, public: bytes, info: bytes, plain: bytes, aad: bytes = b""
) -> tuple[bytes, bytes]:
    enc = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = schedule(shared, enc, public, info)
    return enc, ChaCha20Poly1305(key).encrypt(nonce, plain, aad)


def unseal(private: X25519PrivateKey, enc: bytes, info: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    shared = private.exchange(X25519PublicKey.from_public_bytes(enc))
    key, nonce = schedule(shared, enc, private.public_key().public_bytes_raw(), info)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)


def test_this_hpke_makes_the_vector_of_the_rfc() -> None:
    recipient = X25519PrivateKey.from_private_bytes(RECIPIENT)
    public = recipient.public_key().public_bytes_raw()
    assert seal(X25519PrivateKey.from_private_bytes(EPHEMERAL), public, INFO, PLAIN, b"Count-0") == (ENC, SEALED)
    assert unseal(recipient, ENC, INFO, SEALED, b"Count-0") == PLAIN


def test_what_the_client_seals_this_hpke_opens_and_the_other_way_round() -> None:
    recipient = X25519PrivateKey.generate()
    public = recipient.public_key()
    both = SUITE.encrypt(PLAIN, public, INFO)
    assert unseal(recipient, both[:32], INFO, both[32:]) == PLAIN
    enc, sealed = seal(X25519PrivateKey.generate(), public.public_bytes_raw(), INFO, PLAIN)
    assert SUITE.decrypt(enc + sealed, recipient, INFO) == PLAIN


def test_the_clients_direct_bundle_is_as_the_page_says_and_opens_by_this_hpke() -> None:
    recipient, boot = X25519PrivateKey.generate(), bytes(range(32))
    label = bundles.Label(deployment="test", account="main", version=1, created=7)
    inner = bundles.content(label, credential(), bytes(range(32)))
    assert inner == content()
    bundle = bundles.direct_bundle(inner, boot, recipient.public_key().public_bytes_raw())
    fields = cbor2.loads(bundle)
    enc, sealed = fields.pop("enc"), fields.pop("ciphertext")
    assert fields["content"] == hashlib.sha256(inner).digest()
    assert fields["boot"] == boot
    info = b"casemate.bundle.hpke.v1\0" + cbor2.dumps(fields, canonical=True)
    assert unseal(recipient, enc, info, sealed) == inner
    found = read(bundle)
    assert isinstance(found, DirectBundle)
    assert found.bound == info
    assert found.sealed == enc + sealed


def test_both_sides_write_and_read_the_same_bundle_of_kms() -> None:
    label = bundles.Label(deployment="test", account="main", version=1, created=7)
    mine = kms_sealed(key=bytes(32), nonce=bytes(12))
    key = bundles.DataKey(bytes(32), mine.fields["wrapped_key"], mine.fields["key_id"])
    made = bundles.kms_bundle(label, key, credential(), bytes(12))
    assert made == mine.bundle
    assert bundles.read(made) == bundles.Sealed("kms", label, hashlib.sha256(made).digest(), key.key_id)
    found = read(made)
    assert isinstance(found, KmsBundle)
    assert found.subject == hashlib.sha256(made).digest()


def test_s4_the_clients_bundle_is_one_that_the_enclave_takes() -> None:
    boot = Boot()
    label = bundles.Label(deployment="test", account="main", version=1, created=7)
    inner = bundles.content(label, credential(), bytes(32))
    bundle = bundles.direct_bundle(inner, boot.boot, boot.key)
    reply = boot.provision(bundle, approved=signed(bundles.read(inner).subject))
    assert reply.WhichOneof("answer") == "loaded", reply.not_judged.message
