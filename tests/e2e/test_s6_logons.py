"""S6 through the whole stack: a read-only account logs a private stream on, a trading one never does."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cbor2
import pytest

from casemate import LogonIntent, SyncGateway, UnauthenticatedSealer, read_profile
from casemate.cli.main import main
from casemate.demo.ceremony import Administrators, Directly, load
from casemate.errors import NotJudged, PolicyError
from casemate.models import Decision, ErrorClass
from casemate.policy import compile_policy
from casemate.quorum.keys import read_key
from casemate_mock.pytest_plugin import RunningStack

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = {
    "watch-okx": {"apiKey": "key-of-okx-watch", "secret": "s3cret-of-okx-watch", "password": "passphrase-watch"},
    "watch-kraken": {"apiKey": "key-of-kraken-watch", "secret": "c2VjcmV0LW9mLWtyYWtlbi13YXRjaA=="},
}


def account(name: str, venue: str, *, read_only: bool = True) -> str:
    """One account that may log on and nothing else."""
    gaps = '["fixed-validity", "replayable", "body-unsigned", "host-unsigned", "method-unsigned"]'
    return f"""
[[account]]
name = "{name}"
venue = "{venue}"
margin_mode = "cash"
read_only = {str(read_only).lower()}
count_uses = 1
accept = {gaps}
[[account.grant]]
name = "stream"
engines = "*"
symbols = "*"
operations = ["LOGON", "BALANCES"]
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The demonstration's stack, whose quorum has approved two read-only accounts besides."""
    directory = tmp_path_factory.mktemp("watched")
    stack = RunningStack(directory)
    try:
        text = (directory / "policy.toml").read_text(encoding="utf-8").replace("version = 1", "version = 2")
        names = ", ".join(f'"{name}"' for name in SECRETS)
        text = re.sub(r"^accounts = \[", f"accounts = [{names}, ", text, flags=re.MULTILINE)
        text += account("watch-okx", "okx") + account("watch-kraken", "kraken")
        policy = compile_policy(text).canonical
        profile = read_profile(stack.profile)
        assert profile.pins is not None
        keys = [read_key(Path(path)) for path in stack.ready["quorum"]["admins"][:2]]
        with SyncGateway(stack.gateway, UnauthenticatedSealer("")) as operator:
            credentials = {name: cbor2.dumps(fields, canonical=True) for name, fields in SECRETS.items()}
            admins = Administrators(keys, profile.pins.deployment, time.time_ns())
            load(operator, policy, credentials, Directly(profile.pins), admins)
        yield stack
    finally:
        stack.stop()


def test_s6_a_read_only_account_gets_a_message_that_the_enclave_itself_vouches_for(watched: RunningStack) -> None:
    with SyncGateway.connect(watched.profile) as gateway:
        result = gateway.logon("watch-okx", "okx")
    assert result.granted
    assert result.authenticated
    assert result.url.startswith("wss://ws.okx.com")
    said = json.loads(result.message)
    assert said["op"] == "login"
    assert said["args"][0]["apiKey"] == SECRETS["watch-okx"]["apiKey"]
    assert said["args"][0]["sign"] not in repr(result)


def test_s6_a_trading_accounts_logon_is_refused_through_the_whole_stack(watched: RunningStack) -> None:
    with SyncGateway.connect(watched.profile) as gateway:
        for each in watched.accounts:
            result = gateway.logon(each["name"], each["venue"])
            assert (result.verdict.decision, result.verdict.rule) == (Decision.REFUSE, "logon")
            assert result.authenticated
            assert (result.message, result.token) == (b"", "")
        # Nor does an engine get one through another call, or by naming another venue.
        assert not gateway.logon(watched.accounts[0]["name"], "okx").granted
        (batched,) = gateway.submit_batch([LogonIntent(account="watch-okx", venue="okx")])
        assert isinstance(batched, NotJudged)
        assert batched.reason == "WRONG_METHOD"


def test_s6_no_policy_grants_a_trading_account_a_logon() -> None:
    with pytest.raises(PolicyError, match="LOGON"):
        compile_policy(account("desk", "okx", read_only=False))


def test_s6_a_venue_that_is_asked_over_http_answers_for_itself(watched: RunningStack) -> None:
    # The simulated venue does not know this key.
    with SyncGateway.connect(watched.profile) as gateway:
        result = gateway.logon("watch-kraken", "kraken")
    assert result.verdict.allowed
    assert (result.granted, result.error_class) == (False, ErrorClass.BAD_SIGNATURE)


def test_s6_what_was_handed_out_is_in_no_file_of_the_host(watched: RunningStack) -> None:
    with SyncGateway.connect(watched.profile) as gateway:
        said = json.loads(gateway.logon("watch-okx", "okx").message)["args"][0]
    directory = Path(watched.ready["directory"])
    kept = b"".join(path.read_bytes() for path in directory.glob("journal.db*"))
    kept += b"".join(path.read_bytes() for path in directory.glob("*.log"))
    for name in ("sign", "passphrase"):
        assert said[name].encode() not in kept


def test_casemate_logon_writes_the_message_to_a_private_file(
    watched: RunningStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "logon.json"
    options = ["--profile", watched.profile]
    asked = ["logon", "--account", "watch-okx", "--venue", "okx", "--out", str(out), *options]
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["authenticated"]) == ("message", True)
    said = json.loads(out.read_bytes())["args"][0]
    assert said["sign"] not in json.dumps(document)
    assert out.stat().st_mode & 0o777 == 0o600
    assert main(asked) == 2
    trading = watched.accounts[0]
    refused = ["logon", "--account", trading["name"], "--venue", trading["venue"], "--out", f"{out}.2", *options]
    assert main(refused) == 1
    assert "REFUSE by logon" in capsys.readouterr().out
    assert not Path(f"{out}.2").exists()
