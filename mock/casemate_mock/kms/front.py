"""The server: what moto can do goes to moto; ``Recipient`` and key policies are done here, as KMS does them.

An operation with a Recipient never answers ``Plaintext``; its answer can only be opened with the document's key.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiohttp import web
from moto.core.request import Request
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse

from casemate_mock.kms import document, policy
from casemate_mock.nitro import EnvelopeForm, seal_envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography import x509

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
_PREFIX: Final = "TrentService."
_JSON: Final = "application/x-amz-json-1.1"
_ALGORITHM: Final = "RSAES_OAEP_SHA_256"
_WITH_RECIPIENT: Final = frozenset({"Decrypt", "GenerateDataKey", "GenerateRandom"})
_JUDGED: Final = frozenset({"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"})
_BAD: Final = 400
_OK: Final = 200


class Refusal(Exception):
    """An answer by one of KMS's own error names."""

    def __init__(self, name: str, message: str) -> None:
        """``name`` as in "AccessDeniedException"."""
        super().__init__(message)
        self.name = name


class _Asked(NamedTuple):
    operation: str
    fields: dict[str, Any]
    attested: document.Attested | None


class MockKms:
    """One region of KMS. ``root`` is what documents must end in; ``forms`` says how each envelope is written."""

    def __init__(
        self,
        root: x509.Certificate,
        now_ms: Callable[[], int],
        form: EnvelopeForm = EnvelopeForm.PARTS,
        policies: Mapping[str, str] | None = None,
    ) -> None:
        """``policies`` are key policies in JSON by the alias (without "alias/") of a key that is made for each."""
        self._root = root
        self._now_ms = now_ms
        self.form = form
        # Every request: operation and fields, without what is secret in them.
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.keys = {alias: self.make_key(alias, text) for alias, text in (policies or {}).items()}

    def make_key(self, alias: str, text: str) -> str:
        """Make a key with this policy, to which the alias points from now on; its ARN. Raises MalformedPolicy."""
        policy.check(text)
        made = self._ask("CreateKey", {"Policy": text})["KeyMetadata"]
        pointed = {"AliasName": f"alias/{alias}", "TargetKeyId": made["KeyId"]}
        try:
            self._ask("CreateAlias", pointed)
        except Refusal:
            self._ask("UpdateAlias", pointed)
        return str(made["Arn"])

    def app(self) -> web.Application:
        """Return the server."""
        application = web.Application()
        application.router.add_post("/", self._post)
        return application

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_PREFIX)
        try:
            fields = json.loads(body)
            answer = self.answer(operation, fields)
        except Refusal as refusal:
            return _answer(_BAD, {"__type": refusal.name, "message": str(refusal)})
        except (ValueError, TypeError, AttributeError):
            return _answer(_BAD, {"__type": "SerializationException", "message": "not a request"})
        return _answer(_OK, answer)

    def answer(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Answer one operation with the fields of its JSON form; raises Refusal."""
        self.asked.append((operation, {name: value for name, value in fields.items() if name != "Plaintext"}))
        recipient = fields.pop("Recipient", None)
        attested = self._attested(operation, recipient) if recipient is not None else None
        asked = _Asked(operation, fields, attested)
        if operation == "Decrypt":
            # Which key it is comes of the ciphertext; the policy is that key's.
            answer = self._ask(operation, fields)
            self._judge(asked, answer["KeyId"])
        else:
            if operation in _JUDGED:
                self._judge(asked, fields.get("KeyId", ""))
            answer = self._ask(operation, fields)
        if attested is not None:
            plaintext = base64.b64decode(answer.pop("Plaintext"))
            answer["CiphertextForRecipient"] = base64.b64encode(self._envelope(attested, plaintext)).decode()
        return answer

    def _attested(self, operation: str, recipient: Mapping[str, Any]) -> document.Attested:
        if operation not in _WITH_RECIPIENT:
            raise Refusal("ValidationException", f"{operation} takes no Recipient")
        if recipient.get("KeyEncryptionAlgorithm") != _ALGORITHM:
            raise Refusal("ValidationException", f"KeyEncryptionAlgorithm: expected {_ALGORITHM}")
        try:
            raw = base64.b64decode(recipient.get("AttestationDocument", ""), validate=True)
            return document.read(raw, self._root, self._now_ms())
        except (document.BadDocument, ValueError) as error:
            raise Refusal("ValidationException", f"Recipient: {error}") from None

    def _judge(self, asked: _Asked, key_id: str) -> None:
        backend = kms_backends[ACCOUNT][REGION]
        try:
            text = backend.keys[backend.any_id_to_key_id(key_id)].policy
        except (KeyError, AttributeError):
            # The second is what moto makes of an alias that is none.
            raise Refusal("NotFoundException", f"Key '{key_id}' does not exist") from None
        pcrs = asked.attested.pcrs if asked.attested else None
        keys = policy.request_keys(pcrs, asked.fields.get("EncryptionContext") or {})
        if not policy.allows(text, f"kms:{asked.operation}", keys):
            raise Refusal("AccessDeniedException", f"not authorized to perform: kms:{asked.operation}")

    def _envelope(self, attested: document.Attested, plaintext: bytes) -> bytes:
        content_key, vector = os.urandom(32), os.urandom(16)
        return seal_envelope(
            plaintext, attested.public_key, content_key=content_key, initialisation_vector=vector, form=self.form
        )

    def _ask(self, operation: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Have moto answer."""
        headers = {
            "X-Amz-Target": f"{_PREFIX}{operation}",
            "Content-Type": _JSON,
            "Host": f"kms.{REGION}.amazonaws.com",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=mock/20200101/{REGION}/kms/aws4_request",
        }
        url = f"https://kms.{REGION}.amazonaws.com/"
        request = Request.from_primitives("POST", url, headers, json.dumps(fields).encode())
        status, _, body = KmsResponse.dispatch(request)
        answer: dict[str, Any] = json.loads(body or "{}")
        if status != _OK:
            name = str(answer.get("__type", "KMSInternalException")).rpartition("#")[2]
            raise Refusal(name, str(answer.get("message") or answer.get("Message") or ""))
        return answer


def _answer(status: int, fields: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=json.dumps(fields).encode(), headers={"Content-Type": _JSON})
