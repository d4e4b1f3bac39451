"""S1, S4: takes a sealed credential, and nothing else. There is no way in for one in clear.

In this order, and the first thing that fails answers: the bundle's form; the quorum's approval, and a version newer
than the account's latest; deployment, purpose, account, encryption context or boot; the opening. Up to there a
failure is told for what it is. From the opening on every failure is one and the same NotOpened, after which the boot
ends: whoever feeds the enclave made-up envelopes learns nothing, and gets no second try.

What comes out of an envelope proves nothing, since anyone can encrypt to the enclave's key: only what the bundle's own
authenticated encryption lets pass is believed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from enclave_signer.canonical import decode
from enclave_signer.errors import BadCredential, Malformed, NotOpened
from enclave_signer.ports import KeyIn
from enclave_signer.sealed.bundle import (
    CONTENT_FORMAT,
    KEY_BYTES,
    PURPOSE,
    TAG_BYTES,
    DirectBundle,
    KmsBundle,
    expected_context,
    read,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from enclave_signer.ports import Authority, Provision, Recipients

# RFC 9180, base mode.
SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_CONTENT: Final = {"format", "deployment", "account", "purpose", "version", "created", "salt", "credential"}


class SealedKeys:
    """How credentials come into the enclave that ships."""

    __slots__ = ("_authority", "_boot", "_key", "_recipients")

    def __init__(self, authority: Authority, recipients: Recipients, key: X25519PrivateKey, boot: bytes) -> None:
        """``key`` is the provision key of this boot, ``boot`` its receipt key: documents show both."""
        self._authority = authority
        self._recipients = recipients
        self._key = key
        self._boot = boot

    def __repr__(self) -> str:
        """Show no key."""
        return "<SealedKeys>"

    def recipient(self) -> bytes:
        """Return a fresh RSA public key, good for one envelope."""
        return self._recipients.new()

    def take(self, provision: Provision, deployment: str, now: int) -> KeyIn:
        """Return the credential. Raises NotJudged; NotOpened from the opening on."""
        if provision.credential:
            text = "credential: this enclave takes sealed bundles only"
            raise Malformed(text, field="credential")
        bundle = read(provision.bundle)
        use_up = self._authority.approve_credential(
            bundle.account, bundle.version, bundle.subject, provision.approvals, now
        )
        _check(bundle, provision, deployment)
        if isinstance(bundle, DirectBundle) and bundle.boot != self._boot:
            text = "bundle.boot: sealed to another boot; verify a new document and seal again"
            raise BadCredential(text, field="bundle.boot")
        return KeyIn(self._opened(bundle, provision.envelope), bundle.subject, use_up)

    def _opened(self, bundle: KmsBundle | DirectBundle, envelope: bytes) -> bytearray:
        try:
            if isinstance(bundle, KmsBundle):
                credential = _unwrapped(bundle, self._recipients.open(envelope))
            else:
                credential = self._direct(bundle)
        except Exception:  # noqa: BLE001 - a fault of ours too must not tell one failure from another
            credential = None
        if credential is None:
            raise NotOpened
        return credential

    def _direct(self, bundle: DirectBundle) -> bytearray | None:
        content = SUITE.decrypt(bundle.sealed, self._key, bundle.bound)
        if not hmac.compare_digest(hashlib.sha256(content).digest(), bundle.subject):
            return None
        return _credential(decode(content), bundle)


def _unwrapped(bundle: KmsBundle, key: bytearray | None) -> bytearray | None:
    """Open with the key, or go through the same motions with a dummy where there is none."""
    credential = bytearray(len(bundle.ciphertext) - TAG_BYTES)
    used = bytearray(KEY_BYTES) if key is None else key
    try:
        AESGCM(used).decrypt_into(bundle.nonce, bundle.ciphertext, bundle.bound, credential)
    except InvalidTag:
        return None
    finally:
        used[:] = bytes(len(used))
    return None if key is None else credential


def _credential(content: Any, bundle: DirectBundle) -> bytearray | None:  # noqa: ANN401 - what CBOR holds
    """Return the credential in what the quorum approved, if that says of itself what the bundle says."""
    if not isinstance(content, dict) or content.keys() != _CONTENT or content["format"] != CONTENT_FORMAT:
        return None
    said = tuple(content[name] for name in ("deployment", "account", "purpose", "version"))
    if said != bundle[:4] or not isinstance(content["credential"], bytes):
        return None
    return bytearray(content["credential"])


def _check(bundle: KmsBundle | DirectBundle, provision: Provision, deployment: str) -> None:
    for name, found, wanted in (
        ("deployment", bundle.deployment, deployment),
        ("purpose", bundle.purpose, PURPOSE),
        ("account", bundle.account, provision.account),
    ):
        if found != wanted:
            text = f"bundle.{name}: expected {wanted}"
            raise BadCredential(text, field=f"bundle.{name}")
    if isinstance(bundle, KmsBundle) and bundle.context != expected_context(bundle):
        text = "bundle.context: expected deployment, account, purpose and version of the bundle"
        raise BadCredential(text, field="bundle.context")
