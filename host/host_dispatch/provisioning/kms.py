"""KMS, by boto3 in a thread of its own. The only file that knows boto3, which is imported when it is first needed.

One call is one try: a document's key opens one envelope, so a repeated answer would be worth nothing, and whoever
asked asks again with a new document.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from host_dispatch.errors import NotTakenError, Reason

if TYPE_CHECKING:
    from host_dispatch.provisioning.bundle import Bundle

_ALGORITHM: Final = "RSAES_OAEP_SHA_256"
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied", "UnrecognizedClientException"})
# What goes away by itself, by KMS's own words; so does every other fault of the service.
_PASSING: Final = frozenset(
    {
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "ThrottlingException",
        "RequestTimeout",
    }
)
_FAULTS: Final = 500

_log = logging.getLogger("casemate.host.kms")


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """The table [kms]: where it is, and how long one call may take (milliseconds)."""

    region: str | None = None
    endpoint_url: str | None = None
    connect_timeout_ms: int = 3_000
    read_timeout_ms: int = 10_000


class Kms:
    """Asks KMS to decrypt for an attested enclave."""

    def __init__(self, settings: KmsSettings) -> None:
        """Connect to nothing and import nothing yet."""
        self._settings = settings
        self._client: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kms")

    async def decrypt(self, bundle: Bundle, document: bytes) -> bytes:
        """Return the data key of a bundle, encrypted to the document's key; raises NotTakenError."""
        answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._decrypt, bundle, document)
        # Another key than the bundle's own: an alias, or KMS's account, is not what whoever sealed it meant.
        if answer.get("KeyId") != bundle.key_id:
            raise NotTakenError(Reason.KMS_REFUSED, "KMS answered with another key than the bundle's", field="key_id")
        envelope = answer.get("CiphertextForRecipient")
        if answer.get("Plaintext") or not isinstance(envelope, bytes) or not envelope:
            raise NotTakenError(Reason.KMS_REFUSED, "KMS did not encrypt its answer to the enclave's key")
        return envelope

    def close(self) -> None:
        """Let go of the thread; a call that is under way ends by its own timeout."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _decrypt(self, bundle: Bundle, document: bytes) -> dict[str, Any]:
        from botocore import exceptions  # noqa: PLC0415 - see above

        try:
            answer: dict[str, Any] = self._connected().decrypt(
                CiphertextBlob=bundle.wrapped_key,
                KeyId=bundle.key_id,
                EncryptionContext=bundle.context,
                Recipient={"AttestationDocument": document, "KeyEncryptionAlgorithm": _ALGORITHM},
            )
        except exceptions.ClientError as error:
            raise _translated(error.response) from None
        except exceptions.BotoCoreError as error:
            raise _local(error) from None
        return answer

    def _connected(self) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes when it runs
        if self._client is None:
            import boto3  # noqa: PLC0415 - half a second, and only for hosts with KMS
            from botocore.config import Config  # noqa: PLC0415

            settings = self._settings
            config = Config(
                connect_timeout=settings.connect_timeout_ms / 1000,
                read_timeout=settings.read_timeout_ms / 1000,
                retries={"total_max_attempts": 1, "mode": "standard"},
            )
            self._client = boto3.session.Session().client(
                "kms", region_name=settings.region, endpoint_url=settings.endpoint_url, config=config
            )
        return self._client


def _translated(response: dict[str, Any]) -> NotTakenError:
    """Translate KMS's own refusal. Its message may name roles and keys: it is for the log."""
    told = response.get("Error", {})
    code, status = str(told.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    _log.warning("KMS refused", extra={"fields": {"code": code, "message_of_kms": str(told.get("Message", ""))}})
    if code in _PASSING or status >= _FAULTS:
        return NotTakenError(Reason.KMS_UNAVAILABLE, f"KMS: {code}")
    if code in _DENIED:
        return NotTakenError(Reason.KMS_DENIED, f"KMS: {code}: its key policy does not let this enclave have the key")
    return NotTakenError(Reason.KMS_REFUSED, f"KMS: {code}")


def _local(error: Exception) -> NotTakenError:
    """Translate what went wrong on this side of KMS."""
    from botocore import exceptions  # noqa: PLC0415 - see above

    name = type(error).__name__
    _log.warning("KMS could not be asked", extra={"fields": {"error": name}})
    unconfigured = (exceptions.NoCredentialsError, exceptions.NoRegionError, exceptions.PartialCredentialsError)
    if isinstance(error, unconfigured):
        return NotTakenError(Reason.KMS_NOT_CONFIGURED, f"{name}: this host has no credentials or no region for KMS")
    if isinstance(error, exceptions.ParamValidationError):
        return NotTakenError(Reason.MALFORMED, "KMS does not take such a bundle", field="bundle")
    return NotTakenError(Reason.KMS_UNAVAILABLE, f"KMS could not be reached: {name}")
