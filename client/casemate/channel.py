"""Where the gateway is and how to reach it: ``unix:PATH`` or ``HOST:PORT`` with TLS files.

gRPC's own retries are off: only this package and its user decide whether an order goes out. The channel
reconnects by itself; a call that was under way when it broke is :class:`casemate.errors.Disconnected`. Before the
first call, and after a connection broke, a gateway asks here whether there is one: a call that is not even begun is
certain to have sent nothing, which no status of a begun one can tell.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
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
# While connecting and when idle it is not yet known. A closed channel is for the call itself to complain of.
_SETTLED: Final = frozenset(
    {
        grpc.ChannelConnectivity.READY,
        grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        grpc.ChannelConnectivity.SHUTDOWN,
    }
)
# Not gRPC's other ways to name an address (dns:///, ipv4:), nor what goes through a proxy.
_PLAIN_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_URI_SIGNS: Final = re.compile("[%?#]")
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")


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


async def can_connect(channel: grpc.aio.Channel, timeout_s: float) -> bool:
    """Connect if need be; False once an attempt failed, or after ``timeout_s``. Sends no call."""
    try:
        async with asyncio.timeout(timeout_s):
            while (state := channel.get_state(try_to_connect=True)) not in _SETTLED:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE


def can_connect_sync(target: str, timeout_s: float) -> bool:
    """Do the same with a socket of its own, closed at once; True where gRPC would not connect as simply as that.

    A synchronous channel tells its state only from a thread, which complains on stderr when the channel is closed
    before it has ended.
    """
    host, _, port = target.rpartition(":")
    try:
        if target.startswith("unix:"):
            # A percent sign and the like mean something else to gRPC than to the system.
            if not _URI_SIGNS.search(target):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(max(0.0, timeout_s))
                    probe.connect(target.removeprefix("unix:"))
        elif _PLAIN_HOST.fullmatch(host) and not any(os.environ.get(name) for name in _PROXIES):
            socket.create_connection((host.strip("[]"), int(port)), max(0.0, timeout_s)).close()
    except (OSError, OverflowError, UnicodeError):  # the last two: a port or a name that cannot be
        return False
    return True


def identity(message: bytes) -> bytes:
    """Serialise nothing: calls carry bytes, :mod:`casemate.calls` makes and reads them."""
    return message
