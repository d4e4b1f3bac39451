"""What exactly a successor takes over, one counter at a time (S13): beside the stories of ``test_s13_duty``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from enclave_signer.budget import FULL
from enclave_signer.decimals import ONE
from enclave_signer.duty.carried import Carried, CarriedAccount, CarriedGrant, CarriedLimit
from enclave_signer.duty.checkpoint import Boot as Writing
from enclave_signer.duty.checkpoint import Writer
from enclave_signer.duty.officer import Handed
from enclave_signer.duty.succession import Debt, Ended, ended, go_on
from enclave_signer.errors import NotApproved, WrongPhase
from enclave_signer.exposure import FULL as FULL_BOOK
from enclave_signer.ledger import AccountLedger, Ledger
from enclave_signer.ports import Marks
from enclave_signer.windows import Window
from tests.enclave.duty_rig import MINUTE, Boot, boot, duty_policy, said
from tests.enclave.enclave_rig import (
    ACCOUNT,
    BTC,
    ETH,
    SECOND,
    START,
    account,
    exposure,
    instrument,
    limit,
    order,
    plain,
)
from tests.enclave.quorum_rig import CREDENTIAL, NOW, approvals, quorum

if TYPE_CHECKING:
    from collections.abc import Callable

    from enclave_signer.model import PositionSide
    from enclave_signer.policy.model import Policy

ALLOWED: Final = "grant:g"
HOUR_MS: Final = 3_600_000
HOUR: Final = HOUR_MS * 1_000_000
US: Final = 1_000
START_US: Final = START // US
OVER: Final = Ended(Debt.NOTHING, START)
LOST: Final = Ended(Debt.GRANT, START + MINUTE)
NOBODY_KNOWS: Final = Ended(Debt.UNKNOWN, START + MINUTE)
# A limit's sums are of 10**-54.
NOTIONAL: Final = 10**54


def hour(**changes: Any) -> dict[str, Any]:
    return limit("hour", window_ms=HOUR_MS, max_notional="1000", **changes)


def buy(at: Boot, name: str, **changes: Any) -> str:
    now = at.clock.now
    return at.rule(order(client_order_id=name, created_at=now, valid_until=now + 10 * SECOND, **changes))


def cancel(at: Boot, name: str) -> str:
    now = at.clock.now
    return at.rule(plain("cancel", client_order_id=name, created_at=now, valid_until=now + 10 * SECOND))


def policy_of(*accounts: dict[str, Any]) -> Policy:
    live = boot(duty_policy(*accounts)).service._judge.live
    assert live is not None
    return live.policy


def before(policy: Policy, **changes: Any) -> Carried:
    """A checkpoint of START, of a boot that did nothing yet, under the same policy, within a grant for a minute."""
    of_account = {key: changes.pop(key) for key in list(changes) if key in CarriedAccount._fields}
    of_boot = {key: changes.pop(key) for key in list(changes) if key in Writing._fields}
    known = CarriedAccount(0, unsure=False, unsure_books=False, traded=frozenset(), limits={}, books={})
    told = Writing("test", bytes(32), 1, bytes(32), START, 1, policy.digest, retired=False)
    carried = Carried(
        told._replace(**of_boot),
        CarriedGrant(START + MINUTE, frozenset({ACCOUNT})),
        {ACCOUNT: known._replace(**of_account)},
        unsure=False,
        halts=(),
        marks=Marks({}, {}),
    )
    return carried._replace(**changes)


def spent_of(left: tuple[int | None, int | None] | None, *slots: tuple[int, int, int]) -> CarriedLimit:
    return CarriedLimit(HOUR, frozenset({BTC, ETH}), slots, left)


def counted(policy: Policy, now: int) -> Ledger:
    """A boot's ledger with this policy live."""
    ledger = Ledger(1000)
    for name, each in policy.accounts.items():
        ledger.account(name).limits(each.limits, now)
    return ledger


def gone_on(policy: Policy, carried: Carried, end: Ended = OVER, now: int = START + MINUTE) -> AccountLedger:
    ledger = counted(policy, now)
    go_on(ledger, policy, carried, end, now)
    return ledger.account(ACCOUNT)


# --- nonces


@pytest.mark.parametrize("after_ns", [0, 1, 999, US, 30 * SECOND + 1])
@pytest.mark.parametrize("time", [START, START + 1, START + 999])
def test_s13_a_successors_first_nonce_is_above_whatever_the_predecessors_clock_can_have_shown(
    time: int, after_ns: int
) -> None:
    now = time + after_ns
    own = gone_on(policy_of(), before(policy_of(), time=time), now=now)
    # The predecessor had signed nothing, and signs as late as this very moment.
    last = AccountLedger(own.orders.table).nonce(now // US)
    assert own.nonce(now // US) > last
    # And not far above: a venue may bound how far a nonce is ahead.
    assert own.last_nonce <= now // US + 2


@pytest.mark.parametrize("ahead", [1, 50, 10**9])
def test_s13_nonces_ahead_of_the_clock_go_on_ahead_of_it_by_one_a_microsecond_that_passed(ahead: int) -> None:
    """A predecessor whose mark is ahead of its clock counts up by one a signature, at most one a microsecond."""
    mark = START_US + ahead
    own = gone_on(policy_of(), before(policy_of(), nonce=mark), now=START + 30 * SECOND)
    assert own.last_nonce == mark + 30_000_000


def test_s13_a_checkpoint_from_ahead_of_the_successors_clock_takes_its_nonces_along() -> None:
    policy = policy_of()
    assert gone_on(policy, before(policy, time=START + MINUTE), now=START).last_nonce == (START + MINUTE) // US
    mark = (START + MINUTE) // US + 7
    assert gone_on(policy, before(policy, time=START + MINUTE, nonce=mark), now=START).last_nonce == mark


def test_s13_a_nonce_that_this_boot_has_used_is_never_used_again_by_going_on() -> None:
    policy, now = policy_of(), START + MINUTE
    ledger = counted(policy, now)
    ledger.account(ACCOUNT).last_nonce = mark = now // US + 10**6
    go_on(ledger, policy, before(policy), OVER, now)
    assert ledger.account(ACCOUNT).last_nonce == mark


def test_s13_no_nonce_repeats_at_the_venue_where_the_clocks_stand_nearly_still() -> None:
    """Fifty orders and five cancels in ten microseconds: the nonces run ahead of the clock, over three boots."""
    now = START
    first = boot()
    first.grant()
    for number in range(50):
        assert buy(first, f"o-{number}") == ALLOWED
    stored, at = first.retire().checkpoint, first
    for successor in range(2):
        for number in range(5):
            cancel(at, f"o-{number}")
        now += 10 * US
        at = boot(venue=first.venue, now=now)
        at.go_on(stored, START)
        assert buy(at, f"s-{successor}") == ALLOWED
        stored = at.retire().checkpoint
    nonces = [stamp.nonce for site in first.venue.sites for stamp in site.stamps]
    assert len(nonces) == len(set(nonces)) >= 50 + 2
    assert nonces == sorted(nonces)


# --- limits


def test_s13_what_lies_in_a_slot_counts_as_spent_at_its_end_even_if_it_begins_where_no_slot_of_ours_does() -> None:
    """A predecessor's slots may begin elsewhere: those of another image need not be cut as ours are."""
    policy = policy_of(account(limits=[hour()]))
    slot_ns = Window(HOUR).slot_ns
    begin = START - START % slot_ns + slot_ns // 2
    carried = before(policy, traded=frozenset({BTC}), limits={"hour": spent_of(None, (begin, 700 * NOTIONAL, 1))})
    own = gone_on(policy, carried)
    window = own.windows["hour"][0]
    assert list(window.slots()) == [(begin // slot_ns + 1, 700 * NOTIONAL, 1)]
    window.advance(begin + slot_ns - 1 + HOUR)
    assert window.spent == 700 * NOTIONAL


def test_s13_a_slot_of_the_predecessor_is_the_same_slot_of_its_successor() -> None:
    policy = policy_of(account(limits=[hour()]))
    newest = START // Window(HOUR).slot_ns
    slots = [(number * Window(HOUR).slot_ns, 5 * NOTIONAL, 1) for number in (newest - 200, newest - 1, newest)]
    window = gone_on(policy, before(policy, limits={"hour": spent_of(None, *slots)})).windows["hour"][0]
    assert [slot for slot, _, _ in window.slots()] == [newest - 200, newest - 1, newest]


def test_s13_what_a_clock_ahead_of_ours_spent_counts_as_spent_now_and_is_not_lost() -> None:
    policy = policy_of(account(limits=[hour()]))
    slot = spent_of(None, (START + 2 * HOUR, 700 * NOTIONAL, 3))
    window = gone_on(policy, before(policy, traded=frozenset({BTC}), limits={"hour": slot})).windows["hour"][0]
    assert list(window.slots()) == [(window.newest, 700 * NOTIONAL, 3)]
    assert window.newest == (START + MINUTE) // window.slot_ns


def test_s13_a_symbol_that_the_predecessor_traded_counts_as_traded_when_a_later_policy_limits_it() -> None:
    first = boot(duty_policy(account()))
    first.grant()
    assert buy(first, "o-1", quantity="7") == ALLOWED
    second = boot(duty_policy(account()), now=START + SECOND)
    second.go_on(first.retire().checkpoint, START)
    second.load(duty_policy(account(limits=[limit(), hour()]), version=2))
    second.grant()
    assert buy(second, "o-2", quantity="4") == "limit:hour"
    assert buy(second, "o-3", quantity="3") == ALLOWED


def test_s13_a_symbol_that_this_boot_had_traded_counts_as_traded_still() -> None:
    policy = policy_of()
    ledger = counted(policy, START)
    ledger.account(ACCOUNT).traded.add(ETH)
    go_on(ledger, policy, before(policy, traded=frozenset({BTC})), OVER, START)
    assert ledger.account(ACCOUNT).traded == {BTC, ETH}


@pytest.mark.parametrize(
    ("end", "before_was", "expected"),
    [
        (OVER, False, False),
        # What the predecessor did not know, nobody knows now.
        (OVER, True, True),
        # Of what was signed after the checkpoint, nobody knows the symbols.
        (LOST, False, True),
        (NOBODY_KNOWS, False, True),
    ],
)
def test_s13_an_account_is_unsure_if_its_predecessor_was_or_may_have_signed_after_the_checkpoint(
    end: Ended,
    before_was: bool,  # noqa: FBT001 - columns of the table
    expected: bool,  # noqa: FBT001
) -> None:
    """Unsure: a limit of other symbols than the predecessor's starts full, now and when a later policy brings it."""
    policy = policy_of(account(limits=[hour(symbols=[BTC]), limit("rest", symbols=[ETH])]))
    # The predecessor's limit saw another symbol only, and nothing was traded by its checkpoint.
    limits = {"hour": spent_of((10 * NOTIONAL, None))._replace(symbols=frozenset({ETH}))}
    own = gone_on(policy, before(policy, unsure=before_was, limits=limits), end)
    assert own.unsure is expected
    assert (own.windows["hour"][0].spent >= FULL) is expected
    later = policy_of(account(limits=[limit("more", window_ms=3 * HOUR_MS)]))
    assert (own.limits(later.accounts[ACCOUNT].limits, START + MINUTE)["more"].spent >= FULL) is expected


def test_s13_what_this_boot_did_not_know_it_does_not_know_by_going_on_from_one_that_knew() -> None:
    policy = policy_of()
    ledger = counted(policy, START)
    ledger.account(ACCOUNT).unsure = True
    go_on(ledger, policy, before(policy), OVER, START)
    assert ledger.account(ACCOUNT).unsure is True


# --- books


def full(own: AccountLedger, symbol: str) -> bool:
    leg = own.book(symbol).leg()
    return min(leg.open_buys, leg.open_sells) >= FULL_BOOK


def test_s13_books_that_the_predecessor_did_not_know_are_full_those_that_are_and_those_that_come() -> None:
    policy = policy_of()
    books: dict[str, dict[PositionSide | None, tuple[int, int, int]]] = {BTC: {None: (ONE, 0, 0)}}
    own = gone_on(policy, before(policy, unsure_books=True, books=books))
    assert full(own, BTC)
    assert full(own, ETH)
    # The next checkpoint says so too.
    assert own.unsure_books is True
    own = gone_on(policy, before(policy, books=books))
    assert own.unsure_books is False
    assert [own.book(symbol).leg().worst() for symbol in (BTC, ETH)] == [ONE, 0]


def test_s13_an_exposure_stays_full_over_two_boots_where_the_first_of_them_knew_nothing() -> None:
    document = duty_policy(account(exposures=[exposure(), exposure("y", symbol=ETH)], limits=[limit(window_ms=1000)]))
    first = boot(document)
    first.grant(fresh=False)
    second = boot(document, now=START + MINUTE)
    second.go_on(first.retire().checkpoint, START)
    third = boot(document, now=START + 2 * MINUTE)
    third.go_on(second.retire().checkpoint, START)
    assert buy(third, "o-1") == "exposure:x"
    assert buy(third, "o-2", symbol=ETH) == "exposure:y"


def lost_with(left: tuple[int | None, int | None], **changes: Any) -> AccountLedger:
    """Go on from a boot that was lost with this much of its grant; the band's lowest price is 30."""
    policy = policy_of(account(limits=[hour()], instruments=[instrument(BTC, price_min="30"), instrument(ETH)]))
    limits = {"hour": spent_of(left)._replace(symbols=frozenset({BTC}))}
    return gone_on(policy, before(policy, limits=limits, **changes), LOST)


def test_s13_what_a_lost_boot_may_have_opened_is_reserved_on_both_sides_with_room_for_every_rounding() -> None:
    leg = lost_with((1000 * NOTIONAL, None)).book(BTC).leg()
    assert leg.position == 0
    assert leg.open_buys == leg.open_sells
    # A thousand million orders by quote amount, each rounded up to 10**-18, have room; 1000 / 30 is rounded up itself.
    assert leg.open_buys == -(-1000 * ONE // 30) + 10**9


def test_s13_a_lost_boot_with_nothing_left_can_have_opened_nothing() -> None:
    assert lost_with((0, None)).book(BTC).leg().worst() == 0


def test_s13_where_no_limit_bounds_what_a_lost_boot_opened_the_book_is_full() -> None:
    assert full(lost_with((None, 5)), BTC)


def test_s13_a_lost_boots_limits_are_priced_by_the_policy_that_it_had_or_its_books_are_full() -> None:
    """Another policy may have another band of prices: the quantity is not known."""
    assert not full(lost_with((1000 * NOTIONAL, None)), BTC)
    assert full(lost_with((1000 * NOTIONAL, None), policy_digest=bytes(32)), BTC)


# --- what is not in the checkpoint


def test_s13_an_account_that_an_unsure_predecessor_never_had_starts_full_and_the_others_as_they_were() -> None:
    def both(*names: str, version: int = 1) -> dict[str, Any]:
        return duty_policy(*(account(name, limits=[hour()]) for name in names), version=version)

    first = boot(both("a"))
    first.grant(fresh=False, accounts=["a"])
    # Its own limit is free again; what it never knew of other accounts, it does not know now.
    later = START + 2 * HOUR
    second = boot(both("a", "b", version=2), now=later)
    second.go_on(first.retire().checkpoint, START, accounts=["a", "b"])
    assert buy(second, "o-1", account="a") == ALLOWED
    assert buy(second, "o-2", account="b") == "limit:hour"
    # Nor does its own successor.
    third = boot(both("a", "b", "c", version=3), now=later + SECOND)
    third.go_on(second.retire().checkpoint, START, accounts=["a", "b", "c"])
    assert buy(third, "o-3", account="a") == ALLOWED
    assert buy(third, "o-4", account="c") == "limit:hour"


def test_s13_an_account_that_a_predecessor_never_had_starts_empty_if_that_knew_all() -> None:
    first = boot(duty_policy(account("a", limits=[hour()])))
    first.grant(accounts=["a"])
    document = duty_policy(account("a", limits=[hour()]), account("b", limits=[hour()]), version=2)
    second = boot(document, now=START + SECOND)
    second.go_on(first.retire().checkpoint, START, accounts=["a", "b"])
    assert buy(second, "o-1", account="b") == ALLOWED


def test_s13_a_grant_that_ended_with_the_checkpoint_left_nothing_to_spend() -> None:
    """A grant is in force before its end, never at it."""
    policy = policy_of()
    carried = before(policy, grant=None)
    assert ended(carried, START) == Ended(Debt.NOTHING, START)
    assert ended(carried, START + 1) == Ended(Debt.UNKNOWN, START + 1)
    carried = before(policy)
    assert ended(carried, START + MINUTE) == LOST
    assert ended(carried, START) == LOST
    assert ended(carried, START + MINUTE + 1) == Ended(Debt.UNKNOWN, START + MINUTE + 1)
    assert ended(before(policy, retired=True), START + 5 * MINUTE) == OVER


# --- windows


def test_s13_a_slot_that_was_rewritten_before_the_newest_is_in_the_next_checkpoint() -> None:
    ledger, policy = Ledger(1000), policy_of(account(limits=[hour()]))
    own = ledger.account(ACCOUNT)
    window = own.limits(policy.accounts[ACCOUNT].limits, START)["hour"]
    told, writer = before(policy).boot, Writer(ledger)
    window.advance(START)
    window.add(1, 1)
    first = writer.write(told, None, Marks({}, {}))
    window.insert(START - 10 * window.slot_ns, 5, 1)
    own.last_nonce += 1
    again = writer.write(told, None, Marks({}, {}))
    assert again == Writer(ledger).write(told, None, Marks({}, {})) != first


def test_s13_a_checkpoint_from_before_going_on_hides_nothing_of_the_one_after_it() -> None:
    """Not even of an account that the grant does not cover, and whose nonce is no higher by what was carried over."""

    def of_a(at: Boot) -> list[Any]:
        slots: list[Any] = said(at.checkpoint())["accounts"]["a"]["limits"]["hour"]["slots"]
        return slots

    document = duty_policy(account("a", limits=[hour()]), account("b", limits=[hour()]))
    first = boot(document)
    first.grant(accounts=["a", "b"])
    assert buy(first, "o-1", account="a", quantity="7") == ALLOWED
    stored = first.retire().checkpoint
    second = boot(document, now=START + SECOND)
    now = second.clock.now
    assert second.rule(plain("cancel_all", account="a", created_at=now, valid_until=now + SECOND)) == ALLOWED
    assert of_a(second) == []
    second.go_on(stored, START, accounts=["b"])
    assert [(spent, count) for _, spent, count in of_a(second)] == [("700", 1)]


# --- marks of credentials


def test_s4_a_successor_takes_the_predecessors_credential_again_and_no_older_one() -> None:
    def approve(version: int, sequence: int) -> Callable[[], None]:
        given = approvals(0, 1, kind="credential", version=version, sequence=sequence)
        return second.approve_credential(ACCOUNT, version, CREDENTIAL, given, NOW)

    second = quorum()
    second.carry(Marks({}, {ACCOUNT: 4}))
    with pytest.raises(NotApproved, match="version"):
        approve(3, 1)
    approve(4, 1)
    # What this boot has accepted itself is not taken back by what it carries over.
    approve(9, 2)()
    second.carry(Marks({}, {ACCOUNT: 4}))
    with pytest.raises(NotApproved, match="version"):
        approve(9, 3)
    assert second.marks().bundles == {ACCOUNT: 9}
    # Nor does an older mark lower one that was carried over.
    third = quorum()
    third.carry(Marks({}, {ACCOUNT: 4}))
    third.carry(Marks({}, {ACCOUNT: 2}))
    assert third.marks().bundles == {ACCOUNT: 4}


# --- the officer


def test_s13_a_retirement_counts_before_its_end_and_never_at_it() -> None:
    enclave = boot()
    enclave.grant()
    assert enclave.retire(not_before=START - 1, not_after=START).not_judged.field == "not_after"
    assert enclave.retire(not_before=START - 1, not_after=START + 1).HasField("checkpoint")


def test_s13_a_grant_counts_before_its_end_and_never_at_it() -> None:
    assert boot().refused(not_before=START - 1, not_after=START) == "not_after"
    boot().grant(not_before=START, not_after=START + 1)


def test_s13_where_the_policy_names_no_duty_key_no_signature_retires() -> None:
    enclave = boot(duty_policy(duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}))
    assert enclave.retire().not_judged.field == "signature"
    assert buy(enclave, "o-1") == ALLOWED


def test_s13_an_officer_without_a_policy_looks_at_nothing_whoever_signed_it() -> None:
    """The service asks it nothing before there is one: this is the officer's own lock."""
    officer, by_quorum = boot(loaded=False).service._officer, Handed(b"no statement", b"", [b"approved"])
    with pytest.raises(WrongPhase):
        officer.retire(by_quorum, START)
    with pytest.raises(WrongPhase):
        officer.grant(by_quorum, (b"", b""), START)
    with pytest.raises(WrongPhase):
        officer.checkpoint(START)
