"""The guard in tests/conftest.py holds."""

import socket

import pytest


def test_a_test_cannot_reach_another_machine() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="tried to reach"):
        outside.connect(("192.0.2.1", 443))


def test_a_test_cannot_look_up_another_machine() -> None:
    with pytest.raises(RuntimeError, match="tried to look up"):
        socket.getaddrinfo("exchange.example", 443)


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
