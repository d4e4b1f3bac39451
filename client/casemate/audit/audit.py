"""The whole audit: every boot's chain, who signed it, what the witness saw, and what the host says it sent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from casemate.attestation import AttestationError, parse, verify
from casemate.attestation.times import readable
from casemate.audit import forms
from casemate.audit.check import Finding, Problem, Report, check
from casemate.session.forms import read_boot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography import x509

    from casemate.attestation import PcrExpectations
    from casemate.audit.evidence import Boot, Claim, Evidence
    from casemate.audit.witness import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Whose signatures count: as for ``casemate attest verify``, but each document at its own time."""

    pcrs: PcrExpectations
    root: x509.Certificate | None = None
    allow_debug: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome. ``sent`` and ``unmatched`` count the host's claims, None where there were none to hold against.

    ``unsent``: signed requests that the host does not say it sent; ``in_tail``: claims that no receipt allows but one
    that nobody signed, which the host can have made. None likewise.
    """

    reports: list[Report]
    findings: list[Finding]
    witnessed: bool
    sent: int | None
    unmatched: int | None
    unsent: int | None
    in_tail: int | None = None

    @property
    def unwitnessed(self) -> list[Report]:
        """The boots of which the witness saw nothing, or all."""
        return [report for report in self.reports if not (self.witnessed and report.witnessed)]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong and nothing was left unchecked."""
        return not self.findings and self.witnessed and not self.unwitnessed


def audit(
    evidence: Evidence,
    expected: Expected,
    seen: Sequence[Seen] | None,
    show: Callable[[int, int], None] = lambda _, __: None,
) -> Audit:
    """Check everything. ``seen`` None: no witness. ``show`` is told how many receipts of how many are done."""
    heads = _by_boot(seen or ())
    unmatched: dict[bytes, Claim] = dict(evidence.sent or {})
    signed: dict[bytes, None] = {}
    reports: list[Report] = []
    done, of = 0, sum(boot.stored for boot in evidence.boots)
    for boot in evidence.boots:
        before = done
        report = check(
            boot,
            heads.pop(boot.key, []),
            unmatched,
            lambda number, before=before: show(before + number, of),  # type: ignore[misc] # mypy and defaults
            allowed_requests=signed,
        )
        done += report.receipts
        report.attested = _attested(report, boot, expected)
        if any(other.boot == report.boot for other in reports):
            report.found(Problem.BOOT, "this boot is told twice")
        reports.append(report)
    findings = [finding for report in reports for finding in report.findings]
    in_tail = unmatched.keys() & {intent for report in reports for intent in report.vouched_by_nobody}
    without = [claim for intent, claim in unmatched.items() if intent not in in_tail]
    findings += _others(heads) + _twins(reports, evidence.boots) + _claims(without, evidence.boots, reports)
    if 0 not in expected.pcrs:
        text = "PCR0 is not pinned, so any enclave's document would do: give --pcr 0=HEX"
        findings.append(Finding(Problem.NOT_ATTESTED, text))
    if not reports:
        findings.append(Finding(Problem.EMPTY, "no boot is known: there is nothing to audit"))
    if evidence.sent is None:
        return Audit(reports, findings, seen is not None, None, None, None)
    unsent = len(signed.keys() - evidence.sent.keys() - {b""})
    return Audit(reports, findings, seen is not None, len(evidence.sent), len(without), unsent, len(in_tail))


def _by_boot(seen: Sequence[Seen]) -> dict[bytes, list[Seen]]:
    heads: dict[bytes, list[Seen]] = {}
    for each in seen:
        try:
            boot = forms.read_head(each.head).boot
        except forms.NotAReceipt:
            boot = b""
        heads.setdefault(boot, []).append(each)
    return heads


def _attested(report: Report, boot: Boot, expected: Expected) -> str:
    """Return when and by what the key was attested, "" with a finding if it was not."""
    if not boot.document:
        report.found(Problem.NOT_ATTESTED, "no attestation document shows this boot's key: anybody can have signed")
        return ""
    try:
        timestamp = parse(boot.document).timestamp_ms
        attestation = verify(
            boot.document,
            at=timestamp,
            pcrs=expected.pcrs,
            nonce=None,
            max_age_ms=None,
            root=expected.root,
            allow_debug=expected.allow_debug,
        )
        said = read_boot(attestation.user_data or b"")
    except (AttestationError, ValueError) as error:
        report.found(Problem.NOT_ATTESTED, f"the attestation document does not hold: {error}")
        return ""
    if said.receipt_key != boot.key:
        report.found(Problem.NOT_ATTESTED, "the attestation document shows another key than this boot's")
        return ""
    if report.deployment and said.deployment != report.deployment:
        text = f"the document is of deployment {said.deployment}, the heads are of {report.deployment}"
        report.found(Problem.NOT_ATTESTED, text)
        return ""
    return f"{readable(timestamp)}, PCR0 {attestation.pcrs[0].hex()[:16]}..."


def _others(heads: Mapping[bytes, Sequence[Seen]]) -> list[Finding]:
    """Return what the witness saw of boots of which nothing is stored."""
    return [
        Finding(
            Problem.TRUNCATED,
            f"the witness saw {len(seen)} heads of a boot of which nothing is stored"
            if boot
            else f"{len(seen)} of the witness's heads cannot be read",
            boot.hex(),
        )
        for boot, seen in heads.items()
    ]


def _twins(reports: Sequence[Report], boots: Sequence[Boot]) -> list[Finding]:
    """Return boots whose times overlap: one host has one enclave at a time."""
    found = []
    spans = sorted(
        (boot.host, report.begun, report.ended, report.boot)
        for report, boot in zip(reports, boots, strict=True)
        if report.receipts
    )
    for (host, _, ended, one), (another, begun, _, other) in pairwise(spans):
        if host == another and begun < ended:
            found.append(Finding(Problem.TWINS, f"boots {one[:16]} and {other[:16]} ran at the same time", other))
    return found


def _claims(unmatched: Sequence[Claim], boots: Sequence[Boot], reports: Sequence[Report]) -> list[Finding]:
    """Return what the host says it sent and no receipt allows, but for what is older than the first receipt."""
    # When the host met the first boot is its own word, and excuses nothing that came after the first receipt.
    begun = [report.begun for report in reports if report.receipts]
    since = min([*begun, *(boot.since for boot in boots)], default=0)
    return [
        Finding(
            Problem.CLAIM,
            f'the host says it sent "{claim.client_order_id}" of account "{claim.account}"; no receipt allows it',
        )
        for claim in unmatched
        if claim.time >= since
    ]
