"""Is this one boot's chain whole, and whose is it? Pure: evidence in, findings and tallies out.

What is checked, for each boot: every receipt is canonical, has the number and the hash that its place demands, and
a time that does not go back; every head is signed by the boot's key and names a receipt that is there, by number and
hash; the key is in an attestation document that verifies at the document's own time; nothing that the witness saw is
missing or different. A receipt counts as signed if a good head stands at or after it with no gap between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from casemate.audit import forms
from casemate.audit.tally import TRADING, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from casemate.audit.evidence import Boot, Claim
    from casemate.audit.forms import Decision, Head, Receipt
    from casemate.audit.witness import Seen

# The enclave signs a head with the 256th decision after the one before; a lost reply can have carried one of them.
MOST_TAIL: Final = 512
# Findings of one kind that are told one by one; the rest is counted.
_TOLD: Final = 20


class Problem(StrEnum):
    """Kinds of finding; each ends the audit with exit code 1."""

    MALFORMED = "malformed"
    GAP = "gap"
    ORDER = "order"
    LINK = "link"
    BOOT = "boot"
    POLICY = "policy"
    TIME = "time"
    HEAD = "head"
    NOT_SIGNED = "not_signed"
    RETIRED = "retired"
    TRUNCATED = "truncated"
    FORK = "fork"
    TWINS = "twins"
    NOT_ATTESTED = "not_attested"
    CLAIM = "claim"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be; ``boot`` is its key in hexadecimal, ``sequence`` a receipt where there is one."""

    problem: Problem
    text: str
    boot: str = ""
    sequence: int | None = None


@dataclass(slots=True)
class Report:
    """What one boot's chain came to. ``signed_to`` is the last receipt under a good head, None without one.

    ``witnessed_to`` is the last receipt that the witness saw a good head of. ``tail`` is how many receipts at the end
    no head covers: nobody signed them, what they charge counts as spent.
    """

    boot: str
    deployment: str = ""
    receipts: int = 0
    first: int | None = None
    last: int | None = None
    begun: int = 0
    ended: int = 0
    signed_to: int | None = None
    heads: int = 0
    witnessed: int = 0
    witnessed_to: int | None = None
    attested: str = ""
    # Intents whose allowed receipts no head covers.
    vouched_by_nobody: set[bytes] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    tail: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[Problem, int] = field(default_factory=dict)

    def found(self, problem: Problem, text: str, sequence: int | None = None) -> None:
        """Note a finding."""
        self.counts[problem] = self.counts.get(problem, 0) + 1
        if self.counts[problem] <= _TOLD:
            self.findings.append(Finding(problem, text, self.boot, sequence))


def check(
    boot: Boot,
    seen: Sequence[Seen],
    unmatched: dict[bytes, Claim],
    show: Callable[[int], None] = lambda _: None,
    *,
    allowed_requests: dict[bytes, None] | None = None,
) -> Report:
    """Check one boot. ``unmatched``: claims by intent digest; those with an allowed and signed receipt are taken out.

    ``seen`` are the witness's heads of this boot; ``allowed_requests`` gets the intents whose requests were signed.
    """
    report = Report(boot.key.hex())
    heads = _heads(report, boot, boot.heads, "the host's")
    witnessed = _heads(report, boot, [(each.head, each.signature) for each in seen], "the witness's")
    report.heads, report.witnessed, report.witnessed_to = len(heads), len(witnessed), max(witnessed, default=None)
    _Walk(report, boot.key, heads, witnessed, unmatched, {} if allowed_requests is None else allowed_requests).walk(
        boot.receipts(), show
    )
    return report


def _heads(report: Report, boot: Boot, heads: Sequence[tuple[bytes, bytes]], whose: str) -> dict[int, Head]:
    good: dict[int, Head] = {}
    for data, signature in heads:
        try:
            head = forms.read_head(data)
        except forms.NotAReceipt as error:
            report.found(Problem.HEAD, f"one of {whose} heads is none: {error}")
            continue
        if head.boot != boot.key or not forms.signed_by(boot.key, data, signature):
            text = f"{whose} head of receipt {head.sequence} is not signed by this boot's key"
            report.found(Problem.HEAD, text, head.sequence)
            continue
        other = good.get(head.sequence)
        if other is not None and other.hash != head.hash:
            text = f"two heads that this boot's key signed name different receipts {head.sequence}: the chain forks"
            report.found(Problem.FORK, text, head.sequence)
        if report.deployment not in ("", head.deployment):
            text = f"{whose} head of receipt {head.sequence} is of deployment {head.deployment}"
            report.found(Problem.HEAD, text, head.sequence)
        report.deployment = head.deployment or report.deployment
        good[head.sequence] = head
    return good


class _Walk:
    """One pass over the receipts."""

    def __init__(
        self,
        report: Report,
        key: bytes,
        heads: Mapping[int, Head],
        witnessed: Mapping[int, Head],
        unmatched: dict[bytes, Claim],
        signed: dict[bytes, None],
    ) -> None:
        self._report, self._key = report, key
        self._heads, self._witnessed = heads, witnessed
        self._unmatched, self._signed = unmatched, signed
        self._left = set(heads) | set(witnessed)
        # The last receipt that was sound, and the sequence expected next.
        self._before: Receipt | None = None
        self._next = 0
        self._policy = 0
        self._digest: object = b""
        self._retired = False

    def walk(self, receipts: Iterator[tuple[int, bytes]], show: Callable[[int], None]) -> None:
        for stored_as, data in receipts:
            self._report.receipts += 1
            show(self._report.receipts)
            try:
                receipt = forms.read_receipt(data)
                decision = forms.read_decision(receipt) if receipt.kind == forms.DECISION else None
            except forms.NotAReceipt as error:
                self._report.found(Problem.MALFORMED, f"receipt {stored_as}: {error}", stored_as)
                self._break(stored_as + 1)
                continue
            if receipt.sequence != stored_as:
                text = f"what is stored as receipt {stored_as} says that it is {receipt.sequence}"
                self._report.found(Problem.ORDER, text, stored_as)
            self._place(receipt)
            self._content(receipt, decision)
            self._count(receipt, decision)
        self._end()

    def _place(self, receipt: Receipt) -> None:
        """Check number and link."""
        report, before, sequence = self._report, self._before, receipt.sequence
        if sequence < self._next:
            report.found(Problem.ORDER, f"receipt {sequence} comes after receipt {self._next - 1}", sequence)
            self._break(sequence + 1)
        elif sequence > self._next:
            missing = (
                f"receipt {self._next} is"
                if sequence == self._next + 1
                else (f"receipts {self._next} to {sequence - 1} are")
            )
            report.found(Problem.GAP, f"{missing} missing", self._next)
            self._break(sequence)
        elif sequence == 0 and receipt.previous != forms.GENESIS:
            report.found(Problem.LINK, "receipt 0 names one before it", 0)
        elif before is not None and before.hash != receipt.previous:
            text = f"receipt {sequence} does not hang on receipt {sequence - 1}: one of them was altered"
            report.found(Problem.LINK, text, sequence)
            self._break(sequence)
        if before is not None and receipt.time < before.time:
            report.found(Problem.TIME, f"receipt {sequence} is older than the one before it", sequence)
        self._before, self._next = receipt, sequence + 1

    def _content(self, receipt: Receipt, decision: Decision | None) -> None:
        """Check what may stand where."""
        report, sequence, said = self._report, receipt.sequence, receipt.said
        if (receipt.kind == forms.BOOT) != (sequence == 0):
            report.found(Problem.BOOT, f"receipt {sequence} is of kind {receipt.kind}", sequence)
        if sequence == 0 and (said.get("format") != forms.FORMAT or said.get("boot") != self._key):
            report.found(Problem.BOOT, "receipt 0 is not of this boot", 0)
        if receipt.kind == forms.POLICY:
            if receipt.policy <= self._policy:
                report.found(Problem.POLICY, f"receipt {sequence}: policy {receipt.policy} is no newer one", sequence)
            self._policy, self._digest = receipt.policy, said.get("digest")
        elif receipt.policy != self._policy and sequence == self._next - 1 and self._whole:
            report.found(Problem.POLICY, f"receipt {sequence} names policy {receipt.policy}", sequence)
        self._retired = self._retired or receipt.kind == forms.RETIRED
        if decision is not None:
            self._decided(decision, sequence)

    def _decided(self, decision: Decision, sequence: int) -> None:
        if decision.verdict == forms.ALLOWED and decision.request:
            self._signed[decision.intent] = None
            self._report.vouched_by_nobody.add(decision.intent)
            if self._retired and decision.operation in TRADING:
                text = f"receipt {sequence}: something new was signed after this boot had retired"
                self._report.found(Problem.RETIRED, text, sequence)
        elif decision.request:
            self._report.found(Problem.MALFORMED, f"receipt {sequence}: refused, and yet a request", sequence)

    @property
    def _whole(self) -> bool:
        """Whether nothing is missing so far: else the policy may have changed in a gap."""
        return not self._report.counts

    def _count(self, receipt: Receipt, decision: Decision | None) -> None:
        report = self._report
        report.first = receipt.sequence if report.first is None else report.first
        report.last = receipt.sequence
        report.begun = report.begun or receipt.time
        report.ended = max(report.ended, receipt.time)
        report.tail.add(receipt, decision)
        self._compare(receipt)

    def _compare(self, receipt: Receipt) -> None:
        """Hold the receipt against the heads that name its number."""
        report, sequence = self._report, receipt.sequence
        self._left.discard(sequence)
        head, seen = self._heads.get(sequence), self._witnessed.get(sequence)
        if seen is not None and seen.hash != receipt.hash:
            text = f"the witness saw another receipt {sequence}, signed by this boot: the chain forks"
            report.found(Problem.FORK, text, sequence)
        elif head is not None and head.hash != receipt.hash:
            text = f"a head that this boot signed names another receipt {sequence}: the chain was altered before it"
            report.found(Problem.FORK, text, sequence)
        elif head is not None or seen is not None:
            self._sign(sequence, [each for each in (head, seen) if each is not None])

    def _sign(self, sequence: int, heads: Sequence[Head]) -> None:
        """Good heads name this receipt: it and what it hangs on are signed."""
        report = self._report
        for head in heads:
            if self._whole and (head.policy_version, head.policy_digest) != (self._policy, self._digest):
                text = f"the head of receipt {sequence} names a policy that no receipt brought"
                report.found(Problem.POLICY, text, sequence)
        report.signed_to = sequence
        report.tally.take(report.tail)
        report.tail = Tally()
        for intent in report.vouched_by_nobody:
            self._unmatched.pop(intent, None)
        report.vouched_by_nobody.clear()

    def _break(self, following: int) -> None:
        """What came before has no link to what follows: what no head has covered by now stays unsigned."""
        report = self._report
        if report.tail.receipts:
            last = following - 1 if self._before is None else self._before.sequence
            text = f"{report.tail.receipts} receipts up to {last} hang on no signed head"
            report.found(Problem.NOT_SIGNED, text, last)
            report.tail = Tally()
            report.vouched_by_nobody.clear()
        self._before, self._next = None, following

    def _end(self) -> None:
        report = self._report
        for sequence in sorted(self._left):
            whose = "the witness saw" if sequence in self._witnessed else "the host holds a signed head of"
            if report.last is None or sequence > report.last:
                text = f"the chain ends at receipt {report.last}, but {whose} receipt {sequence}: it is truncated"
                report.found(Problem.TRUNCATED, text, sequence)
        if not report.receipts:
            report.found(Problem.EMPTY, "no receipt at all is there")
        elif report.signed_to is None:
            report.found(Problem.NOT_SIGNED, "no head with a good signature covers any receipt")
        elif report.tail.receipts > MOST_TAIL:
            text = f"{report.tail.receipts} receipts at the end are under no signed head: no enclave leaves that many"
            report.found(Problem.NOT_SIGNED, text, report.last)
