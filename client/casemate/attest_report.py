"""What ``casemate attest verify`` proved, in words, and what the boot says of itself in the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from casemate.attestation.times import readable
from casemate.session.forms import POLICY_PCR, read_boot

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping

    from casemate.attestation import Attestation

NOT_PINNED: Final = "PCR0 not pinned: some enclave asked for this, not necessarily yours (--pcr 0=HEX pins it)"


def checked(
    found: Attestation, arguments: argparse.Namespace, pcrs: Mapping[int, Collection[bytes]], at_ms: int
) -> Iterator[str]:
    """Yield a line for everything that was held against the document, and for what was not."""
    root = "AWS's root" if arguments.root is None else "the root given, in AWS's place"
    yield f"chain: to {root}, valid until {readable(found.valid_until_ms)}; the signature holds"
    limit = "no maximum age asked for" if arguments.max_age is None else f"at most {arguments.max_age} ms asked for"
    yield f"time: made {at_ms - found.timestamp_ms} ms before the stated time, {limit}"
    yield f"nonce: {'as expected' if arguments.nonce is not None else 'none expected: not looked at'}"
    yield f"debug: {'YES, allowed' if found.debug else 'no'}"
    for index, values in sorted(pcrs.items()):
        by_policy = index == POLICY_PCR and arguments.policy is not None
        meant = "of this policy and quorum" if by_policy else "the value given" if len(values) == 1 else "a value given"
        yield f"PCR{index}: {meant}"
    if 0 not in pcrs:
        yield "PCR0: NOT PINNED"


def boot_of(found: Attestation) -> dict[str, object] | None:
    """Return what a boot of Casemate says in user_data; None where it is another statement or none."""
    try:
        boot = read_boot(found.user_data or b"")
    except ValueError:
        return None
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in boot._asdict().items()}
