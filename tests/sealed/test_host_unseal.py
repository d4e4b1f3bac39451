"""The host's part: one document, one question to KMS, one envelope; KMS's refusals said once and in stable words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from aiohttp import web

from casemate_mock.kms.front import MockKms, Refusal
from host_dispatch.config import Config, ConfigError, parse
from host_dispatch.errors import NotTakenError
from host_dispatch.provisioning.at_start import AtStart, gather
from host_dispatch.provisioning.bundle import read
from host_dispatch.provisioning.kms import Kms, KmsSettings
from host_dispatch.provisioning.unsealing import Unsealer
from signer_api.v1 import signer_pb2
from tests.enclave.enclave_rig import START
from tests.sealed.kms_rig import AWS, key_policy, served
from tests.sealed.sealed_rig import ARN, CHAIN, MEASUREMENTS, Boot, fields_of, kms_sealed, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_MS = START // 1_000_000


class Link:
    """The link of the host, to an enclave in this process."""

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self.asked: list[str] = []

    async def call(self, request: signer_pb2.EnclaveRequest) -> signer_pb2.EnclaveReply:
        self.asked.append(str(request.WhichOneof("call")))
        reply = signer_pb2.EnclaveReply.FromString(self.boot.service.handle(request.SerializeToString()))
        if reply.WhichOneof("answer") == "not_judged":
            why = reply.not_judged
            raise NotTakenError(why.reason, why.message, field=why.field, retry_can_help=why.retry_can_help)
        return reply


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def mock() -> MockKms:
    return MockKms(CHAIN.root, lambda: NOW_MS, policies={"desk": key_policy(MEASUREMENTS[0])})


@pytest.fixture
def url(mock: MockKms) -> Iterator[str]:
    with served(mock.app()) as found:
        yield found


def sealed_by(mock: MockKms, **changes: Any) -> bytes:
    """A bundle whose data key came of the mock KMS."""
    named = {"deployment": "test", "account": "main", "purpose": "credential", "version": "1"}
    asked = {"KeyId": "alias/desk", "KeySpec": "AES_256", "EncryptionContext": {**named, **changes.pop("bound", {})}}
    made = mock.answer("GenerateDataKey", asked)
    key, wrapped = (base64.b64decode(made[name]) for name in ("Plaintext", "CiphertextBlob"))
    return kms_sealed(key=key, wrapped_key=wrapped, key_id=made["KeyId"], **changes).bundle


def unsealer(boot: Boot, url: str, **settings: Any) -> tuple[Unsealer, Link]:
    link = Link(boot)
    return unsealer_of(link, url, **settings), link


def unsealer_of(link: Link, url: str, **settings: Any) -> Unsealer:
    return Unsealer(link, Kms(KmsSettings(endpoint_url=url, **settings)))  # type: ignore[arg-type]


def approved(bundle: bytes, **changes: Any) -> list[bytes]:
    return signed(hashlib.sha256(bundle).digest(), **changes)


async def refused(way: Unsealer, bundle: bytes, account: str = "main") -> tuple[str, bool]:
    with pytest.raises(NotTakenError) as caught:
        await way.unseal(account, bundle, approved(bundle))
    return caught.value.reason, caught.value.retry_can_help


@pytest.mark.parametrize("account", ["main", ""])
async def test_the_host_has_a_bundle_opened_that_it_cannot_read(mock: MockKms, url: str, account: str) -> None:
    boot = Boot()
    way, link = unsealer(boot, url)
    bundle = sealed_by(mock)
    loaded = await way.unseal(account, bundle, approved(bundle))
    assert loaded.phase == signer_pb2.PHASE_READY
    assert link.asked == ["attest", "provision"]
    _, asked = mock.asked[-1]
    assert asked["KeyId"] == mock.keys["desk"]
    assert asked["EncryptionContext"]["account"] == "main"


async def test_s4_a_wrapped_key_of_another_bundle_does_not_open_this_one(mock: MockKms, url: str) -> None:
    """Substituted by the host, which asks KMS for what it likes: KMS opens it, the bundle does not."""
    boot = Boot()
    right, other = sealed_by(mock), sealed_by(mock)
    swapped = fields_of(right, wrapped_key=cbor2.loads(other)["wrapped_key"])
    asked = read(swapped)
    link = Link(boot)
    attest = signer_pb2.EnclaveRequest(attest=signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS))
    document = (await link.call(attest)).attested.document
    kms = Kms(KmsSettings(endpoint_url=url))
    envelope = await kms.decrypt(asked, document)
    # Either as it was approved, with the other's data key; or as it is now, which nobody approved.
    assert boot.reason(swapped, envelope, approved(right))[0] == "NOT_APPROVED"
    assert boot.reason(right, envelope) == ("NOT_OPENED", "bundle")
    assert boot.ends == [True]


async def test_s4_a_context_that_was_swapped_is_refused_by_kms_and_by_the_enclave(mock: MockKms, url: str) -> None:
    boot = Boot()
    way, _ = unsealer(boot, url)
    # Sealed for main, its data key bound to another account: KMS refuses.
    assert await refused(way, sealed_by(mock, bound={"account": "other"})) == ("KMS_REFUSED", False)
    # And where the bundle itself says the other context, KMS opens it and the enclave refuses.
    other = {"deployment": "test", "account": "other", "purpose": "credential", "version": "1"}
    assert await refused(way, sealed_by(mock, bound={"account": "other"}, context=other)) == ("BAD_CREDENTIAL", False)
    assert not boot.ends


async def test_s4_a_key_that_is_not_the_bundles_is_refused(mock: MockKms, url: str) -> None:
    """An alias that was pointed elsewhere since, or another account's KMS in the way."""
    boot = Boot()
    way, link = unsealer(boot, url)
    bundle = sealed_by(mock)
    answer = mock.answer
    mock.answer = lambda *asked: answer(*asked) | {"KeyId": ARN}  # type: ignore[method-assign]
    assert await refused(way, bundle) == ("KMS_REFUSED", False)
    assert link.asked == ["attest"]
    alias = fields_of(bundle, key_id="arn:aws:kms:us-east-1:123456789012:alias/desk")
    assert await refused(way, alias) == ("MALFORMED", False)
    assert not boot.ends


async def test_s1_an_answer_in_clear_is_not_passed_on(mock: MockKms, url: str) -> None:
    boot = Boot()
    way, link = unsealer(boot, url)
    answer = mock.answer
    plain = base64.b64encode(bytes(32)).decode()
    mock.answer = lambda *asked: answer(*asked) | {"Plaintext": plain}  # type: ignore[method-assign]
    bundle = sealed_by(mock)
    assert await refused(way, bundle) == ("KMS_REFUSED", False)
    assert link.asked == ["attest"]


async def test_s4_another_image_gets_no_key(url: str, mock: MockKms) -> None:
    mock.keys["desk2"] = mock.make_key("desk2", key_policy(bytes(range(48))))
    boot = Boot()
    way, _ = unsealer(boot, url)
    made = mock.answer(
        "GenerateDataKey",
        {"KeyId": "alias/desk2", "KeySpec": "AES_256", "EncryptionContext": kms_sealed().fields["context"]},
    )
    bundle = kms_sealed(
        key=base64.b64decode(made["Plaintext"]),
        wrapped_key=base64.b64decode(made["CiphertextBlob"]),
        key_id=made["KeyId"],
    ).bundle
    assert await refused(way, bundle) == ("KMS_DENIED", False)


@pytest.mark.parametrize(
    ("name", "reason", "retry"),
    [
        ("AccessDeniedException", "KMS_DENIED", False),
        ("InvalidCiphertextException", "KMS_REFUSED", False),
        ("IncorrectKeyException", "KMS_REFUSED", False),
        ("DisabledException", "KMS_REFUSED", False),
        ("ValidationException", "KMS_REFUSED", False),
        ("ThrottlingException", "KMS_UNAVAILABLE", True),
        ("KMSInternalException", "KMS_UNAVAILABLE", True),
    ],
)
async def test_what_kms_says_is_told_in_stable_words_and_asked_once(
    mock: MockKms, url: str, name: str, reason: str, *, retry: bool
) -> None:
    way, link = unsealer(Boot(), url)
    bundle = sealed_by(mock)
    asked: list[str] = []

    def refuse(operation: str, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - as the one it stands for
        asked.append(operation)
        raise Refusal(name, "User: arn:aws:iam::123456789012:role/desk is not allowed")

    mock.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(NotTakenError) as caught:
        await way.unseal("main", bundle, approved(bundle))
    assert (caught.value.reason, caught.value.retry_can_help) == (reason, retry)
    # What KMS says names roles: it is for the log.
    assert "role/desk" not in caught.value.message
    assert asked == ["Decrypt"]
    assert link.asked == ["attest"]


async def test_a_kms_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        silent = f"http://127.0.0.1:{listening.getsockname()[1]}"
        way, _ = unsealer(Boot(), silent, read_timeout_ms=200)
        assert await refused(way, kms_sealed().bundle) == ("KMS_UNAVAILABLE", True)
    way, _ = unsealer(Boot(), silent, connect_timeout_ms=200)
    assert await refused(way, kms_sealed().bundle) == ("KMS_UNAVAILABLE", True)


async def test_an_error_of_a_server_that_is_no_kms_is_no_verdict() -> None:
    application = web.Application()

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=503, text="<html>")

    application.router.add_post("/", broken)
    with served(application) as url:
        way, _ = unsealer(Boot(), url)
        assert await refused(way, kms_sealed().bundle) == ("KMS_UNAVAILABLE", True)


async def test_a_host_without_credentials_or_kms_says_so(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    way = Unsealer(Link(Boot()), None)  # type: ignore[arg-type]
    assert await refused(way, kms_sealed().bundle) == ("KMS_NOT_CONFIGURED", False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    way, _ = unsealer(Boot(), url)
    assert await refused(way, kms_sealed().bundle) == ("KMS_NOT_CONFIGURED", False)


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"\xff",
        cbor2.dumps(1),
        cbor2.dumps({"sealed": "hpke"}),
        fields_of(kms_sealed().bundle, wrapped_key=None),
        fields_of(kms_sealed().bundle, context={"a": 1}),
        fields_of(kms_sealed().bundle, key_id="alias/desk"),
        b"\x81" * 5_000,
    ],
)
async def test_what_is_no_bundle_is_told_before_anybody_is_asked(bundle: bytes, url: str) -> None:
    way, link = unsealer(Boot(), url)
    assert await refused(way, bundle) == ("MALFORMED", False)
    assert await refused(way, bytes(32_769)) == ("TOO_LARGE", False)
    assert link.asked == []


async def test_a_bundle_of_another_account_than_asked_is_told(url: str) -> None:
    way, _ = unsealer(Boot(), url)
    assert await refused(way, kms_sealed().bundle, "other") == ("MALFORMED", False)


def test_a_host_without_kms_never_imports_boto3() -> None:
    code = "import sys, host_dispatch.application; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- at start


def written(place: Path, name: str, bundle: bytes, sequence: int, approvals: list[bytes]) -> Path:
    path = place / name
    path.write_bytes(bundle)
    for index, approval in enumerate(approvals):
        signed_bytes = json.dumps(base64.b64encode(approval).decode())
        text = f"[statement]\nsequence = {sequence}\n[signed]\napproval = {signed_bytes}\n"
        (place / f"{name}-{sequence}-{index}.approval").write_text(text)
    return path


async def test_bundles_are_opened_at_start_in_the_order_of_their_statements(
    tmp_path: Path, mock: MockKms, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    boot = Boot()
    way, link = unsealer(boot, url)
    first, second = sealed_by(mock), sealed_by(mock, version=2, bound={"version": "2"})
    paths = [
        written(tmp_path, "b.bundle", second, 8, approved(second, version=2, sequence=8)),
        written(tmp_path, "a.bundle", first, 3, approved(first, sequence=3)),
        tmp_path / "missing.bundle",
    ]
    assert [(waiting.sequence, waiting.version) for waiting in gather(paths)] == [(3, 1), (8, 2)]
    at_start = AtStart(link, way, paths)  # type: ignore[arg-type]
    assert await at_start._serve()
    assert boot.phase == signer_pb2.PHASE_READY
    told = [record.getMessage() for record in caplog.records if record.name == "casemate.host.provisioning"]
    assert told.count("sealed credential taken") == 2
    assert "sealed credential not read" in told


async def test_a_bundle_that_the_quorum_did_not_approve_is_told_at_start_and_stops_no_other(
    tmp_path: Path, mock: MockKms, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    boot = Boot()
    way, link = unsealer(boot, url)
    good, bad = sealed_by(mock), sealed_by(mock, version=9, bound={"version": "9"})
    paths = [
        written(tmp_path, "bad.bundle", bad, 1, []),
        written(tmp_path, "good.bundle", good, 3, approved(good, sequence=3)),
    ]
    assert await AtStart(link, way, paths)._serve()  # type: ignore[arg-type]
    assert boot.phase == signer_pb2.PHASE_READY
    refusals = [record for record in caplog.records if record.getMessage() == "sealed credential refused"]
    assert [record.__dict__["fields"]["reason"] for record in refusals] == ["NOT_APPROVED"]


async def test_at_start_a_kms_that_is_away_is_asked_again_and_what_was_taken_is_not_sent_again(
    tmp_path: Path, mock: MockKms, url: str
) -> None:
    boot = Boot()
    way, link = unsealer(boot, url)
    bundle, later = sealed_by(mock), sealed_by(mock, version=2, bound={"version": "2"})
    paths = [
        written(tmp_path, "a.bundle", bundle, 3, approved(bundle, sequence=3)),
        written(tmp_path, "b.bundle", later, 4, approved(later, version=2, sequence=4)),
    ]
    at_start = AtStart(link, way, paths)  # type: ignore[arg-type]
    answer = mock.answer

    def away(operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        if len([name for name, _ in mock.asked if name == "Decrypt"]) == 1:
            raise Refusal("KMSInternalException", "")
        return answer(operation, fields)

    mock.answer = away  # type: ignore[method-assign]
    assert not await at_start._serve()
    mock.answer = answer  # type: ignore[method-assign]
    assert await at_start._serve()
    assert [name for name, _ in mock.asked].count("Decrypt") == 2
    assert boot.phase == signer_pb2.PHASE_READY


async def test_bundles_are_opened_once_the_policy_is_live_and_again_for_the_next_boot(
    tmp_path: Path, mock: MockKms, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host_dispatch.provisioning.at_start._LOOK_S", 0.01)
    bundle = sealed_by(mock)
    paths = [written(tmp_path, "a.bundle", bundle, 3, approved(bundle, sequence=3))]
    link = Link(Boot(load=False))
    at_start = AtStart(link, unsealer_of(link, url), paths)  # type: ignore[arg-type]
    at_start.start()
    try:
        await asyncio.sleep(0.1)
        assert set(link.asked) == {"status"}
        for _ in range(2):
            link.boot.load_policy()
            async with asyncio.timeout(20):
                while link.boot.phase != signer_pb2.PHASE_READY:  # noqa: ASYNC110 - the enclave tells nobody
                    await asyncio.sleep(0.02)
            link.boot = Boot(load=False)
    finally:
        await at_start.stop()
    assert link.asked.count("provision") == 2


async def test_a_fault_on_the_way_to_kms_does_not_end_the_serving(
    tmp_path: Path, mock: MockKms, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = sealed_by(mock)
    paths = [written(tmp_path, "a.bundle", bundle, 3, approved(bundle, sequence=3))]
    link = Link(Boot())
    at_start = AtStart(link, unsealer_of(link, "no address"), paths)  # type: ignore[arg-type]
    assert not await at_start._serve()
    assert not link.boot.ends
    assert "a fault while a sealed credential was opened" in [record.getMessage() for record in caplog.records]


async def test_a_bundle_that_ended_a_boot_is_not_shown_to_the_next_one(tmp_path: Path, mock: MockKms, url: str) -> None:
    broken = fields_of(sealed_by(mock), nonce=bytes(12))
    paths = [written(tmp_path, "a.bundle", broken, 3, approved(broken, sequence=3))]
    link = Link(Boot())
    at_start = AtStart(link, unsealer_of(link, url), paths)  # type: ignore[arg-type]
    assert await at_start._serve()
    assert link.boot.ends == [True]
    link.boot = Boot()
    assert await at_start._serve()
    assert not link.boot.ends


# --- the configuration


def configured(text: str) -> Config:
    head = 'listen = ["unix:/tmp/g.sock"]\nenclave = "unix:/tmp/e.sock"\n'
    return parse(tomllib.loads(f'{head}{text}\n[journal]\npath = "/tmp/j.db"\n'), {})


def test_the_configuration_names_kms_and_bundles() -> None:
    assert configured("").kms is None
    found = configured(
        '[kms]\nregion = "eu-west-1"\nread_timeout_ms = 500\n[provisioning]\nbundles = ["/etc/a.bundle"]'
    )
    assert found.kms == KmsSettings(region="eu-west-1", read_timeout_ms=500)
    assert [str(path) for path in found.bundles] == ["/etc/a.bundle"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[kms]\nregion = 1", "kms.region: 1: expected a text"),
        ('[kms]\nendpoint_url = "kms"', "kms.endpoint_url"),
        ("[kms]\nconnect_timeout_ms = 1", "kms.connect_timeout_ms"),
        ("[kms]\nretries = 3", "kms.retries: is not a known setting"),
        ('[provisioning]\nbundles = ["/etc/a.bundle"]', "provisioning.bundles"),
        ("[kms]\n[provisioning]\nbundles = 1", "provisioning.bundles"),
    ],
)
def test_mistakes_about_kms_are_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(text)
    assert any(mistake.startswith(said) for mistake in caught.value.mistakes), caught.value.mistakes
