"""The fake NSM behind its wire: CBOR requests, and an ``ioctl`` that the production client can be given.

So the client of the enclave runs byte for byte as on the device; only the system call is replaced.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import cbor2

from enclave_signer.nitro import MAX_RANDOM_BYTES, NsmCode, NsmError

if TYPE_CHECKING:
    from enclave_signer.nitro import Nsm

_REQUEST_CODE: Final = 0xC0200A00
_MAX_REQUEST_BYTES: Final = 0x1000
_IOVECS: Final = struct.Struct("=QQQQ")


class FakeNsmDevice:
    """Answers requests as /dev/nsm does, by asking an object with the port ``Nsm``."""

    def __init__(self, nsm: Nsm) -> None:
        """Take the module that stands behind the device."""
        self._nsm = nsm

    def ioctl(self, _descriptor: int, code: int, argument: bytearray) -> int:
        """Do what the kernel does: read the request's memory, write the answer's, set its true length."""
        if code != _REQUEST_CODE:
            raise OSError(errno.EINVAL, "not an NSM request")
        request_at, request_length, response_at, response_length = _IOVECS.unpack(argument)
        if request_length > _MAX_REQUEST_BYTES:
            raise OSError(errno.EMSGSIZE, "the request is too long")
        # Like the driver, cut silently what does not fit.
        answer = self.exchange(ctypes.string_at(request_at, request_length))[:response_length]
        ctypes.memmove(response_at, answer, len(answer))
        argument[:] = _IOVECS.pack(request_at, request_length, response_at, len(answer))
        return 0

    def exchange(self, request: bytes) -> bytes:
        """Answer one CBOR request."""
        try:
            return cbor2.dumps(self._answer(cbor2.loads(request)))
        except NsmError as error:
            return cbor2.dumps({"Error": str(error.code)})
        except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError):
            return cbor2.dumps({"Error": str(NsmCode.INVALID_OPERATION)})

    def _answer(self, request: object) -> object:
        if isinstance(request, Mapping):
            ((name, fields),) = request.items()
            return self._with_fields(name, fields)
        match request:
            case "DescribeNSM":
                return {"DescribeNSM": self._description()}
            case "GetRandom":
                return {"GetRandom": {"random": self._nsm.random(MAX_RANDOM_BYTES)}}
            case _:
                raise NsmError(NsmCode.INVALID_OPERATION, "an unknown request")

    def _with_fields(self, name: str, fields: Mapping[str, object]) -> object:
        match name, dict(fields):
            case "DescribePCR", {"index": int(index)}:
                locked, value = self._nsm.describe_pcr(index)
                return {"DescribePCR": {"lock": locked, "data": value}}
            case "ExtendPCR", {"index": int(index), "data": bytes(data)}:
                return {"ExtendPCR": {"data": self._nsm.extend_pcr(index, data)}}
            case "LockPCR", {"index": int(index)}:
                self._nsm.lock_pcr(index)
                return "LockPCR"
            case "LockPCRs", {"range": int(count)}:
                self._nsm.lock_pcrs(count)
                return "LockPCRs"
            case "Attestation", asked:
                wanted = {key: _optional(asked[key]) for key in ("user_data", "nonce", "public_key")}
                return {"Attestation": {"document": self._nsm.attestation(**wanted)}}
            case _:
                raise NsmError(NsmCode.INVALID_OPERATION, "an unknown request")

    def _description(self) -> dict[str, object]:
        version, module_id, max_pcrs, locked, digest = self._nsm.describe()
        return {
            "version_major": version[0],
            "version_minor": version[1],
            "version_patch": version[2],
            "module_id": module_id,
            "max_pcrs": max_pcrs,
            "locked_pcrs": sorted(locked),
            "digest": digest,
        }


def _optional(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    message = "a field must be bytes or null"
    raise TypeError(message)
