"""What is written by hand reads back through protobuf as what was meant."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer import encode
from enclave_signer.model import Operation, WireRequest
from signer_api.v1 import signer_pb2

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
LONG = st.one_of(TEXT, st.integers(100, 5000).map(lambda length: "x" * length))


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    url=LONG,
    headers=st.lists(st.tuples(TEXT, LONG), max_size=5),
    body=st.one_of(st.none(), st.binary(max_size=5000)),
    name=TEXT,
    until=st.integers(0, 2**63 - 1),
    request_id=st.integers(0, 2**64 - 1),
    notional=TEXT,
)
def test_an_allowed_request_reads_back_as_it_was_meant(  # noqa: PLR0917 - the fields of the message
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    body: bytes | None,
    name: str,
    until: int,
    request_id: int,
    notional: str,
) -> None:
    tail = encode.request_tail("main", "tiny", Operation.CREATE, None)
    signed = encode.signed_request(WireRequest(method, url, tuple(headers), body), name, until, tail)
    verdict = encode.with_notional(encode.allow_verdict("grant:g", 7), notional)
    judged = encode.allowed(verdict, signed)
    read = signer_pb2.EnclaveReply.FromString(encode.reply_judged(request_id, judged))
    expected = signer_pb2.SignedRequest(
        method=method,
        url=url,
        headers=[signer_pb2.Header(name=each, value=value) for each, value in headers],
        body=body,
        account="main",
        venue="tiny",
        client_order_id=name,
        operation=signer_pb2.OPERATION_CREATE,
        valid_until=until,
    )
    assert read.request_id == request_id
    assert read.judged.request == expected
    assert read.judged.request.HasField("body") is (body is not None)
    assert read.judged.verdict == signer_pb2.Verdict(
        decision=signer_pb2.DECISION_ALLOW,
        rule="grant:g",
        policy_version=7,
        numbers=[signer_pb2.Number(name="notional", value=notional)],
    )
    again = signer_pb2.Judged.FromString(encode.repeated(judged))
    assert again.repeated
    assert again.request == expected


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_protobufs(number: int) -> None:
    written = b"\x08" + encode.varint(number)
    assert signer_pb2.EnclaveRequest.FromString(written).request_id == number
