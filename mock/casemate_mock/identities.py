"""Who takes part in a stack: administrators and engines with fresh keys, the quorum, and a profile for each engine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from casemate_mock.serving import write_private

ADMINS = 3
# How many of them approve.
THRESHOLD = 2
_ADMIN_NAMES = tuple(f"admin-{number + 1}" for number in range(ADMINS))


class Person(NamedTuple):
    """Somebody's key: the file that only its owner can read, and the public half in hexadecimal."""

    key: Path
    public: str


class Identities(NamedTuple):
    """Everybody of one stack, and the file that names the administrators."""

    admins: Sequence[Person]
    engines: Mapping[str, Person]
    officer: Person
    quorum: Path

    @property
    def engine_keys(self) -> dict[str, str]:
        """What the policy says: by engine, the public key."""
        return {name: person.public for name, person in self.engines.items()}


def make(directory: Path, deployment: str, engines: Sequence[str]) -> Identities:
    """Make everybody a new key in the directory, and the quorum file."""
    admins = [_person(directory / f"{name}.key") for name in _ADMIN_NAMES]
    # The form of docs/quorum.md, written here: the stand-ins import no client code.
    quorum = {
        "format": "casemate.quorum.v1",
        "deployment": deployment,
        "threshold": THRESHOLD,
        "admins": sorted(admin.public for admin in admins),
    }
    path = directory / "quorum.cbor"
    path.write_bytes(cbor2.dumps(quorum, canonical=True))
    people = {name: _person(directory / f"{name}.key") for name in engines}
    return Identities(admins, people, _person(directory / "duty.key"), path)


def _person(path: Path) -> Person:
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    return Person(path, key.public_key().public_bytes_raw().hex())


def write_profiles(
    directory: Path, people: Identities, gateway: str, deployment: str, attestation: Mapping[str, Any]
) -> dict[str, str]:
    """Write each engine's profile (``casemate.profile`` reads it); returns the paths by engine.

    ``attestation`` is what the mock enclave said: root and pcrs.
    """
    paths = {}
    for name, person in people.engines.items():
        lines = [
            "# Made by casemate-mock, for this stack alone.",
            *_fields(gateway=gateway, engine=name, key=person.key.name),
            "[pins]",
            *_fields(deployment=deployment, minimum_policy_version=1, root=Path(attestation["root"]).name),
            "[pins.pcrs]",
            *_fields(**attestation["pcrs"]),
        ]
        path = directory / f"{name}.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        paths[name] = str(path)
    return paths


def _fields(**fields: object) -> list[str]:
    # JSON's strings and numbers are also TOML's.
    return [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
