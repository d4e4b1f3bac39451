"""The NSM client and the fake NSM: one port, one behaviour, strict reading of answers."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from casemate_mock.nitro import FakeNsmDevice
from casemate_mock.nitro.forge import MEASUREMENTS, MODULE_ID
from enclave_signer.nitro import NsmCode, NsmError
from enclave_signer.nitro.nsm import MAX_RESPONSE_BYTES, NSM_IOCTL, NsmDevice, open_device

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate_mock.nitro.forge import Forge
    from enclave_signer.nitro import Nsm

ZERO = bytes(48)


@pytest.fixture(params=["fake", "device"])
def nsm(request: pytest.FixtureRequest, forge: Forge) -> Nsm:
    """Give the fake itself, and the production client over the fake's device: both must behave alike."""
    fake = forge.nsm()
    return fake if request.param == "fake" else NsmDevice(-1, FakeNsmDevice(fake).ioctl)


def refused(code: NsmCode, action: Callable[[], object]) -> None:
    with pytest.raises(NsmError) as refusal:
        action()
    assert refusal.value.code is code


def test_describes_itself(nsm: Nsm) -> None:
    description = nsm.describe()
    assert (description.module_id, description.max_pcrs, description.digest) == (MODULE_ID, 32, "SHA384")
    assert description.locked_pcrs == frozenset(range(16))


def test_registers_0_to_15_are_locked_at_boot_and_the_rest_is_zero_and_free(nsm: Nsm) -> None:
    for index in range(32):
        state = nsm.describe_pcr(index)
        assert state.locked == (index < 16)
        assert (state.value != ZERO) == (index in {*MEASUREMENTS, 4})
    for index in range(16):
        refused(NsmCode.READ_ONLY_INDEX, partial(nsm.lock_pcr, index))
        refused(NsmCode.READ_ONLY_INDEX, partial(nsm.extend_pcr, index, b"x"))


def test_extends_by_hashing_the_old_value_and_the_data(nsm: Nsm) -> None:
    first = nsm.extend_pcr(16, b"one")
    assert first == hashlib.sha384(ZERO + b"one").digest()
    assert nsm.extend_pcr(16, b"two") == hashlib.sha384(first + b"two").digest()


def test_a_locked_register_stays_as_it_is(nsm: Nsm) -> None:
    value = nsm.extend_pcr(16, b"policy")
    nsm.lock_pcr(16)
    refused(NsmCode.READ_ONLY_INDEX, lambda: nsm.extend_pcr(16, b"other"))
    assert nsm.describe_pcr(16) == (True, value)
    assert 16 in nsm.describe().locked_pcrs


def test_locks_a_range_again_and_again_but_not_past_the_end(nsm: Nsm) -> None:
    nsm.lock_pcrs(17)
    nsm.lock_pcrs(17)
    assert nsm.describe().locked_pcrs == frozenset(range(17))
    nsm.lock_pcrs(32)
    refused(NsmCode.INVALID_INDEX, lambda: nsm.lock_pcrs(33))


def test_refuses_registers_that_do_not_exist(nsm: Nsm) -> None:
    refused(NsmCode.INVALID_INDEX, lambda: nsm.describe_pcr(32))
    refused(NsmCode.INVALID_INDEX, lambda: nsm.extend_pcr(32, b""))
    refused(NsmCode.INVALID_INDEX, lambda: nsm.lock_pcr(32))


def test_attests_with_a_thousand_and_twenty_four_bytes_and_no_more(nsm: Nsm) -> None:
    full = bytes(1024)
    assert nsm.attestation(user_data=full, nonce=full, public_key=full)
    refused(NsmCode.INPUT_TOO_LARGE, lambda: nsm.attestation(user_data=bytes(1025)))
    refused(NsmCode.INPUT_TOO_LARGE, lambda: nsm.attestation(nonce=bytes(4096)))


@pytest.mark.parametrize("count", [0, 1, 256, 257, 1000])
def test_gives_as_many_random_bytes_as_asked_for(nsm: Nsm, count: int) -> None:
    assert len(nsm.random(count)) == count


def test_every_boot_of_one_machine_uses_its_leaf(forge: Forge) -> None:
    now = [forge.now_ms]
    nsm = forge.nsm(now_ms=lambda: now[0])
    first = nsm.attestation()
    now[0] += 3 * 3_600_000 - 1_000
    later = nsm.attestation()
    leaf = forge.chain.path(forge.now_ms)[-1].der
    assert leaf in first
    assert leaf in later
    now[0] += 2_000
    assert leaf not in nsm.attestation()


# --- the wire


def canned(answer: bytes, seen: list[bytes] | None = None) -> NsmDevice:
    """Make a client of a device that always gives this answer."""

    def ioctl(_descriptor: int, code: int, argument: bytearray) -> int:
        assert code == NSM_IOCTL == 0xC0200A00
        assert len(argument) == 32
        request_at, request_length, response_at, capacity = struct.unpack("=QQQQ", argument)
        assert capacity == MAX_RESPONSE_BYTES == 12288
        if seen is not None:
            seen.append(ctypes.string_at(request_at, request_length))
        ctypes.memmove(response_at, answer, len(answer))
        argument[24:] = struct.pack("=Q", len(answer))
        return 0

    return NsmDevice(7, ioctl)


def ask_everything(device: NsmDevice) -> list[Callable[[], object]]:
    return [
        device.describe,
        lambda: device.describe_pcr(1),
        lambda: device.extend_pcr(16, b"d"),
        lambda: device.lock_pcr(16),
        lambda: device.lock_pcrs(17),
        device.attestation,
        lambda: device.random(1),
    ]


def test_requests_have_the_wire_s_shapes() -> None:
    seen: list[bytes] = []
    for action in ask_everything(canned(cbor2.dumps({"Error": "InternalError"}), seen)):
        refused(NsmCode.INTERNAL_ERROR, action)
    assert seen[-1].hex() == "6947657452616e646f6d"
    assert [cbor2.loads(request) for request in seen] == [
        "DescribeNSM",
        {"DescribePCR": {"index": 1}},
        {"ExtendPCR": {"index": 16, "data": b"d"}},
        {"LockPCR": {"index": 16}},
        {"LockPCRs": {"range": 17}},
        {"Attestation": {"user_data": None, "nonce": None, "public_key": None}},
        "GetRandom",
    ]
    assert list(cbor2.loads(seen[-2])["Attestation"]) == ["user_data", "nonce", "public_key"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff",
        b"\x9f",
        b"\xfb\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x81" * 5000,
        cbor2.dumps({}),
        cbor2.dumps("Attestation"),
        cbor2.dumps("LockPCR") + b"\x00",
        cbor2.dumps("LockPCRs") + b"\xf6",
        cbor2.dumps({"LockPCR": {}}),
        cbor2.dumps({"Error": "Success"}),
        cbor2.dumps({"Error": 7}),
        cbor2.dumps({"Error": "InvalidIndex", "GetRandom": {"random": b"x"}}),
        cbor2.dumps({"GetRandom": {"random": b""}}),
        cbor2.dumps({"GetRandom": {"random": bytes(257)}}),
        cbor2.dumps({"GetRandom": {"random": "text"}}),
        cbor2.dumps({"GetRandom": {"random": b"x", "more": 1}}),
        b"\xa1\x69GetRandom\xa2\x66random\x41x\x66random\x41y",
        cbor2.dumps({"GetRandom": b"x"}),
        cbor2.dumps({"Attestation": {"document": b""}}),
        cbor2.dumps({"Attestation": {"document": None}}),
        cbor2.dumps({"DescribePCR": {"lock": 1, "data": ZERO}}),
        cbor2.dumps({"DescribePCR": {"lock": True, "data": bytes(32)}}),
        cbor2.dumps({"DescribePCR": {"data": ZERO}}),
        cbor2.dumps({"ExtendPCR": {"data": bytes(47)}}),
        cbor2.dumps({"DescribeNSM": {"version_major": 1}}),
    ],
)
def test_an_answer_of_another_shape_is_an_error_to_every_request(answer: bytes) -> None:
    for action in ask_everything(canned(answer)):
        refused(NsmCode.INVALID_RESPONSE, action)


@pytest.mark.parametrize(
    "change",
    [
        {"max_pcrs": 16},
        {"digest": "SHA256"},
        {"module_id": ""},
        {"locked_pcrs": [99]},
        {"version_major": 1 << 16},
    ],
)
def test_a_description_of_another_module_is_an_error(forge: Forge, change: dict[str, Any]) -> None:
    description = cbor2.loads(FakeNsmDevice(forge.nsm()).exchange(cbor2.dumps("DescribeNSM")))["DescribeNSM"]
    assert canned(cbor2.dumps({"DescribeNSM": description})).describe().module_id == MODULE_ID
    refused(NsmCode.INVALID_RESPONSE, canned(cbor2.dumps({"DescribeNSM": description | change})).describe)


def test_an_indefinite_map_is_read_as_the_newer_modules_write_it() -> None:
    assert canned(b"\xbf\x69GetRandom\xbf\x66random\x41x\xff\xff").random(1) == b"x"


def test_every_error_of_the_module_keeps_its_code() -> None:
    for code in NsmCode:
        refused(code, canned(cbor2.dumps({"Error": str(code)})).describe)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EMSGSIZE, NsmCode.INPUT_TOO_LARGE), (errno.ETIMEDOUT, NsmCode.INTERNAL_ERROR)]
)
def test_a_failing_ioctl_is_an_nsm_error(number: int, code: NsmCode) -> None:
    def ioctl(_descriptor: int, _code: int, _argument: bytearray) -> int:
        raise OSError(number, "no")

    refused(code, NsmDevice(7, ioctl).describe)


def test_a_length_beyond_the_buffer_is_not_believed() -> None:
    def ioctl(_descriptor: int, _code: int, argument: bytearray) -> int:
        argument[24:] = struct.pack("=Q", 1 << 40)
        return 0

    refused(NsmCode.INVALID_RESPONSE, NsmDevice(7, ioctl).describe)


def test_a_real_descriptor_that_is_no_nsm_is_an_error() -> None:
    device = open_device("/dev/null")
    try:
        refused(NsmCode.INTERNAL_ERROR, device.describe)
    finally:
        device.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\xff",
        cbor2.dumps("Unknown"),
        cbor2.dumps({"LockPCR": {}}),
        cbor2.dumps({"A": {}, "B": {}}),
        cbor2.dumps(1),
    ],
)
def test_the_fake_device_answers_nonsense_with_an_error(forge: Forge, request_bytes: bytes) -> None:
    assert cbor2.loads(FakeNsmDevice(forge.nsm()).exchange(request_bytes)) == {"Error": "InvalidOperation"}
