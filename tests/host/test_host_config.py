"""The configuration: what it takes, and every mistake in one report."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from host_dispatch.addresses import parse_address
from host_dispatch.config import ConfigError, load, parse

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
listen = ["unix:/run/c/gateway.sock"]
enclave = "vsock:16:5000"
[journal]
path = "/var/lib/c/journal.db"
"""

# Venues and the names of their rate limits.
KNOWN = {"binance": ["orders"], "coinbase": [], "kraken": []}


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as found:
        parse(tomllib.loads(text), KNOWN)
    return found.value.mistakes


def test_the_shortest_file_is_safe_by_default() -> None:
    config = parse(tomllib.loads(GOOD), KNOWN)
    assert config.durability == "full"
    assert config.socket_mode == 0o600
    assert not config.insecure_plaintext_tcp
    assert config.tls is None
    assert config.dispatch.slots("binance") == 8


def test_every_mistake_is_in_one_report_with_path_value_and_expectation() -> None:
    found = mistakes(
        """
        listen = ["unix:relative", "127.0.0.1:99999"]
        enclave = 7
        socket_mode = "0999"
        surprise = 1
        [journal]
        durability = "often"
        [dispatch]
        connections = 0
        timeout_ms = "1s"
        typo = true
        [venues.nowhere]
        connections = true
        [venues.binance]
        connect = {"api.binance.com" = "ftp://x", "b" = "http://h/path"}
        limits = {orders = 0, order = 5}
        """
    )
    text = "\n".join(found)
    for expected in (
        "listen: 'unix:relative': expected unix:/absolute/path",
        "listen: '127.0.0.1:99999': expected",
        "enclave: 7: expected a text",
        "socket_mode: '0999': expected an octal mode",
        "surprise: is not a known setting; there are ",
        "journal.path: None: expected a text",
        "journal.durability: 'often': expected full or normal",
        "dispatch.connections: 0: expected a whole number from 1 to 256",
        "dispatch.timeout_ms: '1s': expected",
        "dispatch.typo: is not a known setting; there are ",
        "venues.nowhere: 'nowhere': expected one of binance, coinbase, kraken",
        "venues.nowhere.connections: True: expected",
        "venues.binance.connect.api.binance.com: 'ftp://x': expected http://HOST:PORT",
        "venues.binance.connect.b: 'http://h/path': expected",
        "venues.binance.limits.orders: 0: expected",
        "venues.binance.limits.order: 5: expected one of orders",
    ):
        assert expected in text


def test_plaintext_tcp_is_refused_unless_it_is_asked_for_by_its_loud_name() -> None:
    tcp = GOOD.replace('"unix:/run/c/gateway.sock"', '"127.0.0.1:7000"')
    assert any("insecure_plaintext_tcp_for_development" in mistake for mistake in mistakes(tcp))
    config = parse(tomllib.loads("insecure_plaintext_tcp_for_development = true\n" + tcp), KNOWN)
    assert config.listen[0].is_tcp


def test_tls_files_must_exist(tmp_path: Path) -> None:
    there = tmp_path / "a.pem"
    there.write_text("x")
    text = GOOD + f'[tls]\ncertificate = "{there}"\nkey = "{tmp_path}/b.pem"\nclient_ca = "{tmp_path}/c.pem"\n'
    assert [line.partition(":")[0] for line in mistakes(text)] == ["tls.key", "tls.client_ca"]


def test_the_host_does_not_listen_on_vsock() -> None:
    assert mistakes(GOOD.replace("unix:/run/c/gateway.sock", "vsock:3:5000"))


def test_kraken_takes_one_order_at_a_time_and_coinbase_is_believed_late() -> None:
    dispatch = parse(tomllib.loads(GOOD), KNOWN).dispatch
    assert dispatch.slots("kraken") == 1
    assert dispatch.margin_ns("coinbase") > 120_000_000_000 > dispatch.margin_ns("kraken")


def test_a_file_that_is_missing_or_no_toml_is_one_clear_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ConfigError, match="is no TOML"):
        load(tmp_path / "bad.toml", {})


@pytest.mark.parametrize(
    ("text", "tcp"),
    [
        ("unix:/a/b", False),
        ("vsock:16:5000", False),
        ("127.0.0.1:0", True),
        ("[::1]:7000", True),
        ("host.local:65535", True),
    ],
)
def test_addresses_of_each_form_are_read(text: str, tcp: bool) -> None:  # noqa: FBT001
    found = parse_address(text)
    assert found is not None
    assert (found.text, found.is_tcp) == (text, tcp)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unix:rel",
        "unix:/" + "x" * 107,
        "vsock:1",
        "vsock:a:b",
        "host",
        "host:",
        "host:65536",
        "a b:1",
    ],
)
def test_other_addresses_are_not(text: str) -> None:
    assert parse_address(text) is None


def test_the_enclave_is_never_reached_in_clear_over_a_network() -> None:
    for address in ("10.0.0.5:5000", "enclave.internal:5000", "0.0.0.0:5000"):
        with pytest.raises(ConfigError) as failed:
            parse({"listen": ["unix:/a"], "enclave": address, "journal": {"path": "/j.db"}}, {})
        assert any("127.0.0.1:PORT" in mistake for mistake in failed.value.mistakes)
