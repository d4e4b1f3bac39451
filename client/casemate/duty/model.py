"""What the officer knows, sees and does. Times are nanoseconds UTC, keys and hashes have 32 bytes, PCR0 has 48."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Alarm(StrEnum):
    """Stable names of what an operator has to look at; docs/duty-officer.md says what to do about each."""

    # No answer from the gateway or, behind it, from the enclave.
    GATEWAY_LOST = "GATEWAY_LOST"
    # What answers is not the enclave that the pins name.
    NOT_ATTESTED = "NOT_ATTESTED"
    # A checkpoint or head does not carry the boot's signature, or is none.
    BAD_CHECKPOINT = "BAD_CHECKPOINT"
    # The boot shows an older head than one that was witnessed.
    HEAD_WENT_BACK = "HEAD_WENT_BACK"
    # Two heads of one boot with one number: its key signed two histories. This boot never gets duty again.
    FORKED = "FORKED"
    # The checkpoint is too old (or its clock too far off) to be told from one that the host kept back.
    STALE_CHECKPOINT = "STALE_CHECKPOINT"
    # The enclave does not take a grant.
    GRANT_REFUSED = "GRANT_REFUSED"
    # It held duty before another boot did, and does not know what that one counted: only a new boot can take over.
    SUPERSEDED = "SUPERSEDED"
    # Nothing to continue from, and nobody said --fresh: the enclave counts every limit as spent.
    STARTS_FULL = "STARTS_FULL"
    # A boot has a grant that this state never gave: the state is an old copy, or somebody else grants as well.
    UNKNOWN_GRANT = "UNKNOWN_GRANT"
    # The host shows no signed head, or none as new as the boot's checkpoints: the witness's file lacks them.
    NO_HEAD = "NO_HEAD"
    # No boot holds a grant in force.
    NO_DUTY = "NO_DUTY"


@dataclass(frozen=True, slots=True)
class Halt:
    """A HALT that a grant keeps in force; ``scope`` by its name in the policy."""

    scope: str
    account: str
    venue: str
    symbol: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator wants granted. ``margin`` bounds the difference of any two clocks concerned."""

    deployment: str
    accounts: tuple[str, ...]
    share: tuple[int, int]
    length: int
    margin: int
    policy_version: int
    halts: tuple[Halt, ...] = ()
    stale: int = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A verified checkpoint: its signed bytes, and what of it matters here.

    ``granted``: the grant in force, or 0; ``until``: its end; ``covered``: its accounts. ``used``: the latest number
    that this boot has taken, of a grant that may have ended or of a retirement. ``full_until``: when the last of the
    limits opens that started full, or 0.
    """

    data: bytes
    signature: bytes
    seq: int
    hash: bytes
    time: int
    retired: bool
    granted: int
    until: int = 0
    covered: tuple[str, ...] = ()
    halts: tuple[Halt, ...] = ()
    used: int = 0
    full_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Continues:
    """What a boot's first grant goes on from."""

    boot: bytes
    checkpoint: Checkpoint
    pcr0: bytes
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant as it is written down before it is sent. ``head``: sequence and hash."""

    sequence: int
    head: tuple[int, bytes]
    accounts: tuple[str, ...]
    share: tuple[int, int]
    policy_version: int
    not_before: int
    not_after: int
    halts: tuple[Halt, ...]
    continues: Continues | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """A retirement as it is written down before it is sent."""

    sequence: int
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What is known of one boot.

    ``until``: when the last of all its grants ends. ``taken``: the latest grant that its own signature showed in force,
    or 0. ``begun``: it, or its host, says that it has taken a first grant already. ``before``: whose place it took,
    where it has been granted anything.
    """

    pcr0: bytes
    gateway: str
    witnessed: Checkpoint
    grant: Grant | None = None
    until: int = 0
    taken: int = 0
    begun: bool = False
    forked: bool = False
    retire: Retire | None = None
    before: bytes = b""

    @property
    def retired(self) -> bool:
        """Whether its own signature says that it signs nothing new any more."""
        return self.witnessed.retired


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that has to survive: written before anything is sent that depends on it."""

    deployment: str
    revision: int = 0
    # The last one used, by grants and retirements of all boots together.
    sequence: int = 0
    # Who was granted duty last.
    holder: bytes = b""
    # When the last grant of boots that are not listed any more ended.
    forgotten: int = 0
    # Boots that had duty and are not listed any more: others followed them.
    ended: tuple[bytes, ...] = ()
    boots: dict[bytes, Boot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A gateway, the attested boot behind it, and that boot's checkpoint.

    ``alive``: whether the enclave gave the checkpoint now; else its host had kept it, and that is all there is to see.
    ``refused``: why the enclave did not take the last grants, with the field at fault, as its host tells it.
    ``reply``: why it did not take the very last one.
    """

    gateway: str
    boot: bytes
    pcr0: bytes
    checkpoint: Checkpoint
    alive: bool = True
    refused: str = ""
    field: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A gateway from which nothing believable came."""

    gateway: str
    alarm: Alarm
    reason: str


Observation: TypeAlias = Seen | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this grant, or retirement, to the boot behind a gateway. Sending it twice does no harm."""

    gateway: str
    boot: bytes
    what: Grant | Retire


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm about a gateway (or about the deployment: an empty name), in words."""

    alarm: Alarm
    gateway: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The state to write first, then what to send, and what to say."""

    state: State
    sends: tuple[Send, ...] = ()
    alarms: tuple[Raised, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator said beside the configuration. ``retire``: gateways whose boots are to retire.

    ``look_only``: take up what was seen and send nothing.
    """

    fresh: bool = False
    retire: frozenset[str] = frozenset()
    look_only: bool = False
