"""Asks KMS for a data key. ``boto3`` comes with the extra ``casemate[kms]`` and is imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from casemate.provisioning.bundles import DataKey
from casemate.provisioning.errors import KmsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY_BYTES: Final = 32
_TIMEOUT_S: Final = 10


def client(region: str | None, endpoint_url: str | None) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """Return a client of KMS with the credentials that boto3 finds; raises KmsError."""
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, NoRegionError  # noqa: PLC0415
    except ImportError:
        message = "sealing through KMS needs boto3: install casemate[kms]"
        raise KmsError(message) from None
    settings = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 2})
    try:
        return boto3.client("kms", region_name=region, endpoint_url=endpoint_url, config=settings)
    except NoRegionError:
        message = "which region is KMS in? Give --region NAME, or set AWS_REGION"
        raise KmsError(message) from None
    except (BotoCoreError, ValueError) as error:
        raise KmsError(str(error)) from None


def data_key(kms: Any, key: str, context: Mapping[str, str]) -> DataKey:  # noqa: ANN401 - as above
    """Ask for a data key bound to this context. ``key`` is an id, an ARN or an alias. Raises KmsError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - who has a client has it

    try:
        answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=dict(context))
    except ClientError as error:
        told = error.response.get("Error", {})
        message = f"KMS: {told.get('Code', 'unknown')}: {told.get('Message', '')}"
        raise KmsError(message) from None
    except BotoCoreError as error:
        message = f"KMS: {error}"
        raise KmsError(message) from None
    made = DataKey(answer["Plaintext"], answer["CiphertextBlob"], answer["KeyId"])
    if len(made.plaintext) != _KEY_BYTES or not made.key_id.startswith("arn:"):
        message = "KMS: the answer is no data key of 32 bytes with the ARN of its key"
        raise KmsError(message)
    return made
