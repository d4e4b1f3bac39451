"""Where the gateway is and how to reach it: ``unix:PATH`` or ``HOST:PORT`` with TLS files.

gRPC's own retries are off: only this package and its user decide whether an order goes out. The channel
reconnects by itself; a call that was under way when it broke is :class:`casemate.errors.Disconnected`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

if TYPE_CHECKING:
    from pathlib import Path

_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # One connection a gateway: two gateways in one process do not share a socket and its flow control.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of PEM files: the authority that signed the gateway's certificate, and our own certificate and key."""

    ca: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files; OSError names the one that cannot be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.certificate.read_bytes(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A gateway's address.

    ``target`` is ``unix:PATH`` or ``HOST:PORT``. TCP needs ``tls``, unless ``insecure_plaintext_for_development``;
    a unix socket needs neither. Raises ValueError for anything else.
    """

    target: str
    tls: TlsFiles | None = None
    insecure_plaintext_for_development: bool = False

    def __post_init__(self) -> None:
        """Refuse plaintext over a network by accident."""
        if self.is_unix:
            return
        host, _, port = self.target.rpartition(":")
        if not host or not port.isdigit():
            message = f'gateway "{self.target}": expected unix:PATH or HOST:PORT'
            raise ValueError(message)
        if self.tls is None and not self.insecure_plaintext_for_development:
            message = f'gateway "{self.target}": TCP needs TLS files (authority, certificate, key)'
            raise ValueError(message)

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.target.startswith("unix:")

    def open(self) -> grpc.aio.Channel:
        """Open an asynchronous channel."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.target, options=_OPTIONS)
        return grpc.aio.secure_channel(self.target, self.tls.credentials(), options=_OPTIONS)

    def open_sync(self) -> grpc.Channel:
        """Open a synchronous channel."""
        if self.tls is None:
            return grpc.insecure_channel(self.target, options=_OPTIONS)
        return grpc.secure_channel(self.target, self.tls.credentials(), options=_OPTIONS)


def endpoint_of(gateway: str | Endpoint) -> Endpoint:
    """Accept a bare ``unix:PATH`` in place of an endpoint."""
    return gateway if isinstance(gateway, Endpoint) else Endpoint(target=gateway)


def identity(message: bytes) -> bytes:
    """Serialise nothing: calls carry bytes, :mod:`casemate.calls` makes and reads them."""
    return message
