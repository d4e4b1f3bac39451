"""TCP needs both ends' certificates; plaintext gets nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.addresses import Address
from host_dispatch.config import Tls
from tests.host.host_rig import Rig, running

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority for one test."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.pem = certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str) -> Pair:
        """Return a certificate for ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        certificate = self._builder(subject, key.public_key()).add_extension(names, critical=False)
        return Pair(
            certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
        )


async def _status(rig: Rig, credentials: grpc.ChannelCredentials | None) -> wire.StatusReply:
    assert rig.host is not None
    address = rig.host.listen[0]
    if credentials is None:
        channel = grpc.aio.insecure_channel(address)
    else:
        options = (("grpc.ssl_target_name_override", "gateway.test"),)
        channel = grpc.aio.secure_channel(address, credentials, options=options)
    async with channel:
        call = channel.unary_unary(
            "/casemate.dispatch.v1.Operator/Status",
            request_serializer=wire.StatusRequest.SerializeToString,
            response_deserializer=wire.StatusReply.FromString,
        )
        reply: wire.StatusReply = await call(wire.StatusRequest(), timeout=10)
        return reply


async def test_only_a_client_of_the_right_authority_gets_in(tmp_path: Path) -> None:
    authority, stranger = Authority("ours"), Authority("theirs")
    server, client, intruder = authority.issue("gateway.test"), authority.issue("engine"), stranger.issue("engine")
    files = {"server.pem": server.certificate, "server.key": server.key, "ca.pem": authority.pem}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    async with running(tmp_path, start=False) as rig:
        rig.changes["listen"] = (Address("127.0.0.1:0"),)
        rig.changes["tls"] = Tls(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")
        await rig.start_host()
        ours = grpc.ssl_channel_credentials(authority.pem, client.key, client.certificate)
        assert (await _status(rig, ours)).enclave_reachable
        for credentials in (
            None,
            grpc.ssl_channel_credentials(authority.pem),
            grpc.ssl_channel_credentials(authority.pem, intruder.key, intruder.certificate),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await _status(rig, credentials)
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
