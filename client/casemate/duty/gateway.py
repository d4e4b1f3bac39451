"""One enclave host as the officer sees it: attest, take a checkpoint, hand over grants. Nothing it says is believed.

The attestation is asked for with a fresh nonce whenever the boot has changed, failed to answer, or was last attested a
while ago; between these the boot proves itself by signing checkpoints with the key that was attested.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import grpc.aio
from google.protobuf.message import DecodeError

from casemate import errors
from casemate.attestation import AttestationError, parse
from casemate.channel import identity
from casemate.duty import forms
from casemate.duty.errors import BadBytes
from casemate.duty.model import Alarm, Grant, Lost, Seen
from casemate.failures import About, translate_async
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from casemate.audit.witness import Seen as SeenHead
    from casemate.channel import Endpoint
    from casemate.duty.model import Checkpoint, Observation, Retire, Send
    from casemate.session import Pins

    Sign = Callable[[bytes], bytes]

M = TypeVar("M", bound="Message")

_OPERATOR: Final = "/casemate.dispatch.v1.Operator/"
_NONCE_BYTES: Final = 32
_ATTEST_EVERY_NS: Final = 30_000_000_000
# An enclave whose clock is a little behind takes a grant at the second or third try: no refusal to speak of.
_REFUSALS: Final = 3
# Of what a host says: no line of the log is as long as it likes.
_MOST_TEXT: Final = 300


class Gateway:
    """A connection to one host, made when it is needed."""

    def __init__(
        self, name: str, endpoint: Endpoint, pins: Pins, random: Callable[[int], bytes], *, timeout_s: float
    ) -> None:
        """``random`` makes nonces."""
        self.name = name
        self._endpoint = endpoint
        self._pins = pins
        self._random = random
        self._timeout = timeout_s
        self._channel: grpc.aio.Channel | None = None
        self._boot = b""
        self._pcr0 = b""
        self._attested_at = 0
        self._refusals = 0
        self._refused = errors.NotJudged("", "")

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close()

    async def look(self, now: int) -> Observation:
        """Return the attested boot and its checkpoint, or why there is none to believe, within one timeout.

        Whatever a host does to its reader is that host's loss alone: the others are renewed.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._look(now)
        except TimeoutError:
            return self._lost(Alarm.GATEWAY_LOST, "took longer than a call may take")
        except Exception as error:  # noqa: BLE001 - as the docstring says
            return self._lost(Alarm.GATEWAY_LOST, f"a fault while reading it: {type(error).__name__}")

    async def _look(self, now: int) -> Observation:
        try:
            if now - self._attested_at >= _ATTEST_EVERY_NS or not self._boot or now < self._attested_at:
                await self._attest(now)
            try:
                return await self._seen()
            except BadBytes:
                # Perhaps another boot by now: attest it, and ask once more.
                await self._attest(now)
                return await self._seen()
        except errors.NotAttested as error:
            return self._lost(Alarm.NOT_ATTESTED, error)
        except BadBytes as error:
            return self._lost(Alarm.BAD_CHECKPOINT, error)
        except (errors.CasemateError, OSError) as error:
            return self._lost(Alarm.GATEWAY_LOST, error)

    def _lost(self, alarm: Alarm, error: Exception | str) -> Lost:
        self._boot = b""
        return Lost(self.name, alarm, str(error)[:_MOST_TEXT])

    async def _attest(self, now: int) -> None:
        nonce = self._random(_NONCE_BYTES)
        document = (await self._call("Attest", signer_pb2.Attest(nonce=nonce), signer_pb2.Attested)).document
        boot, _ = self._pins.check(document, nonce, now)
        try:
            self._pcr0 = parse(document).pcrs[0]
        except (AttestationError, KeyError) as error:
            raise errors.NotAttested(str(error)) from None
        if boot.receipt_key != self._boot:
            self._refusals = 0
        self._boot, self._attested_at = boot.receipt_key, now

    async def _seen(self) -> Seen:
        answer = await self._call("Checkpoint", signer_pb2.CheckpointRequest(), signer_pb2.Checkpoint)
        return self._read(answer)

    def _read(self, answer: signer_pb2.Checkpoint) -> Seen:
        shown = forms.read_checkpoint(answer.checkpoint, answer.signature, self._pins.deployment, self._boot)
        refused = self._refusals >= _REFUSALS
        return Seen(
            gateway=self.name,
            boot=self._boot,
            pcr0=self._pcr0,
            checkpoint=shown,
            alive=not answer.stored,
            refused=str(self._refused) if refused else "",
            field=self._refused.field if refused else "",
        )

    async def head(self, now: int) -> tuple[int, SeenHead] | None:
        """Return the latest signed head for the witness's file, and its number; None where the host shows none."""
        from casemate.audit.witness import Seen as Head  # noqa: PLC0415 - its name is taken here

        request = dispatch_pb2.StoredReceiptsRequest(boot=self._boot)
        try:
            answer = (await self._call("Receipts", request, dispatch_pb2.StoredReceipts)).head
            number, _ = forms.read_head(answer.head, answer.signature, self._pins.deployment, self._boot)
        except Exception:  # noqa: BLE001 - as `look`; no head for long is an alarm
            return None
        return number, Head(now, answer.head, answer.signature)

    async def send(self, send: Send, sign: Sign) -> Observation:
        """Hand a grant or retirement over, and take a checkpoint at once, so that little can be spent unseen."""
        refused: errors.NotJudged | None = None
        try:
            if isinstance(send.what, Grant):
                message = forms.grant_message(self._pins.deployment, send.boot, send.what, sign)
                await self._call("Grant", message, signer_pb2.Granted)
            else:
                retire = forms.retire_message(self._pins.deployment, send.boot, send.what, sign)
                await self._call("Retire", retire, signer_pb2.Checkpoint)
        except errors.NotJudged as error:
            refused = None if isinstance(error, errors.NotReady) else error
        except errors.CasemateError as error:
            return self._lost(Alarm.GATEWAY_LOST, error)
        except Exception as error:  # noqa: BLE001 - as `look`
            return self._lost(Alarm.GATEWAY_LOST, f"a fault while sending: {type(error).__name__}")
        try:
            return self._counted(send, await self._seen(), refused)
        except BadBytes as error:
            return self._lost(Alarm.BAD_CHECKPOINT, error)
        except errors.CasemateError as error:
            return self._lost(Alarm.GATEWAY_LOST, error)
        except Exception as error:  # noqa: BLE001 - as `look`
            return self._lost(Alarm.GATEWAY_LOST, f"a fault while reading it: {type(error).__name__}")

    def _counted(self, send: Send, seen: Seen, refused: errors.NotJudged | None) -> Seen:
        """Count a refusal, unless the boot's own signature shows that it has taken this one and the answer was lost."""
        if refused is None or (refused.field == "sequence" and _took(seen.checkpoint, send.what)):
            self._refusals = 0
            return replace(seen, refused="", field="")
        self._refusals, self._refused = self._refusals + 1, refused
        many = self._refusals >= _REFUSALS
        reply = str(refused)[:_MOST_TEXT]
        return replace(seen, refused=reply if many else "", field=refused.field if many else "", reply=reply)

    async def _call(self, method: str, request: Message, answer: type[M]) -> M:
        if self._channel is None:
            self._channel = self._endpoint.open()
        call = self._channel.unary_unary(
            _OPERATOR + method, request_serializer=identity, response_deserializer=identity
        )
        try:
            return answer.FromString(await call(request.SerializeToString(), timeout=self._timeout))
        except grpc.aio.AioRpcError as error:
            raise translate_async(error, About()) from None
        except DecodeError:
            message = f"the answer to {method} cannot be read"
            raise errors.Disconnected(message) from None


def _took(shown: Checkpoint, what: Grant | Retire) -> bool:
    return shown.granted == what.sequence if isinstance(what, Grant) else shown.retired
