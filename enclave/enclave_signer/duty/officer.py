"""Who may make new orders in this boot, and until when (S13). Pure; time, keys and the receipt chain are passed in.

A grant counts only if everything about it is right: signed by the duty key of the live policy or approved by the
quorum, for this deployment and this boot, with a sequence above the latest, within its time and the policy's longest,
for known accounts, not before the policy version that it asks for, and with a head that is in this boot's own receipt
chain. It replaces the grant before it. Nothing changes unless all of it is right.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from enclave_signer.duty import forms
from enclave_signer.duty.carried import read_checkpoint
from enclave_signer.duty.checkpoint import DUTY, Boot, Writer
from enclave_signer.duty.forms import no
from enclave_signer.duty.succession import ended, go_on, know_nothing
from enclave_signer.errors import TooLarge, WrongPhase
from enclave_signer.halts import Standing
from enclave_signer.policy import duty
from enclave_signer.policy.model import DutyMode
from enclave_signer.policy.prepared import FOREVER, NS_IN_MS, most_spent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enclave_signer.duty.carried import Carried
    from enclave_signer.duty.forms import Continues, Grant, NamedHalt, Retirement
    from enclave_signer.ledger import Ledger
    from enclave_signer.policy.judge import Judge
    from enclave_signer.policy.model import Account, Policy
    from enclave_signer.policy.prepared import Prepared
    from enclave_signer.ports import Authority
    from enclave_signer.receipts import Chain

_NO_POLICY: Final = "no policy is live"


class BootId(NamedTuple):
    """What this boot is: its public key, what signs with it, and what it measures (None if nothing measures)."""

    key: bytes
    sign: Callable[[bytes], bytes]
    measured: Callable[[], bytes | None]


class DutyState(NamedTuple):
    """What the status says."""

    required: bool
    sequence: int
    not_after: int
    accounts: tuple[str, ...]
    retired: bool


class Handed(NamedTuple):
    """A statement as it came: by the duty key if there is a signature, else by the quorum."""

    data: bytes
    signature: bytes
    approvals: Sequence[bytes]


class Officer:
    """The duty of one boot."""

    __slots__ = (
        "_authority",
        "_boot",
        "_chain",
        "_covered",
        "_ends",
        "_grant",
        "_judge",
        "_ledger",
        "_resumed_at",
        "_retired",
        "_sequence",
        "_started",
        "_writer",
    )

    def __init__(self, boot: BootId, ledger: Ledger, judge: Judge, authority: Authority, chain: Chain) -> None:
        """Start without a grant."""
        self._boot = boot
        self._ledger = ledger
        self._judge = judge
        self._authority = authority
        self._chain = chain
        self._writer = Writer(ledger)
        self._grant: Grant | None = None
        # Accounts that the grant still covers: a reload may end it for some.
        self._covered: frozenset[str] = frozenset()
        self._sequence = 0
        # The end of the latest grant.
        self._ends = 0
        self._started = False
        self._retired = False
        self._resumed_at = 0

    def policy_changed(self, before: Policy | None) -> None:
        """Hold what was granted under the policy before to the live one.

        Another duty key or mode ends the grant. So does, for an account, any change of what a grant's share is a share
        of: then what the grant has left is known to the last checkpoint, whatever policy came after it.
        """
        live = self._live().policy
        if before is None or (live.duty.mode, live.duty.key) != (before.duty.mode, before.duty.key):
            self._covered = frozenset()
        else:
            self._covered = frozenset(
                name for name in self._covered if _measure(live.accounts.get(name)) == _measure(before.accounts[name])
            )
        self._apply()

    def resumed(self) -> None:
        """Remember that a HALT was lifted: a grant that does not know of it must not bring the HALT back."""
        self._resumed_at = self._chain.sequence

    def grant(self, handed: Handed, checkpoint: tuple[bytes, bytes], now: int) -> None:
        """Take a grant, or raise NotApproved. ``checkpoint`` is (bytes, signature), empty if there is none."""
        prepared = self._live()
        if prepared.policy.duty.mode is not DutyMode.DAEMON:
            no("grant", "the policy asks for no grants (duty on_parent)")
        if self._retired:
            no("grant", "this boot is retired")
        use_up = self._approved(handed, forms.GRANT_TAG, now)
        grant = forms.read_grant(handed.data)
        self._check(grant, now)
        if grant.not_after - grant.not_before > prepared.policy.duty.longest_ms * NS_IN_MS:
            no("not_after", f"expected at most {prepared.policy.duty.longest_ms} ms after not_before, the policy's")
        self._check_grant(grant, prepared.policy)
        carried = self._carried(grant, checkpoint, now)
        self._chain.record("grant", digest=grant.digest, sequence=grant.sequence, accounts=list(grant.accounts))
        self._begin(grant, carried, now)
        self._start(grant, now)
        use_up()

    def retire(self, handed: Handed, now: int) -> None:
        """Sign nothing new any more, or raise NotApproved."""
        self._live()
        use_up = self._approved(handed, forms.RETIRE_TAG, now)
        retirement = forms.read_retirement(handed.data)
        self._check(retirement, now)
        self._chain.record("retired", digest=retirement.digest, sequence=retirement.sequence)
        self._sequence = retirement.sequence
        self._retired = True
        self._grant, self._covered = None, frozenset()
        self._apply()
        use_up()

    def checkpoint(self, now: int) -> tuple[bytes, bytes]:
        """Return what this boot has counted, and its signature."""
        policy = self._live().policy
        boot = Boot(
            policy.deployment,
            self._boot.key,
            self._chain.sequence,
            self._chain.hash,
            now,
            policy.version,
            policy.digest,
            self._retired,
        )
        grant = self._in_force(now) if policy.duty.mode is DutyMode.DAEMON else self._without_end(policy)
        marks = self._authority.marks()
        # Beside the quorum's: an officer without its state learns which numbers are used up.
        marks = marks._replace(sequences={**marks.sequences, DUTY: self._sequence})
        data = self._writer.write(boot, grant, marks)
        return data, self._boot.sign(forms.CHECKPOINT_TAG + data)

    def state(self, now: int) -> DutyState:
        """Return what the status says."""
        live = self._judge.live
        required = live is not None and live.policy.duty.mode is DutyMode.DAEMON
        grant = self._in_force(now)
        if grant is None:
            return DutyState(required, 0, 0, (), self._retired)
        return DutyState(required, grant.sequence, grant.not_after, grant.accounts, self._retired)

    def _without_end(self, policy: Policy) -> Grant | None:
        """Return what a boot that needs no grants amounts to: one without end, unless it is retired.

        A successor waits for the end of what a checkpoint shows, so it goes on from such a boot once that is retired.
        """
        if self._retired:
            return None
        return forms.without_end(policy.deployment, self._boot.key, tuple(sorted(policy.accounts)))

    def _in_force(self, now: int) -> Grant | None:
        grant = self._grant
        if grant is None or now >= grant.not_after or not self._covered:
            return None
        return grant._replace(accounts=tuple(sorted(self._covered)))

    def _live(self) -> Prepared:
        if self._judge.live is None:
            raise WrongPhase(_NO_POLICY)
        return self._judge.live

    def _approved(self, handed: Handed, tag: bytes, now: int) -> Callable[[], None]:
        """Believe who signed before anything is read; return what uses a statement of the quorum up."""
        if len(handed.data) > forms.MAX_GRANT:
            message = f"statement: at most {forms.MAX_GRANT} bytes"
            raise TooLarge(message, field="statement")
        if not handed.signature:
            return self._authority.approve_duty(handed.data, handed.approvals, now)
        key = self._live().policy.duty.key
        if not key:
            no("signature", "the policy names no duty key: the quorum approves")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(handed.signature, tag + handed.data)
        except InvalidSignature:
            no("signature", "not by the duty key that the policy names")
        return _nothing

    def _check(self, said: Grant | Retirement, now: int) -> None:
        deployment = self._live().policy.deployment
        if said.deployment != deployment:
            no("deployment", f"expected {deployment}")
        if said.boot != self._boot.key:
            no("boot", "another boot's")
        if said.sequence <= self._sequence:
            no("sequence", f"expected more than {self._sequence}, the latest of this boot")
        if now < said.not_before:
            no("not_before", "not valid yet by the enclave's clock")
        if now >= said.not_after:
            no("not_after", "not valid any more by the enclave's clock")

    def _check_grant(self, grant: Grant, policy: Policy) -> None:
        unknown = [name for name in grant.accounts if name not in policy.accounts]
        if unknown:
            no("accounts", f"the policy knows no account {unknown[0]}")
        if grant.policy_version > policy.version:
            no("policy_version", f"the live policy is version {policy.version}")
        if not self._chain.holds(*grant.head):
            no("head", "not in the receipt chain of this boot, or no longer remembered")
        if grant.not_after <= self._ends:
            # A successor tells by the end whether another grant came after the one that a checkpoint shows.
            no("not_after", "expected an end after that of every grant before it")
        if self._started and (grant.fresh or grant.continues is not None):
            no("fresh" if grant.fresh else "continues", "only the first grant of a boot says how it begins")
        if grant.head[0] < self._resumed_at and any(not self._stands(halt) for halt in grant.halts):
            no("halts", "a HALT that was lifted after the head: make another grant")

    def _carried(self, grant: Grant, checkpoint: tuple[bytes, bytes], now: int) -> Carried | None:
        """Return the predecessor's counters, if the grant names them and they are what it says."""
        continues, (data, signature) = grant.continues, checkpoint
        if continues is None:
            if data:
                no("continues", "the grant names no checkpoint")
            return None
        if hashlib.sha256(data).digest() != continues.checkpoint:
            no("continues.checkpoint", "not the checkpoint that the grant names")
        self._check_measurement(continues)
        carried = read_checkpoint(data)
        try:
            key = Ed25519PublicKey.from_public_bytes(carried.boot.boot)
            key.verify(signature, forms.CHECKPOINT_TAG + data)
        except InvalidSignature:
            no("continues.signature", "not by the boot that the checkpoint names")
        self._check_carried(carried)
        if not carried.boot.retired and ended(carried, continues.until).at > now:
            no("continues.until", "the predecessor's grant has not ended yet by the enclave's clock")
        return carried

    def _check_measurement(self, continues: Continues) -> None:
        own = self._boot.measured()
        if own is None:
            no("continues", "this enclave has no security module: it cannot know what measures as it does")
        if continues.pcr0 != own and continues.pcr0 not in self._live().policy.duty.predecessors:
            no("continues.pcr0", "neither this image's nor among the policy's predecessors")

    def _check_carried(self, carried: Carried) -> None:
        policy, boot = self._live().policy, carried.boot
        if boot.deployment != policy.deployment:
            no("continues.deployment", f"expected {policy.deployment}")
        if boot.boot == self._boot.key:
            no("continues.boot", "this boot's own")
        if boot.policy_version > policy.version:
            no("continues.policy_version", f"version {boot.policy_version}, and the live policy is {policy.version}")
        own = self._authority.marks().bundles
        for account, version in carried.marks.bundles.items():
            if own.get(account, version) < version:
                no("continues.bundles", f"{account} has a credential older than version {version}")

    def _begin(self, grant: Grant, carried: Carried | None, now: int) -> None:
        policy = self._live().policy
        if carried is not None and grant.continues is not None:
            go_on(self._ledger, policy, carried, ended(carried, grant.continues.until), now)
            self._authority.carry(carried.marks)
            # What was encoded before does not show it.
            self._writer = Writer(self._ledger)
        elif not self._started and not grant.fresh:
            know_nothing(self._ledger, policy, now, now)
        self._started = True

    def _start(self, grant: Grant, now: int) -> None:
        live = self._live()
        every = frozenset(live.policy.accounts)
        for halt in grant.halts:
            if not self._stands(halt):
                self._ledger.halts.add(Standing(*halt, now, every))
        self._sequence, self._ends = grant.sequence, grant.not_after
        self._grant, self._covered = grant, frozenset(grant.accounts)
        for name in grant.accounts:
            ledger = self._ledger.account(name)
            for limit in live.policy.accounts[name].limits:
                ledger.budget(limit.name).grant(most_spent(limit), limit.max_orders, grant.share)
        self._apply()
        self._judge.apply_halts()

    def _stands(self, halt: NamedHalt) -> bool:
        return any((each.scope, each.account, each.venue, each.symbol, each.by) == halt for each in self._ledger.halts)

    def _apply(self) -> None:
        """Note at every desk until when it may make new orders."""
        live = self._live()
        needed = live.policy.duty.mode is DutyMode.DAEMON
        for name, desk in live.desks.items():
            if self._retired:
                desk.duty_until = duty.RETIRED
            elif not needed:
                desk.duty_until = FOREVER
                for limit in desk.account.limits:
                    desk.ledger.budget(limit.name).lift()
            else:
                covers = self._grant is not None and name in self._covered
                desk.duty_until = self._grant.not_after if covers and self._grant is not None else duty.NONE


def _measure(account: Account | None) -> object:
    """Return what a grant's share of an account is measured by."""
    if account is None:
        return None
    return (account.venue.name, account.count_uses, account.limits, account.listings)


def _nothing() -> None:
    """Use nothing up."""
