"""For every test: no way out of this machine."""

import ipaddress
import socket
import sys


def _local(address: object) -> bool:
    """Say whether an address is a unix socket's or a loopback one."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return host in {"", "localhost"} or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _stay_here(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to look up or to connect to any other machine, whoever asks for it."""
    if event == "socket.connect":
        connecting, address = arguments
        inet = isinstance(connecting, socket.socket) and connecting.family in {socket.AF_INET, socket.AF_INET6}
        if inet and not _local(address):
            message = f"a test tried to reach {address!r}"
            raise RuntimeError(message)
    elif event == "socket.getaddrinfo" and arguments[0] is not None:
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if not _local((host,)):
            message = f"a test tried to look up {host!r}"
            raise RuntimeError(message)


sys.addaudithook(_stay_here)
