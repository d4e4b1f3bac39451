"""Profiles: one file for gateway, engine, key and pins, whose every mistake is told at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from casemate import AttestedSealer, ProfileError, SyncGateway, read_profile
from casemate.quorum.keys import new_key

if TYPE_CHECKING:
    from pathlib import Path

PCR = "ab" * 48
DIGEST = "ef" * 32
GOOD = f"""
gateway = "unix:/run/gateway.sock"
engine = "mm-1"
key = "mm-1.key"
[pins]
deployment = "desk"
minimum_policy_version = 7
max_age = "30s"
root = "root.pem"
quorum = ["{DIGEST}"]
[pins.pcrs]
0 = ["{PCR}", "{"cd" * 48}"]
8 = "{PCR}"
"""


def _root() -> bytes:
    key, name = ec.generate_private_key(ec.SECP384R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return made.sign(key, hashes.SHA384()).public_bytes(Encoding.PEM)


def written(directory: Path, text: str = GOOD) -> Path:
    """Write a profile, its key and its root."""
    (directory / "root.pem").write_bytes(_root())
    if not (directory / "mm-1.key").exists():
        new_key(directory / "mm-1.key")
    path = directory / "profile.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_says_all_that_an_engine_needs_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    profile = read_profile(written(tmp_path))
    assert profile.gateway().target == "unix:/run/gateway.sock"
    assert profile.key == tmp_path / "mm-1.key"
    assert profile.pins is not None
    pinned = (profile.pins.deployment, profile.pins.minimum_policy_version, profile.pins.max_age_ms)
    assert pinned == ("desk", 7, 30_000)
    assert profile.pins.pcrs[0] == (bytes.fromhex(PCR), bytes.fromhex("cd" * 48))
    assert profile.pins.root is not None
    assert profile.pins.quorum == {bytes.fromhex(DIGEST)}
    sealer = profile.sealer()
    assert isinstance(sealer, AttestedSealer)
    assert "mm-1" in repr(sealer)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('engine = "mm-1"', 'engine = "mm 1"', "engine:"),
        ("gateway =", "gatway =", "gatway: no such key"),
        ('"unix:/run/gateway.sock"', '"10.0.0.1:7000"', "TCP needs TLS"),
        (f'"{PCR}", ', '"abcd", ', "pins.pcrs.0: expected"),
        (f'8 = "{PCR}"', f'32 = "{PCR}"', "pins.pcrs.32: expected"),
        ('deployment = "desk"', "deployment = 7", "pins.deployment: expected text"),
        ("minimum_policy_version = 7", "minimum_policy_version = 0", "from 1"),
        ("minimum_policy_version = 7", "minimum_policy_version = true", "from 1"),
        ('max_age = "30s"', 'max_age = "forever"', "pins.max_age"),
        ('root = "root.pem"', 'root = "mm-1.key"', "pins.root"),
        ('root = "root.pem"', 'root = "gone.pem"', "gone.pem"),
        ("[pins.pcrs]", "[pins.pcr]", "PCR0, the measurement of the image, must be pinned"),
        ("[pins]", "[[pins]]", "expected a table"),
        (f'["{DIGEST}"]', f'["{DIGEST}", 7]', "pins.quorum: expected"),
        (f'["{DIGEST}"]', "[]", "pins.quorum: expected"),
        (f'["{DIGEST}"]', '"abcd"', "pins.quorum: expected"),
        ("gateway", "gateway = =", "profile.toml"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_its_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ProfileError, match=r"profile\.toml") as caught:
        read_profile(written(tmp_path, GOOD.replace(old, new, 1)))
    assert said in str(caught.value)


def test_all_mistakes_come_in_one_report(tmp_path: Path) -> None:
    text = GOOD.replace('"mm-1"', '"mm 1"').replace("= 7", "= 0").replace('"30s"', '"x"')
    with pytest.raises(ProfileError) as caught:
        read_profile(written(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 3


def test_a_profile_without_pins_opens_no_session(tmp_path: Path) -> None:
    path = written(tmp_path, 'gateway = "unix:/run/gateway.sock"\nengine = "mm-1"\nkey = "mm-1.key"\n')
    with pytest.raises(ProfileError, match="pins: missing"):
        SyncGateway.connect(path)


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "mm-1.key").chmod(0o644)
    with pytest.raises(ProfileError, match="others can read"):
        SyncGateway.connect(path)


def test_a_command_without_key_and_pins_sends_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    where = ("--gateway", f"unix:{tmp_path}/nobody.sock", "--engine", "mm-1")
    command = [sys.executable, "-m", "casemate", "halt", *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--key and --pins missing" in done.stderr
