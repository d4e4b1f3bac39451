"""The bytes that leave and arrive: grants and retirements, signed; checkpoints and heads, verified. Pure.

``docs/duty.md`` specifies them. Everything is canonical CBOR behind a tag that is signed along.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casemate.duty.errors import BadBytes
from casemate.duty.model import Checkpoint, Grant, Halt, Retire
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

GRANT: Final = "casemate.duty.grant.v1"
RETIRE: Final = "casemate.duty.retire.v1"
CHECKPOINT: Final = "casemate.checkpoint.v1"
HEAD: Final = "casemate.head.v1"
_HASH: Final = 32
# A window is cut into slots, and one more is kept; a count of 2**62 and a sum of more than 60 digits say "full".
_SLOTS: Final = 256
_SLOTS_KEPT: Final = _SLOTS + 1
_MOST_COUNT: Final = 1 << 62
_LONGEST_SPENT: Final = 60
_NS_IN_MS: Final = 1_000_000


def grant_bytes(deployment: str, boot: bytes, grant: Grant) -> bytes:
    """Write a grant."""
    continues = grant.continues and {
        "checkpoint": hashlib.sha256(grant.continues.checkpoint.data).digest(),
        "pcr0": grant.continues.pcr0.hex(),
        "until": grant.continues.until,
    }
    said = {
        "format": GRANT,
        "deployment": deployment,
        "boot": boot,
        "sequence": grant.sequence,
        "accounts": sorted(grant.accounts),
        "share": list(grant.share),
        "policy_version": grant.policy_version,
        "head": {"seq": grant.head[0], "hash": grant.head[1]},
        "halts": [_halt(each) for each in grant.halts],
        "not_before": grant.not_before,
        "not_after": grant.not_after,
        "continues": continues,
        "fresh": grant.fresh,
    }
    return cbor2.dumps(said, canonical=True)


def retire_bytes(deployment: str, boot: bytes, retire: Retire) -> bytes:
    """Write a retirement."""
    said = {
        "format": RETIRE,
        "deployment": deployment,
        "boot": boot,
        "sequence": retire.sequence,
        "not_before": retire.not_before,
        "not_after": retire.not_after,
    }
    return cbor2.dumps(said, canonical=True)


def grant_message(deployment: str, boot: bytes, grant: Grant, sign: Callable[[bytes], bytes]) -> signer_pb2.DutyGrant:
    """Sign a grant; the checkpoint that it continues from goes along."""
    data = grant_bytes(deployment, boot, grant)
    message = signer_pb2.DutyGrant(grant=data, signature=sign(tag(GRANT) + data))
    if grant.continues is not None:
        last = grant.continues.checkpoint
        message.continues.CopyFrom(signer_pb2.Checkpoint(checkpoint=last.data, signature=last.signature))
    return message


def retire_message(deployment: str, boot: bytes, retire: Retire, sign: Callable[[bytes], bytes]) -> signer_pb2.Retire:
    """Sign a retirement."""
    data = retire_bytes(deployment, boot, retire)
    return signer_pb2.Retire(statement=data, signature=sign(tag(RETIRE) + data))


def read_checkpoint(data: bytes, signature: bytes, deployment: str, boot: bytes) -> Checkpoint:
    """Verify a checkpoint of this boot; raises BadBytes. What its accounts say is for the successor to read."""
    said = _signed(CHECKPOINT, data, signature, deployment, boot)
    try:
        grant = said["grant"]
        halts = tuple(Halt(*(_text(each[name]) for name in Halt.__dataclass_fields__)) for each in said["halts"])
        return Checkpoint(
            data=data,
            signature=signature,
            seq=_whole(said["seq"]),
            hash=_octets(said["hash"]),
            time=_whole(said["time"]),
            retired=said["retired"] is True,
            granted=0 if grant is None else _whole(grant["sequence"]),
            until=0 if grant is None else _whole(grant["not_after"]),
            covered=() if grant is None else tuple(_text(each) for each in grant["accounts"]),
            halts=halts,
            used=_whole(said["sequences"].get("duty", 0)),
            full_until=_full_until(said["accounts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        message = "the checkpoint lacks what it must say"
        raise BadBytes(message) from None


def read_head(data: bytes, signature: bytes, deployment: str, boot: bytes) -> tuple[int, bytes]:
    """Verify a head of this boot and return its sequence and hash; raises BadBytes."""
    said = _signed(HEAD, data, signature, deployment, boot)
    try:
        return _whole(said["seq"]), _octets(said["hash"])
    except (KeyError, TypeError, ValueError):
        message = "the head lacks what it must say"
        raise BadBytes(message) from None


def tag(form: str) -> bytes:
    """Return what is signed before the bytes of a form."""
    return form.encode() + b"\0"


def _signed(form: str, data: bytes, signature: bytes, deployment: str, boot: bytes) -> dict[str, Any]:
    """Check who signed before anything is read."""
    try:
        Ed25519PublicKey.from_public_bytes(boot).verify(signature, tag(form) + data)
        said = cbor2.loads(data)
    except InvalidSignature:
        message = f"{form}: not signed by the attested boot"
        raise BadBytes(message) from None
    except (cbor2.CBORError, ValueError, TypeError, EOFError, RecursionError):
        said = None
    expected = {"format": form, "deployment": deployment, "boot": boot}
    if not isinstance(said, dict) or any(said.get(name) != value for name, value in expected.items()):
        message = f"{form}: another form, deployment or boot"
        raise BadBytes(message)
    return said


def _full_until(accounts: dict[str, Any]) -> int:
    """Return when the last slot is released that stands for what nobody knows: docs/duty.md, `slots`."""
    limits = [limit for account in accounts.values() for limit in account["limits"].values()]
    ends = [
        _whole(begin) + _SLOTS_KEPT * -(-_whole(limit["window_ms"]) * _NS_IN_MS // _SLOTS)
        for limit in limits
        for begin, spent, count in limit["slots"]
        # Both: one alone may stand for what the limit does not bound.
        if count >= _MOST_COUNT and len(_text(spent)) > _LONGEST_SPENT
    ]
    return max(ends, default=0)


def _halt(halt: Halt) -> dict[str, str]:
    return {name: getattr(halt, name) for name in Halt.__dataclass_fields__}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != _HASH:
        raise TypeError
    return value
