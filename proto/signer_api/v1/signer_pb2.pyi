from signer_api.v1 import intent_pb2 as _intent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DocumentPurpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_PURPOSE_UNSPECIFIED: _ClassVar[DocumentPurpose]
    DOCUMENT_PURPOSE_KMS: _ClassVar[DocumentPurpose]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_AWAITING_POLICY: _ClassVar[Phase]
    PHASE_AWAITING_CREDENTIALS: _ClassVar[Phase]
    PHASE_READY: _ClassVar[Phase]
    PHASE_ENDED: _ClassVar[Phase]

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNDECIDED: _ClassVar[Decision]
    DECISION_ALLOW: _ClassVar[Decision]
    DECISION_REFUSE: _ClassVar[Decision]

class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_UNSPECIFIED: _ClassVar[Operation]
    OPERATION_CREATE: _ClassVar[Operation]
    OPERATION_CANCEL: _ClassVar[Operation]
    OPERATION_CANCEL_ALL: _ClassVar[Operation]
    OPERATION_AMEND: _ClassVar[Operation]
    OPERATION_QUERY: _ClassVar[Operation]
    OPERATION_OPEN_ORDERS: _ClassVar[Operation]
    OPERATION_BALANCES: _ClassVar[Operation]
    OPERATION_ORDER_CLOSED: _ClassVar[Operation]
    OPERATION_HALT: _ClassVar[Operation]
    OPERATION_LOGON: _ClassVar[Operation]
DOCUMENT_PURPOSE_UNSPECIFIED: DocumentPurpose
DOCUMENT_PURPOSE_KMS: DocumentPurpose
PHASE_UNSPECIFIED: Phase
PHASE_AWAITING_POLICY: Phase
PHASE_AWAITING_CREDENTIALS: Phase
PHASE_READY: Phase
PHASE_ENDED: Phase
DECISION_UNDECIDED: Decision
DECISION_ALLOW: Decision
DECISION_REFUSE: Decision
OPERATION_UNSPECIFIED: Operation
OPERATION_CREATE: Operation
OPERATION_CANCEL: Operation
OPERATION_CANCEL_ALL: Operation
OPERATION_AMEND: Operation
OPERATION_QUERY: Operation
OPERATION_OPEN_ORDERS: Operation
OPERATION_BALANCES: Operation
OPERATION_ORDER_CLOSED: Operation
OPERATION_HALT: Operation
OPERATION_LOGON: Operation

class EnclaveRequest(_message.Message):
    __slots__ = ("request_id", "sign", "sign_batch", "derived", "load_policy", "provision", "resume", "status", "attest", "open_session", "receipts", "grant", "checkpoint", "retire", "succeed", "halt")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SIGN_FIELD_NUMBER: _ClassVar[int]
    SIGN_BATCH_FIELD_NUMBER: _ClassVar[int]
    DERIVED_FIELD_NUMBER: _ClassVar[int]
    LOAD_POLICY_FIELD_NUMBER: _ClassVar[int]
    PROVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEST_FIELD_NUMBER: _ClassVar[int]
    OPEN_SESSION_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    RETIRE_FIELD_NUMBER: _ClassVar[int]
    SUCCEED_FIELD_NUMBER: _ClassVar[int]
    HALT_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    sign: _intent_pb2.SealedIntent
    sign_batch: SealedBatch
    derived: DerivedRequest
    load_policy: LoadPolicy
    provision: Provision
    resume: Resume
    status: StatusRequest
    attest: Attest
    open_session: OpenSession
    receipts: ReceiptsRequest
    grant: DutyGrant
    checkpoint: CheckpointRequest
    retire: Retire
    succeed: SucceedQuorum
    halt: AdminHalt
    def __init__(self, request_id: _Optional[int] = ..., sign: _Optional[_Union[_intent_pb2.SealedIntent, _Mapping]] = ..., sign_batch: _Optional[_Union[SealedBatch, _Mapping]] = ..., derived: _Optional[_Union[DerivedRequest, _Mapping]] = ..., load_policy: _Optional[_Union[LoadPolicy, _Mapping]] = ..., provision: _Optional[_Union[Provision, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., status: _Optional[_Union[StatusRequest, _Mapping]] = ..., attest: _Optional[_Union[Attest, _Mapping]] = ..., open_session: _Optional[_Union[OpenSession, _Mapping]] = ..., receipts: _Optional[_Union[ReceiptsRequest, _Mapping]] = ..., grant: _Optional[_Union[DutyGrant, _Mapping]] = ..., checkpoint: _Optional[_Union[CheckpointRequest, _Mapping]] = ..., retire: _Optional[_Union[Retire, _Mapping]] = ..., succeed: _Optional[_Union[SucceedQuorum, _Mapping]] = ..., halt: _Optional[_Union[AdminHalt, _Mapping]] = ...) -> None: ...

class SealedBatch(_message.Message):
    __slots__ = ("intents",)
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    intents: _containers.RepeatedCompositeFieldContainer[_intent_pb2.SealedIntent]
    def __init__(self, intents: _Optional[_Iterable[_Union[_intent_pb2.SealedIntent, _Mapping]]] = ...) -> None: ...

class DerivedRequest(_message.Message):
    __slots__ = ("account", "client_order_id", "operation", "closed")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    account: str
    client_order_id: str
    operation: Operation
    closed: bool
    def __init__(self, account: _Optional[str] = ..., client_order_id: _Optional[str] = ..., operation: _Optional[_Union[Operation, str]] = ..., closed: _Optional[bool] = ...) -> None: ...

class LoadPolicy(_message.Message):
    __slots__ = ("policy", "approvals")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    policy: bytes
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, policy: _Optional[bytes] = ..., approvals: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Provision(_message.Message):
    __slots__ = ("account", "credential", "approvals", "bundle", "envelope")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    account: str
    credential: bytes
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    bundle: bytes
    envelope: bytes
    def __init__(self, account: _Optional[str] = ..., credential: _Optional[bytes] = ..., approvals: _Optional[_Iterable[bytes]] = ..., bundle: _Optional[bytes] = ..., envelope: _Optional[bytes] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("scope", "account", "venue", "symbol", "approvals", "last")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    scope: _intent_pb2.HaltScope
    account: str
    venue: str
    symbol: str
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    last: int
    def __init__(self, scope: _Optional[_Union[_intent_pb2.HaltScope, str]] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., approvals: _Optional[_Iterable[bytes]] = ..., last: _Optional[int] = ...) -> None: ...

class AdminHalt(_message.Message):
    __slots__ = ("scope", "account", "venue", "symbol", "approval")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    scope: _intent_pb2.HaltScope
    account: str
    venue: str
    symbol: str
    approval: bytes
    def __init__(self, scope: _Optional[_Union[_intent_pb2.HaltScope, str]] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., approval: _Optional[bytes] = ...) -> None: ...

class SucceedQuorum(_message.Message):
    __slots__ = ("quorum", "approvals")
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    quorum: bytes
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, quorum: _Optional[bytes] = ..., approvals: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Attest(_message.Message):
    __slots__ = ("nonce", "purpose")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    purpose: DocumentPurpose
    def __init__(self, nonce: _Optional[bytes] = ..., purpose: _Optional[_Union[DocumentPurpose, str]] = ...) -> None: ...

class Attested(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    def __init__(self, document: _Optional[bytes] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ("handle", "message")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    handle: bytes
    message: bytes
    def __init__(self, handle: _Optional[bytes] = ..., message: _Optional[bytes] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("handle", "message")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    handle: bytes
    message: bytes
    def __init__(self, handle: _Optional[bytes] = ..., message: _Optional[bytes] = ...) -> None: ...

class EnclaveStatus(_message.Message):
    __slots__ = ("phase", "policy_version", "policy_digest", "halts", "accounts", "unauthenticated", "judged", "refused", "clock", "gc", "boot_key", "head", "duty", "clock_drift", "quorum", "quorum_generation", "provisioned", "ended")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HALTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    UNAUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    GC_FIELD_NUMBER: _ClassVar[int]
    BOOT_KEY_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DUTY_FIELD_NUMBER: _ClassVar[int]
    CLOCK_DRIFT_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    QUORUM_GENERATION_FIELD_NUMBER: _ClassVar[int]
    PROVISIONED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    policy_version: int
    policy_digest: bytes
    halts: _containers.RepeatedCompositeFieldContainer[Halt]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    unauthenticated: bool
    judged: int
    refused: int
    clock: int
    gc: GcPauses
    boot_key: bytes
    head: SignedHead
    duty: DutyStatus
    clock_drift: int
    quorum: bytes
    quorum_generation: int
    provisioned: _containers.RepeatedScalarFieldContainer[str]
    ended: str
    def __init__(self, phase: _Optional[_Union[Phase, str]] = ..., policy_version: _Optional[int] = ..., policy_digest: _Optional[bytes] = ..., halts: _Optional[_Iterable[_Union[Halt, _Mapping]]] = ..., accounts: _Optional[_Iterable[str]] = ..., unauthenticated: _Optional[bool] = ..., judged: _Optional[int] = ..., refused: _Optional[int] = ..., clock: _Optional[int] = ..., gc: _Optional[_Union[GcPauses, _Mapping]] = ..., boot_key: _Optional[bytes] = ..., head: _Optional[_Union[SignedHead, _Mapping]] = ..., duty: _Optional[_Union[DutyStatus, _Mapping]] = ..., clock_drift: _Optional[int] = ..., quorum: _Optional[bytes] = ..., quorum_generation: _Optional[int] = ..., provisioned: _Optional[_Iterable[str]] = ..., ended: _Optional[str] = ...) -> None: ...

class DutyStatus(_message.Message):
    __slots__ = ("required", "sequence", "not_after", "accounts", "retired")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    required: bool
    sequence: int
    not_after: int
    accounts: _containers.RepeatedScalarFieldContainer[str]
    retired: bool
    def __init__(self, required: _Optional[bool] = ..., sequence: _Optional[int] = ..., not_after: _Optional[int] = ..., accounts: _Optional[_Iterable[str]] = ..., retired: _Optional[bool] = ...) -> None: ...

class GcPauses(_message.Message):
    __slots__ = ("collections", "total", "longest")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    LONGEST_FIELD_NUMBER: _ClassVar[int]
    collections: int
    total: int
    longest: int
    def __init__(self, collections: _Optional[int] = ..., total: _Optional[int] = ..., longest: _Optional[int] = ...) -> None: ...

class Halt(_message.Message):
    __slots__ = ("scope", "account", "venue", "symbol", "by", "since", "number")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    scope: _intent_pb2.HaltScope
    account: str
    venue: str
    symbol: str
    by: str
    since: int
    number: int
    def __init__(self, scope: _Optional[_Union[_intent_pb2.HaltScope, str]] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., by: _Optional[str] = ..., since: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class EnclaveReply(_message.Message):
    __slots__ = ("request_id", "judged", "judged_batch", "loaded", "status", "not_judged", "attested", "session_opened", "receipts", "granted", "checkpoint", "head")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_BATCH_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOT_JUDGED_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPENED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    judged: Judged
    judged_batch: JudgedBatch
    loaded: Loaded
    status: EnclaveStatus
    not_judged: NotJudged
    attested: Attested
    session_opened: SessionOpened
    receipts: Receipts
    granted: Granted
    checkpoint: Checkpoint
    head: SignedHead
    def __init__(self, request_id: _Optional[int] = ..., judged: _Optional[_Union[Judged, _Mapping]] = ..., judged_batch: _Optional[_Union[JudgedBatch, _Mapping]] = ..., loaded: _Optional[_Union[Loaded, _Mapping]] = ..., status: _Optional[_Union[EnclaveStatus, _Mapping]] = ..., not_judged: _Optional[_Union[NotJudged, _Mapping]] = ..., attested: _Optional[_Union[Attested, _Mapping]] = ..., session_opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., receipts: _Optional[_Union[Receipts, _Mapping]] = ..., granted: _Optional[_Union[Granted, _Mapping]] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ..., head: _Optional[_Union[SignedHead, _Mapping]] = ...) -> None: ...

class ReceiptsRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Receipts(_message.Message):
    __slots__ = ("receipts", "head")
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    head: SignedHead
    def __init__(self, receipts: _Optional[_Iterable[bytes]] = ..., head: _Optional[_Union[SignedHead, _Mapping]] = ...) -> None: ...

class SignedHead(_message.Message):
    __slots__ = ("head", "signature")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    head: bytes
    signature: bytes
    def __init__(self, head: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class DutyGrant(_message.Message):
    __slots__ = ("grant", "signature", "approvals", "continues")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    CONTINUES_FIELD_NUMBER: _ClassVar[int]
    grant: bytes
    signature: bytes
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    continues: Checkpoint
    def __init__(self, grant: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., approvals: _Optional[_Iterable[bytes]] = ..., continues: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class Granted(_message.Message):
    __slots__ = ("duty",)
    DUTY_FIELD_NUMBER: _ClassVar[int]
    duty: DutyStatus
    def __init__(self, duty: _Optional[_Union[DutyStatus, _Mapping]] = ...) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("checkpoint", "signature", "stored")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    checkpoint: bytes
    signature: bytes
    stored: bool
    def __init__(self, checkpoint: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., stored: _Optional[bool] = ...) -> None: ...

class Retire(_message.Message):
    __slots__ = ("statement", "signature", "approvals")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    statement: bytes
    signature: bytes
    approvals: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, statement: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., approvals: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Loaded(_message.Message):
    __slots__ = ("policy_version", "policy_digest", "phase")
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    policy_version: int
    policy_digest: bytes
    phase: Phase
    def __init__(self, policy_version: _Optional[int] = ..., policy_digest: _Optional[bytes] = ..., phase: _Optional[_Union[Phase, str]] = ...) -> None: ...

class Number(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("decision", "rule", "reason", "numbers", "policy_version")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    rule: str
    reason: str
    numbers: _containers.RepeatedCompositeFieldContainer[Number]
    policy_version: int
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., rule: _Optional[str] = ..., reason: _Optional[str] = ..., numbers: _Optional[_Iterable[_Union[Number, _Mapping]]] = ..., policy_version: _Optional[int] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class SignedRequest(_message.Message):
    __slots__ = ("method", "url", "headers", "body", "account", "venue", "symbol", "client_order_id", "operation", "valid_until", "venue_symbol")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    VENUE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
    method: str
    url: str
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    body: bytes
    account: str
    venue: str
    symbol: str
    client_order_id: str
    operation: Operation
    valid_until: int
    venue_symbol: str
    def __init__(self, method: _Optional[str] = ..., url: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., body: _Optional[bytes] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., operation: _Optional[_Union[Operation, str]] = ..., valid_until: _Optional[int] = ..., venue_symbol: _Optional[str] = ...) -> None: ...

class Judged(_message.Message):
    __slots__ = ("verdict", "request", "repeated", "proof", "receipt")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    request: SignedRequest
    repeated: bool
    proof: VerdictProof
    receipt: bytes
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ..., request: _Optional[_Union[SignedRequest, _Mapping]] = ..., repeated: _Optional[bool] = ..., proof: _Optional[_Union[VerdictProof, _Mapping]] = ..., receipt: _Optional[bytes] = ...) -> None: ...

class VerdictProof(_message.Message):
    __slots__ = ("counter", "verdict", "request_digest", "repeated", "reply_mac", "receipt_digest")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    REPLY_MAC_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    counter: int
    verdict: bytes
    request_digest: bytes
    repeated: bool
    reply_mac: bytes
    receipt_digest: bytes
    def __init__(self, counter: _Optional[int] = ..., verdict: _Optional[bytes] = ..., request_digest: _Optional[bytes] = ..., repeated: _Optional[bool] = ..., reply_mac: _Optional[bytes] = ..., receipt_digest: _Optional[bytes] = ...) -> None: ...

class JudgedBatch(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[JudgedOrNot]
    def __init__(self, answers: _Optional[_Iterable[_Union[JudgedOrNot, _Mapping]]] = ...) -> None: ...

class JudgedOrNot(_message.Message):
    __slots__ = ("judged", "not_judged")
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    NOT_JUDGED_FIELD_NUMBER: _ClassVar[int]
    judged: Judged
    not_judged: NotJudged
    def __init__(self, judged: _Optional[_Union[Judged, _Mapping]] = ..., not_judged: _Optional[_Union[NotJudged, _Mapping]] = ...) -> None: ...

class NotJudged(_message.Message):
    __slots__ = ("reason", "field", "message", "retry_can_help")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_CAN_HELP_FIELD_NUMBER: _ClassVar[int]
    reason: str
    field: str
    message: str
    retry_can_help: bool
    def __init__(self, reason: _Optional[str] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., retry_can_help: _Optional[bool] = ...) -> None: ...
