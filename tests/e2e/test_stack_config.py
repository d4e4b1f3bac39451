"""What the stand-ins start with: random keys, a policy that compiles, and venue files whose mistakes are named."""

from __future__ import annotations

import asyncio
import fcntl
import re
from decimal import Decimal
from pathlib import Path

import pytest

from casemate.ids import new_client_order_id
from casemate.policy import compile_policy
from casemate_mock.cli import main
from casemate_mock.config import DEMO_ACCOUNTS, demo_servers, demo_venue_config, random_key, read_venue_config
from casemate_mock.policy_text import demo_policy
from casemate_mock.stack import Stack, StackError, checked_directory, checked_listen, run_all
from enclave_signer.errors import BadCredential
from enclave_signer.policy.load import load
from enclave_signer.venues.registry import VENUES


def test_the_enclave_takes_the_demonstrations_policy_as_the_client_compiles_it() -> None:
    compiled = compile_policy(demo_policy(DEMO_ACCOUNTS))
    policy = load(compiled.canonical, VENUES)
    assert set(policy.accounts) == {account.name for account in DEMO_ACCOUNTS}
    assert policy.digest.hex() == compiled.digest


@pytest.mark.parametrize("account", DEMO_ACCOUNTS, ids=lambda account: account.name)
def test_a_random_key_is_a_credential_that_the_venue_file_takes_and_never_the_same(account: object) -> None:
    venue = VENUES[account.venue]  # type: ignore[attr-defined]
    first, second = random_key(venue.name), random_key(venue.name)
    assert venue.credential(dict(first.credential)).api_key == first.venue.api_key
    assert first.credential["secret"] != second.credential["secret"]
    assert first.credential["secret"] not in repr(first)
    with pytest.raises(BadCredential):
        venue.credential({**first.credential, "secret": ""})


def test_a_fresh_client_order_id_is_what_each_venue_file_takes() -> None:
    for venue in VENUES.values():
        for _ in range(20):
            assert re.fullmatch(venue.declaration.client_order_id, new_client_order_id(venue.name)), venue.name


def test_every_account_has_its_key_at_the_server_that_serves_it() -> None:
    for server in demo_servers():
        config, credentials = demo_venue_config(server)
        assert {key.account for key in config.keys} == set(credentials)
        assert {key.api_key for key in config.keys} == {fields["apiKey"] for fields in credentials.values()}


def test_reads_a_venue_file(tmp_path: Path) -> None:
    file = tmp_path / "venue.toml"
    file.write_text(
        '[[key]]\napi_key = "k"\nsecret = "s"\n'
        '[[instrument]]\nsymbol = "BTC/USDT"\nvenue_symbol = "BTCUSDT"\nbase = "BTC"\nquote = "USDT"\n'
        'tick = "0.01"\nlot = "0.001"\nreference_price = "60000"\n'
        '[settings]\ndepth = "5"\nrate_limit = { requests = 3, window_ms = 1000 }\n'
        '[settings.balances.main]\nBTC = "2"\n'
    )
    config = read_venue_config(file)
    assert config.keys[0].api_key == "k"
    assert config.instruments[0].tick == Decimal("0.01")
    assert config.settings.depth == Decimal(5)
    assert config.settings.rate_limit is not None
    assert config.settings.rate_limit.requests == 3
    assert config.settings.balances["main"]["BTC"] == Decimal(2)


@pytest.mark.parametrize(
    "text",
    [
        "[[key]",
        '[[key]]\nnonsense = "k"',
        '[[instrument]]\nsymbol = "X"',
        "[settings]\ndepth = 'x'",
        '[[key]]\napi_key = "k"',
    ],
)
def test_a_venue_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "venue.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"venue\.toml"):
        read_venue_config(file)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:7000", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "localhost:7000", "[::1]:7000", "unix:/x", ""],
)
def test_a_stack_listens_to_this_machine_alone(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["all", "--dir", str(tmp_path / "new"), "--listen", address])
    assert caught.value.code == 2
    assert "expected 127.0.0.1:PORT" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="expected 127"):
        Stack(tmp_path, listen=address)


def test_a_port_of_this_machine_is_taken() -> None:
    assert checked_listen("127.0.0.1:7000") == "127.0.0.1:7000"


def test_a_directory_in_which_a_socket_has_too_long_a_path_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / ("x" * 107)
    with pytest.raises(SystemExit) as caught:
        main(["all", "--dir", str(long)])
    assert caught.value.code == 2
    assert "too long: the path of a unix socket" in capsys.readouterr().err
    assert not long.exists()
    # With "/gateway.sock" 107 bytes are the last that pass; it is bytes that count.
    fits = Path("/" + "d" * 93)
    assert checked_directory(fits) == fits
    for too_long in ("d" * 94, "\u00e9" * 47):
        with pytest.raises(ValueError, match="1 bytes too long"):
            checked_directory(Path("/" + too_long))


def test_a_directory_that_another_stack_holds_is_left_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "stack.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stack = Stack(tmp_path)
        with pytest.raises(StackError, match="is in use by another stack"):
            asyncio.run(run_all(stack, watch_stdin=False))
        assert [file.name for file in tmp_path.iterdir()] == ["stack.lock"]
