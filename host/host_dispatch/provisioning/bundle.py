"""What the host reads of a sealed bundle: enough to ask KMS, believed by nobody. The enclave checks it all."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import cbor2

from host_dispatch.errors import NotTakenError, Reason

MAX_BUNDLE: Final = 32_768
# A key itself: an alias can be pointed at another key between sealing and opening.
_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}", re.ASCII)


class Bundle(NamedTuple):
    """A credential that was sealed through KMS."""

    account: str
    version: int
    key_id: str
    context: dict[str, str]
    wrapped_key: bytes
    data: bytes


def read(data: bytes) -> Bundle:
    """Read a bundle's bytes; raises NotTakenError."""
    if len(data) > MAX_BUNDLE:
        raise NotTakenError(Reason.TOO_LARGE, f"bundle: more than {MAX_BUNDLE} bytes", field="bundle")
    try:
        fields = cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, EOFError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.get("sealed") != "kms":
        raise _no("expected one that was sealed through KMS")
    match fields:
        case {
            "account": str(account),
            "version": int(version),
            "key_id": str(key_id),
            "context": dict(context),
            "wrapped_key": bytes(wrapped_key),
        } if all(isinstance(text, str) for pair in context.items() for text in pair):
            if not _ARN.fullmatch(key_id):
                raise _no("key_id: expected the ARN of a key, not of an alias")
            return Bundle(account, version, key_id, context, wrapped_key, data)
    raise _no("a field is missing or of another type")


def _no(reason: str) -> NotTakenError:
    return NotTakenError(Reason.MALFORMED, f"bundle: {reason}", field="bundle")
