"""The configuration: every mistake in one report, and what is right comes out as it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from casemate.cli.main import main
from casemate.duty.config import load
from casemate.duty.errors import ConfigError
from casemate.duty.model import Halt

if TYPE_CHECKING:
    from pathlib import Path

_PCR = "ab" * 48
_GOOD = f"""
deployment = "desk"
accounts = ["spot", "main"]
key = "duty.pem"
share = "1/4"
length = "2m"
clock_margin = "3s"
minimum_policy_version = 7
state = "file:state"
witness = "witness.jsonl"
[pins]
pcr0 = ["{_PCR}"]
[[gateway]]
name = "a"
address = "unix:/run/casemate/gateway.sock"
[[halt]]
scope = "symbol"
symbol = "BTC/USDT"
"""
_BAD = """
deployment = "no spaces"
accounts = []
key = "missing.pem"
share = "5/4"
length = "10s"
clock_margin = "9s"
minimum_policy_version = 0
state = "redis:x"
surprise = 1
[pins]
pcr0 = ["00"]
[[gateway]]
name = "a"
address = "10.0.0.1:443"
[[gateway]]
name = "a"
address = "unix:/x"
[[gateway]]
name = "a"
address = "unix:/y"
[[halt]]
scope = "ACCOUNT"
"""


def _written(directory: Path, text: str) -> Path:
    path = directory / "duty.toml"
    path.write_text(text)
    return path


def test_a_right_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duty", "keygen", str(tmp_path / "duty.pem")]) == 0
    public = capsys.readouterr().out.strip()
    config = load(_written(tmp_path, _GOOD))
    assert config.terms.accounts == ("main", "spot")
    assert (config.terms.share, config.terms.length, config.terms.margin) == ((1, 4), 120 * 10**9, 3 * 10**9)
    assert config.terms.halts == (Halt("SYMBOL", "", "", "BTC/USDT", "duty"),)
    assert config.pins.minimum_policy_version == 7
    assert config.state == f"file:{tmp_path / 'state'}"
    assert config.key.public_key().public_bytes_raw().hex() == public
    assert "key" not in repr(config)


def test_every_mistake_is_in_one_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_written(tmp_path, _BAD))
    report = str(caught.value)
    for name in (
        "deployment:",
        "accounts:",
        "key:",
        "share:",
        "length:",
        "minimum_policy_version:",
        "state:",
        "witness:",
        "surprise:",
        "pins.pcr0:",
        "gateway[0].address:",
        "gateway:",
        "halt[0].account:",
    ):
        assert any(line.startswith(name) for line in caught.value.mistakes), (name, report)


def test_a_duty_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    main(["duty", "keygen", str(tmp_path / "duty.pem")])
    (tmp_path / "duty.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        load(_written(tmp_path, _GOOD))


def test_wrong_use_exits_with_two_and_no_duty_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duty", "run", "--config", str(_written(tmp_path, _BAD))]) == 2
    assert "accounts" in capsys.readouterr().err
    main(["duty", "keygen", str(tmp_path / "duty.pem")])
    assert main(["duty", "status", "--config", str(_written(tmp_path, _GOOD))]) == 1
    assert main(["duty", "retire", "--config", str(_written(tmp_path, _GOOD))]) == 2


def test_a_password_in_the_address_of_the_state_is_not_shown(tmp_path: Path) -> None:
    text = _GOOD.replace("file:state", "mysql://user:hunter2@db")
    with pytest.raises(ConfigError) as caught:
        load(_written(tmp_path, text))
    assert "hunter2" not in str(caught.value)
