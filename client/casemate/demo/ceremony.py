"""What administrators do once, played at once: approve the policy and the credentials, and give both to the enclave.

``python -m casemate.demo.ceremony`` is run by the stack of stand-ins, which hold everybody's keys in one directory. Real
administrators each sign on a machine of their own: docs/quorum.md. Prints one JSON document: what was done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate.cli.output import print_json
from casemate.errors import CasemateError, NotReady
from casemate.policy import compile_policy
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

_START_S: Final = 30.0
_POLL_S: Final = 0.05
_VALID_NS: Final = 24 * 3_600 * 1_000_000_000
# The machine's clocks are one; a little earlier costs nothing.
_EARLIER_NS: Final = 60 * 1_000_000_000


class Ceremony:
    """Signs with everybody's key in turn."""

    def __init__(self, admins: Sequence[Ed25519PrivateKey], deployment: str, now: int) -> None:
        """``now`` in nanoseconds UTC: when every statement begins to hold."""
        self._admins = admins
        self._deployment = deployment
        self._from = now - _EARLIER_NS

    def approvals(self, kind: str, sequence: int, fields: Mapping[str, Any]) -> list[bytes]:
        """Return one approval of each administrator."""
        terms = Terms(
            deployment=self._deployment,
            sequence=sequence,
            not_before=self._from,
            not_after=self._from + _VALID_NS,
        )
        return [approve(admin, kind, terms, fields) for admin in self._admins]


def load(gateway: SyncGateway, policy: bytes, credentials: Mapping[str, bytes], ceremony: Ceremony) -> dict[str, Any]:
    """Give the enclave policy and credentials, approved; returns what was done. Raises CasemateError."""
    version = read_policy(policy)["version"]
    taken = gateway.load_policy(policy, ceremony.approvals(POLICY, version, policy_fields(policy)))
    for number, (account, credential) in enumerate(credentials.items(), 1):
        fields = credential_fields(account, 1, credential)
        gateway.provision(account, credential, ceremony.approvals(CREDENTIAL, number, fields))
    return {
        "policy": {"version": taken.policy_version, "digest": taken.policy_digest},
        "credentials": {"accounts": list(credentials), "sealed": ""},
    }


def _wait_for_enclave(gateway: SyncGateway) -> None:
    """Wait until the host reaches the enclave, which may be another boot than a moment ago. Raises NotReady."""
    until = time.monotonic() + _START_S
    while not gateway.status().enclave_reachable:
        if time.monotonic() > until:
            message = "the host does not reach the enclave"
            raise NotReady("ENCLAVE_UNAVAILABLE", message, retry_can_help=True)
        time.sleep(_POLL_S)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    policy = compile_policy(arguments.policy.read_text(encoding="utf-8")).canonical
    arguments.policy.with_suffix(".cbor").write_bytes(policy)
    admins = [read_key(path) for path in arguments.admin]
    with SyncGateway(arguments.gateway, UnauthenticatedSealer("")) as gateway:
        gateway.wait_ready(_START_S)
        _wait_for_enclave(gateway)
        # Written before the gateway listens.
        fields = json.loads(arguments.credentials.read_text(encoding="utf-8"))
        credentials = {name: cbor2.dumps(value, canonical=True) for name, value in fields.items()}
        ceremony = Ceremony(admins, read_policy(policy)["deployment"], time.time_ns())
        return load(gateway, policy, credentials, ceremony)


def main(argv: Sequence[str] | None = None) -> int:
    """Do all of it: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--policy", required=True, type=Path, metavar="POLICY.toml")
    parser.add_argument("--credentials", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--admin", action="append", default=[], type=Path, metavar="KEY", help="none: nobody approves")
    arguments = parser.parse_args(argv)
    try:
        print_json(_run(arguments))
    except (CasemateError, QuorumError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
