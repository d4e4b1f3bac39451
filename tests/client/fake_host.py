"""A host for tests: answers over real gRPC on a unix socket what the test scripted, and keeps what it was asked."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_READS = {"Read": dispatch_pb2.ReadReply, "Get": dispatch_pb2.ExecutionReport, "List": dispatch_pb2.ListReply}
_ALLOW = signer_pb2.Verdict(decision=signer_pb2.DECISION_ALLOW, rule="grant:test", policy_version=3)


def allowed(
    client_order_id: str = "id-1", state: dispatch_pb2.OrderState = dispatch_pb2.ORDER_STATE_OPEN
) -> dispatch_pb2.SubmitReply:
    """An allowed order in a state."""
    report = dispatch_pb2.ExecutionReport(sequence=7, client_order_id=client_order_id, state=state)
    return dispatch_pb2.SubmitReply(verdict=_ALLOW, report=report)


class FakeHost:
    """`answers` maps a method's name to a message, or to a function of the request's message and the context."""

    def __init__(self, directory: Path) -> None:
        self.target = f"unix:{directory / 'fake.sock'}"
        self.asked: list[tuple[str, bytes]] = []
        self.answers: dict[str, Any] = {}
        self.max_unanswered = 4
        self.batch_sizes: list[int] = []
        self.most_unanswered = 0
        self.reports: list[list[int]] = []
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Listen."""
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        self._server.add_insecure_port(self.target)
        self._server.start()

    def stop(self) -> None:
        """Stop, breaking what is under way."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def intents(self) -> list[intent_pb2.Intent]:
        """Every intent that came in a unary call."""
        sealed = [dispatch_pb2.SubmitRequest.FromString(raw).sealed for _, raw in self.asked]
        return [intent_pb2.Intent.FromString(one.intent) for one in sealed]

    def unary(self, name: str, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one call."""
        self.asked.append((name, raw))
        answer = self.answers.get(name, _READS.get(name, allowed)())
        if callable(answer):
            answer = answer(raw, context)
        return bytes(answer.SerializeToString())

    def watch(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Stream the next scripted run of sequence numbers, then break off."""
        self.asked.append(("WatchExecutions", raw))
        for sequence in self.reports.pop(0):
            yield dispatch_pb2.ExecutionReport(sequence=sequence).SerializeToString()
        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    def stream(self, requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        """State the limit, then answer each batch as a whole."""
        yield dispatch_pb2.StreamReply(
            limit=dispatch_pb2.StreamLimit(max_unanswered=self.max_unanswered)
        ).SerializeToString()
        for raw in requests:
            batch = dispatch_pb2.SubmitBatchRequest.FromString(raw)
            self.batch_sizes.append(len(batch.requests))
            items = [self._item(batch.batch_id, index, request) for index, request in enumerate(batch.requests)]
            # In reverse: answers may come in any order.
            reply = dispatch_pb2.StreamReply(items=dispatch_pb2.StreamItems(items=items[::-1]))
            yield reply.SerializeToString()

    def _item(self, batch_id: int, index: int, request: dispatch_pb2.SubmitRequest) -> dispatch_pb2.StreamItem:
        name = request.routing.client_order_id
        if name.startswith("bad"):
            reason = dispatch_pb2.NotTaken(reason="STALE", field="valid_until", message="too late")
            answer = dispatch_pb2.ItemReply(not_taken=reason)
        else:
            answer = dispatch_pb2.ItemReply(reply=allowed(name))
        return dispatch_pb2.StreamItem(batch_id=batch_id, index=index, answer=answer)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, host: FakeHost) -> None:
        self._host = host

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        name = details.method.rpartition("/")[2]
        if name == "Stream":
            return grpc.stream_stream_rpc_method_handler(self._host.stream)
        if name == "WatchExecutions":
            return grpc.unary_stream_rpc_method_handler(self._host.watch)
        return grpc.unary_unary_rpc_method_handler(lambda raw, context: self._host.unary(name, raw, context))


def abort_with(
    code: grpc.StatusCode, reason: str, field: str = "", *, retry: bool = False
) -> Callable[[bytes, grpc.ServicerContext], Any]:
    """An answer that is a status with an ErrorInfo, as the host makes them."""

    def answer(_raw: bytes, context: grpc.ServicerContext) -> Any:
        info = error_details_pb2.ErrorInfo(
            reason=reason, domain="casemate", metadata={"field": field, "retry_can_help": str(retry).lower()}
        )
        detail = any_pb2.Any()
        detail.Pack(info)
        status = status_pb2.Status(code=code.value[0], message="the host's words", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "the host's words")

    return answer
