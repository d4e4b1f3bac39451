"""Replies as bytes.

What happens for every order, an allowed request, is written by hand, tag by tag of ``signer.proto`` (the tests read
it back with protobuf): most of it is the same for every order of a symbol and is made once. Everything else
goes through protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enclave_signer.errors import NotJudged, Refused
    from enclave_signer.model import Instrument, Operation, WireRequest

# Wire type 2 (bytes follow their length) and 0 (a varint) with the field numbers of signer.proto.
_REPLY_ID: Final = b"\x08"
_REPLY_JUDGED: Final = b"\x12"
_REPLY_HEAD: Final = b"\x7a"
_JUDGED_VERDICT: Final = b"\x0a"
_JUDGED_REQUEST: Final = b"\x12"
_JUDGED_REPEATED: Final = b"\x18\x01"
_JUDGED_PROOF: Final = b"\x22"
_JUDGED_RECEIPT: Final = b"\x2a"
_PROOF_COUNTER: Final = b"\x08"
_PROOF_VERDICT: Final = b"\x12"
# These two with the length of a SHA-256.
_PROOF_REQUEST_DIGEST: Final = b"\x1a\x20"
_PROOF_RECEIPT_DIGEST: Final = b"\x32\x20"
_PROOF_REPEATED: Final = b"\x20\x01"
_PROOF_MAC: Final = b"\x2a"
_REQUEST_METHOD: Final = b"\x0a"
_REQUEST_URL: Final = b"\x12"
_REQUEST_HEADER: Final = b"\x1a"
_REQUEST_BODY: Final = b"\x22"
_REQUEST_CLIENT_ORDER_ID: Final = b"\x42"
_REQUEST_VALID_UNTIL: Final = b"\x50"
_HEADER_NAME: Final = b"\x0a"
_HEADER_VALUE: Final = b"\x12"
_VERDICT_NUMBER: Final = b"\x22"
# Number{name: "notional", value: ...}, up to the length of the value.
_NOTIONAL: Final = b"\x0a\x08notional\x12"
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80


def varint(number: int) -> bytes:
    """Write a non-negative number as protobuf does."""
    if number <= _SEVEN_BITS:
        return _SMALL[number]
    parts = bytearray()
    while number > _SEVEN_BITS:
        parts.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL: Final = tuple(bytes((number,)) for number in range(_MORE))
# Lengths up to 4 KiB, which is what occurs.
_LENGTHS: Final = tuple(varint(number) for number in range(4096))


def _length(number: int) -> bytes:
    return _LENGTHS[number] if number < len(_LENGTHS) else varint(number)


def request_tail(account: str, venue: str, operation: Operation, instrument: Instrument | None) -> bytes:
    """Encode what every signed request of one operation has in common: where it goes and what it is."""
    return signer_pb2.SignedRequest(
        account=account,
        venue=venue,
        symbol=instrument.symbol if instrument else "",
        operation=int(operation),  # type: ignore[arg-type]  # the stubs want their own enum
        venue_symbol=instrument.venue_symbol if instrument else "",
    ).SerializeToString()


def signed_request(wire: WireRequest, client_order_id: str, valid_until: int, tail: bytes) -> bytes:
    """Encode a SignedRequest; fields may come in any order."""
    method, url, headers, body = wire
    url_bytes = url.encode()
    parts = [
        _REQUEST_METHOD,
        _SMALL[len(method)],
        method.encode(),
        _REQUEST_URL,
        _length(len(url_bytes)),
        url_bytes,
    ]
    for name, value in headers:
        header = b"".join(
            (_HEADER_NAME, _length(len(name)), name.encode(), _HEADER_VALUE, _length(len(value)), value.encode())
        )
        parts += (_REQUEST_HEADER, _length(len(header)), header)
    if body is not None:
        parts += (_REQUEST_BODY, _length(len(body)), body)
    if client_order_id:
        parts += (_REQUEST_CLIENT_ORDER_ID, _length(len(client_order_id)), client_order_id.encode())
    parts += (_REQUEST_VALID_UNTIL, varint(valid_until), tail)
    return b"".join(parts)


def in_order(signed: bytes) -> bytes:
    """Encode a SignedRequest with its fields in order: the engine compares its digest after the host has read it."""
    return signer_pb2.SignedRequest.FromString(signed).SerializeToString(deterministic=True)


def allowed(verdict: bytes, signed: bytes) -> bytes:
    """Encode a Judged of an encoded verdict and an encoded request."""
    return b"".join((_JUDGED_VERDICT, _length(len(verdict)), verdict, _JUDGED_REQUEST, _length(len(signed)), signed))


def repeated(judged: bytes) -> bytes:
    """Encode what was allowed before, as a repeat of it."""
    return judged + _JUDGED_REPEATED


def allow_verdict(rule: str, version: int) -> bytes:
    """Encode the verdict of an allowed intent."""
    return signer_pb2.Verdict(decision=signer_pb2.DECISION_ALLOW, rule=rule, policy_version=version).SerializeToString()


def with_notional(verdict: bytes, notional: str) -> bytes:
    """Add to an encoded verdict what the order was worth at most: the number that limits counted."""
    number = b"".join((_NOTIONAL, _length(len(notional)), notional.encode()))
    return b"".join((verdict, _VERDICT_NUMBER, _length(len(number)), number))


class Parts(NamedTuple):
    """An encoded Judged of this module, taken apart: its request is empty if there is none."""

    verdict: bytes
    signed: bytes
    repeated: bool


def parts(judged: bytes) -> Parts:
    """Take a Judged of this module apart."""
    size, at = _read_length(judged, 1)
    verdict, at = judged[at : at + size], at + size
    signed = b""
    if judged[at : at + 1] == _JUDGED_REQUEST:
        size, at = _read_length(judged, at + 1)
        signed, at = judged[at : at + size], at + size
    return Parts(verdict, signed, judged[at:] == _JUDGED_REPEATED)


def with_receipt(judged: bytes, receipt: bytes) -> bytes:
    """Add its receipt to an encoded Judged: nothing leaves without."""
    return b"".join((judged, _JUDGED_RECEIPT, _length(len(receipt)), receipt))


def proof(counter: int, parts: Parts, request_digest: bytes, receipt_digest: bytes, mac: bytes) -> bytes:
    """Encode the enclave's word for a Judged, as the end of it; the digests are those that the MAC covers."""
    verdict = parts.verdict
    pieces = [_PROOF_COUNTER, varint(counter), _PROOF_VERDICT, _length(len(verdict)), verdict]
    if request_digest:
        pieces += (_PROOF_REQUEST_DIGEST, request_digest)
    if parts.repeated:
        pieces.append(_PROOF_REPEATED)
    pieces += (_PROOF_MAC, _SMALL[len(mac)], mac, _PROOF_RECEIPT_DIGEST, receipt_digest)
    encoded = b"".join(pieces)
    return b"".join((_JUDGED_PROOF, _length(len(encoded)), encoded))


def signed_head(head: tuple[bytes, bytes]) -> signer_pb2.SignedHead:
    """Return a head and its signature as a message."""
    return signer_pb2.SignedHead(head=head[0], signature=head[1])


def reply_head(head: tuple[bytes, bytes] | None) -> bytes:
    """Encode the end of an EnclaveReply that carries a new head; nothing without one."""
    if head is None:
        return b""
    encoded = signed_head(head).SerializeToString()
    return b"".join((_REPLY_HEAD, _length(len(encoded)), encoded))


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] & _MORE:
        number |= (data[at] & _SEVEN_BITS) << shift
        at, shift = at + 1, shift + 7
    return number | data[at] << shift, at + 1


def done(verdict: bytes) -> bytes:
    """Encode a Judged of what was allowed and no venue sees."""
    return b"".join((_JUDGED_VERDICT, _length(len(verdict)), verdict))


def refused(refusal: Refused, version: int) -> bytes:
    """Encode a Judged that says no, and why."""
    verdict = signer_pb2.Verdict(
        decision=signer_pb2.DECISION_REFUSE,
        rule=refusal.rule,
        reason=refusal.reason,
        numbers=[signer_pb2.Number(name=name, value=value) for name, value in refusal.numbers],
        policy_version=version,
    )
    return signer_pb2.Judged(verdict=verdict).SerializeToString()


def reply_judged(request_id: int, judged: bytes) -> bytes:
    """Encode an EnclaveReply of an encoded Judged."""
    if not request_id:
        return b"".join((_REPLY_JUDGED, _length(len(judged)), judged))
    return b"".join((_REPLY_ID, varint(request_id), _REPLY_JUDGED, _length(len(judged)), judged))


def reply_batch(request_id: int, answers: Iterable[bytes | NotJudged]) -> bytes:
    """Encode an EnclaveReply of a batch: encoded Judged messages, and why others were not judged."""
    reply = signer_pb2.EnclaveReply(request_id=request_id)
    batch = reply.judged_batch
    batch.SetInParent()
    for answer in answers:
        if isinstance(answer, bytes):
            # Field 1, length-delimited: JudgedOrNot.judged.
            batch.answers.add().MergeFromString(b"".join((_JUDGED_VERDICT, _length(len(answer)), answer)))
        else:
            batch.answers.add(not_judged=_not_judged(answer))
    return reply.SerializeToString()


def reply_not_judged(request_id: int, error: NotJudged) -> bytes:
    """Encode an EnclaveReply that says why nothing was judged."""
    return signer_pb2.EnclaveReply(request_id=request_id, not_judged=_not_judged(error)).SerializeToString()


def _not_judged(error: NotJudged) -> signer_pb2.NotJudged:
    return signer_pb2.NotJudged(
        reason=error.reason, field=error.field, message=error.message, retry_can_help=error.retry_can_help
    )
