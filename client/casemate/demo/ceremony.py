"""What administrators do once, played at once: approve the policy, seal the credentials, give both to the enclave.

``python -m casemate.demo.ceremony`` is run by the stack of stand-ins, which hold everybody's keys in one directory.
Real administrators each sign on a machine of their own (docs/quorum.md), and seal there (docs/sealed-keys.md). Prints
one JSON document: what was done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import cbor2

from casemate.channel import Endpoint
from casemate.cli.output import print_json
from casemate.errors import CasemateError, NotReady
from casemate.policy import compile_policy
from casemate.profile import read_profile
from casemate.provisioning import bundles, kms
from casemate.provisioning.errors import SealError
from casemate.quorum.errors import QuorumError
from casemate.quorum.keys import read_key
from casemate.quorum.statements import (
    CREDENTIAL,
    POLICY,
    Terms,
    approve,
    credential_fields,
    policy_fields,
    read_policy,
)
from casemate.sealing import UnauthenticatedSealer
from casemate.sync_gateway import SyncGateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from casemate.session import Pins

_START_S: Final = 30.0
_POLL_S: Final = 0.05
# A boot that follows another one gets duty when the other's last grant has ended.
_DUTY_S: Final = 120.0
_VALID_NS: Final = 24 * 3_600 * 1_000_000_000
# The machine's clocks are one; a little earlier costs nothing.
_EARLIER_NS: Final = 60 * 1_000_000_000
_NS_IN_MS: Final = 1_000_000
_NONCE_BYTES: Final = 32
# A key is made for each credential that KMS opens, and the enclave may be on a busy machine.
_CALL_S: Final = 30.0


class Administrators:
    """Sign with everybody's key in turn."""

    def __init__(self, keys: Sequence[Ed25519PrivateKey], deployment: str, now: int) -> None:
        """``now`` in nanoseconds UTC: when every statement begins to hold."""
        self._keys = keys
        self.deployment = deployment
        self._from = now - _EARLIER_NS

    def approve(self, kind: str, sequence: int, fields: Mapping[str, Any]) -> list[bytes]:
        """Return one approval of each."""
        terms = Terms(
            deployment=self.deployment,
            sequence=sequence,
            not_before=self._from,
            not_after=self._from + _VALID_NS,
        )
        return [approve(key, kind, terms, fields) for key in self._keys]


class Way(Protocol):
    """A way for credentials to get in. ``name`` says it for people."""

    name: str

    def give(self, gateway: SyncGateway, label: bundles.Label, credential: bytes, admins: Administrators) -> None:
        """Seal one credential, have it approved, and hand it over. Raises CasemateError, SealError."""


@dataclass(slots=True)
class ThroughKms:
    """Under a data key that KMS opens for the attested image alone."""

    key: str
    endpoint_url: str
    region: str
    name: str = "sealed through the mock KMS, which opened them for this image alone"

    def give(self, gateway: SyncGateway, label: bundles.Label, credential: bytes, admins: Administrators) -> None:
        """Have the host ask KMS."""
        key = kms.data_key(kms.client(self.region, self.endpoint_url), self.key, label.context())
        bundle = bundles.kms_bundle(label, key, credential, os.urandom(bundles.NONCE_BYTES))
        gateway.unseal(label.account, bundle, _approved(bundle, label, admins), timeout_s=_CALL_S)


@dataclass(slots=True)
class Directly:
    """To the key that the attested boot shows."""

    pins: Pins
    name: str = "sealed to the attested key of this boot"

    def give(self, gateway: SyncGateway, label: bundles.Label, credential: bytes, admins: Administrators) -> None:
        """Verify the enclave first."""
        content = bundles.content(label, credential, os.urandom(bundles.SALT_BYTES))
        nonce = os.urandom(_NONCE_BYTES)
        boot, _ = self.pins.check(gateway.attest(nonce), nonce, time.time_ns())
        bundle = bundles.direct_bundle(content, boot.receipt_key, boot.provision_key)
        gateway.provision_bundle(label.account, bundle, _approved(content, label, admins), timeout_s=_CALL_S)


@dataclass(slots=True)
class InClear:
    """For the mock enclave that believes everybody."""

    name: str = ""

    def give(self, gateway: SyncGateway, label: bundles.Label, credential: bytes, admins: Administrators) -> None:
        """Hand it over as it is."""
        del admins
        gateway.provision(label.account, credential)


def _approved(sealed: bytes, label: bundles.Label, admins: Administrators) -> list[bytes]:
    fields = credential_fields(label.account, label.version, bundles.read(sealed).subject)
    # Each account's statement has a number of its own: they rise in the order in which they are given.
    return admins.approve(CREDENTIAL, label.created, fields)


def load(
    gateway: SyncGateway, policy: bytes, credentials: Mapping[str, bytes], way: Way, admins: Administrators
) -> dict[str, Any]:
    """Give the enclave policy and credentials; returns what was done. Raises CasemateError, SealError."""
    version = read_policy(policy)["version"]
    taken = gateway.load_policy(policy, admins.approve(POLICY, version, policy_fields(policy)))
    created = time.time_ns() // _NS_IN_MS
    for number, (account, credential) in enumerate(credentials.items()):
        label = bundles.Label(deployment=admins.deployment, account=account, version=1, created=created + number)
        way.give(gateway, label, credential, admins)
    return {
        "policy": {"version": taken.policy_version, "digest": taken.policy_digest},
        "credentials": {"accounts": list(credentials), "sealed": way.name},
    }


def _wait_for_enclave(gateway: SyncGateway) -> None:
    """Wait until the host reaches the enclave, which may be another boot than a moment ago. Raises NotReady."""
    until = time.monotonic() + _START_S
    while not gateway.status().enclave_reachable:
        if time.monotonic() > until:
            message = "the host does not reach the enclave"
            raise NotReady("ENCLAVE_UNAVAILABLE", message, retry_can_help=True)
        time.sleep(_POLL_S)


def _duty(gateway: SyncGateway) -> dict[str, Any]:
    """Wait for the officer's grant; raises NotReady."""
    until = time.monotonic() + _DUTY_S
    while True:
        duty = gateway.status().enclave.duty
        if duty is not None and duty.accounts:
            return {"sequence": duty.sequence, "not_after": duty.not_after, "accounts": list(duty.accounts)}
        if time.monotonic() > until:
            message = "no duty was granted"
            raise NotReady("NO_DUTY", message, retry_can_help=True)
        time.sleep(_POLL_S)


def _where(arguments: argparse.Namespace) -> tuple[Endpoint, Way]:
    if not arguments.profile:
        return Endpoint(target=arguments.unauthenticated_gateway), InClear()
    profile = read_profile(arguments.profile)
    if arguments.kms_key:
        return profile.gateway(), ThroughKms(arguments.kms_key, arguments.kms_endpoint, arguments.kms_region)
    assert profile.pins is not None  # noqa: S101 - the stack's profiles have them
    return profile.gateway(), Directly(profile.pins)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    policy = compile_policy(arguments.policy.read_text(encoding="utf-8")).canonical
    arguments.policy.with_suffix(".cbor").write_bytes(policy)
    endpoint, way = _where(arguments)
    fields = json.loads(arguments.credentials.read_text(encoding="utf-8"))
    credentials = {name: cbor2.dumps(value, canonical=True) for name, value in fields.items()}
    keys = [read_key(path) for path in arguments.admin]
    admins = Administrators(keys, read_policy(policy)["deployment"], time.time_ns())
    with SyncGateway(endpoint, UnauthenticatedSealer("")) as gateway:
        gateway.wait_ready(_START_S)
        _wait_for_enclave(gateway)
        done = load(gateway, policy, credentials, way, admins)
        return done | ({"duty": _duty(gateway)} if arguments.await_duty else {})


def main(argv: Sequence[str] | None = None) -> int:
    """Do all of it: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--profile", type=Path, metavar="FILE", help="gateway and pins")
    where.add_argument("--unauthenticated-gateway", metavar="ADDR", help="nobody approves, nothing is sealed")
    parser.add_argument("--policy", required=True, type=Path, metavar="POLICY.toml")
    parser.add_argument("--credentials", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--admin", action="append", default=[], type=Path, metavar="KEY")
    parser.add_argument("--await-duty", action="store_true", help="wait until duty is granted")
    parser.add_argument("--kms-key", metavar="KEY", help="seal through KMS")
    parser.add_argument("--kms-endpoint", metavar="URL")
    parser.add_argument("--kms-region", metavar="NAME")
    arguments = parser.parse_args(argv)
    try:
        print_json(_run(arguments))
    except (CasemateError, QuorumError, SealError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
