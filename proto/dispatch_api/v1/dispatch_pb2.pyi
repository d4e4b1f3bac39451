from signer_api.v1 import intent_pb2 as _intent_pb2
from signer_api.v1 import signer_pb2 as _signer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WaitFor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_FOR_UNSPECIFIED: _ClassVar[WaitFor]
    WAIT_FOR_SIGNED: _ClassVar[WaitFor]
    WAIT_FOR_SENT: _ClassVar[WaitFor]
    WAIT_FOR_ACKNOWLEDGED: _ClassVar[WaitFor]

class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_UNSPECIFIED: _ClassVar[Source]
    SOURCE_ENCLAVE: _ClassVar[Source]
    SOURCE_HOST: _ClassVar[Source]

class OrderState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATE_UNSPECIFIED: _ClassVar[OrderState]
    ORDER_STATE_PENDING: _ClassVar[OrderState]
    ORDER_STATE_REFUSED: _ClassVar[OrderState]
    ORDER_STATE_SIGNED: _ClassVar[OrderState]
    ORDER_STATE_SENDING: _ClassVar[OrderState]
    ORDER_STATE_OPEN: _ClassVar[OrderState]
    ORDER_STATE_PARTIALLY_FILLED: _ClassVar[OrderState]
    ORDER_STATE_FILLED: _ClassVar[OrderState]
    ORDER_STATE_CANCELED: _ClassVar[OrderState]
    ORDER_STATE_EXPIRED: _ClassVar[OrderState]
    ORDER_STATE_REJECTED: _ClassVar[OrderState]
    ORDER_STATE_UNKNOWN: _ClassVar[OrderState]

class ErrorClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CLASS_UNSPECIFIED: _ClassVar[ErrorClass]
    ERROR_CLASS_RATE_LIMITED: _ClassVar[ErrorClass]
    ERROR_CLASS_INSUFFICIENT_FUNDS: _ClassVar[ErrorClass]
    ERROR_CLASS_BAD_SYMBOL: _ClassVar[ErrorClass]
    ERROR_CLASS_BAD_SIGNATURE: _ClassVar[ErrorClass]
    ERROR_CLASS_CLOCK_OR_NONCE: _ClassVar[ErrorClass]
    ERROR_CLASS_DUPLICATE_CLIENT_ID: _ClassVar[ErrorClass]
    ERROR_CLASS_UNKNOWN_ORDER: _ClassVar[ErrorClass]
    ERROR_CLASS_INVALID_ORDER: _ClassVar[ErrorClass]
    ERROR_CLASS_WOULD_TAKE: _ClassVar[ErrorClass]
    ERROR_CLASS_PERMISSION: _ClassVar[ErrorClass]
    ERROR_CLASS_MAINTENANCE: _ClassVar[ErrorClass]
    ERROR_CLASS_NOT_SENT: _ClassVar[ErrorClass]
    ERROR_CLASS_UNKNOWN: _ClassVar[ErrorClass]

class VenueHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VENUE_HEALTH_UNSPECIFIED: _ClassVar[VenueHealth]
    VENUE_HEALTH_UP: _ClassVar[VenueHealth]
    VENUE_HEALTH_DEGRADED: _ClassVar[VenueHealth]
    VENUE_HEALTH_DOWN: _ClassVar[VenueHealth]
WAIT_FOR_UNSPECIFIED: WaitFor
WAIT_FOR_SIGNED: WaitFor
WAIT_FOR_SENT: WaitFor
WAIT_FOR_ACKNOWLEDGED: WaitFor
SOURCE_UNSPECIFIED: Source
SOURCE_ENCLAVE: Source
SOURCE_HOST: Source
ORDER_STATE_UNSPECIFIED: OrderState
ORDER_STATE_PENDING: OrderState
ORDER_STATE_REFUSED: OrderState
ORDER_STATE_SIGNED: OrderState
ORDER_STATE_SENDING: OrderState
ORDER_STATE_OPEN: OrderState
ORDER_STATE_PARTIALLY_FILLED: OrderState
ORDER_STATE_FILLED: OrderState
ORDER_STATE_CANCELED: OrderState
ORDER_STATE_EXPIRED: OrderState
ORDER_STATE_REJECTED: OrderState
ORDER_STATE_UNKNOWN: OrderState
ERROR_CLASS_UNSPECIFIED: ErrorClass
ERROR_CLASS_RATE_LIMITED: ErrorClass
ERROR_CLASS_INSUFFICIENT_FUNDS: ErrorClass
ERROR_CLASS_BAD_SYMBOL: ErrorClass
ERROR_CLASS_BAD_SIGNATURE: ErrorClass
ERROR_CLASS_CLOCK_OR_NONCE: ErrorClass
ERROR_CLASS_DUPLICATE_CLIENT_ID: ErrorClass
ERROR_CLASS_UNKNOWN_ORDER: ErrorClass
ERROR_CLASS_INVALID_ORDER: ErrorClass
ERROR_CLASS_WOULD_TAKE: ErrorClass
ERROR_CLASS_PERMISSION: ErrorClass
ERROR_CLASS_MAINTENANCE: ErrorClass
ERROR_CLASS_NOT_SENT: ErrorClass
ERROR_CLASS_UNKNOWN: ErrorClass
VENUE_HEALTH_UNSPECIFIED: VenueHealth
VENUE_HEALTH_UP: VenueHealth
VENUE_HEALTH_DEGRADED: VenueHealth
VENUE_HEALTH_DOWN: VenueHealth

class Routing(_message.Message):
    __slots__ = ("account", "venue", "symbol", "client_order_id", "operation", "valid_until", "priority")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    client_order_id: str
    operation: _signer_pb2.Operation
    valid_until: int
    priority: _intent_pb2.Priority
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., operation: _Optional[_Union[_signer_pb2.Operation, str]] = ..., valid_until: _Optional[int] = ..., priority: _Optional[_Union[_intent_pb2.Priority, str]] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("sealed", "routing", "wait_for")
    SEALED_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_FIELD_NUMBER: _ClassVar[int]
    sealed: _intent_pb2.SealedIntent
    routing: Routing
    wait_for: WaitFor
    def __init__(self, sealed: _Optional[_Union[_intent_pb2.SealedIntent, _Mapping]] = ..., routing: _Optional[_Union[Routing, _Mapping]] = ..., wait_for: _Optional[_Union[WaitFor, str]] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("verdict", "report", "repeated", "proof", "receipt", "verdict_source")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    verdict: _signer_pb2.Verdict
    report: ExecutionReport
    repeated: bool
    proof: _signer_pb2.VerdictProof
    receipt: bytes
    verdict_source: Source
    def __init__(self, verdict: _Optional[_Union[_signer_pb2.Verdict, _Mapping]] = ..., report: _Optional[_Union[ExecutionReport, _Mapping]] = ..., repeated: _Optional[bool] = ..., proof: _Optional[_Union[_signer_pb2.VerdictProof, _Mapping]] = ..., receipt: _Optional[bytes] = ..., verdict_source: _Optional[_Union[Source, str]] = ...) -> None: ...

class SubmitBatchRequest(_message.Message):
    __slots__ = ("batch_id", "requests")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    batch_id: int
    requests: _containers.RepeatedCompositeFieldContainer[SubmitRequest]
    def __init__(self, batch_id: _Optional[int] = ..., requests: _Optional[_Iterable[_Union[SubmitRequest, _Mapping]]] = ...) -> None: ...

class SubmitBatchReply(_message.Message):
    __slots__ = ("batch_id", "items")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    batch_id: int
    items: _containers.RepeatedCompositeFieldContainer[ItemReply]
    def __init__(self, batch_id: _Optional[int] = ..., items: _Optional[_Iterable[_Union[ItemReply, _Mapping]]] = ...) -> None: ...

class ItemReply(_message.Message):
    __slots__ = ("reply", "not_taken", "outcome_unknown")
    REPLY_FIELD_NUMBER: _ClassVar[int]
    NOT_TAKEN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    reply: SubmitReply
    not_taken: NotTaken
    outcome_unknown: OutcomeUnknown
    def __init__(self, reply: _Optional[_Union[SubmitReply, _Mapping]] = ..., not_taken: _Optional[_Union[NotTaken, _Mapping]] = ..., outcome_unknown: _Optional[_Union[OutcomeUnknown, _Mapping]] = ...) -> None: ...

class OutcomeUnknown(_message.Message):
    __slots__ = ("reason", "message", "account", "client_order_id")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    account: str
    client_order_id: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., account: _Optional[str] = ..., client_order_id: _Optional[str] = ...) -> None: ...

class NotTaken(_message.Message):
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

class StreamReply(_message.Message):
    __slots__ = ("limit", "item", "items")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    limit: StreamLimit
    item: StreamItem
    items: StreamItems
    def __init__(self, limit: _Optional[_Union[StreamLimit, _Mapping]] = ..., item: _Optional[_Union[StreamItem, _Mapping]] = ..., items: _Optional[_Union[StreamItems, _Mapping]] = ...) -> None: ...

class StreamLimit(_message.Message):
    __slots__ = ("max_unanswered",)
    MAX_UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    max_unanswered: int
    def __init__(self, max_unanswered: _Optional[int] = ...) -> None: ...

class StreamItem(_message.Message):
    __slots__ = ("batch_id", "index", "answer")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    batch_id: int
    index: int
    answer: ItemReply
    def __init__(self, batch_id: _Optional[int] = ..., index: _Optional[int] = ..., answer: _Optional[_Union[ItemReply, _Mapping]] = ...) -> None: ...

class StreamItems(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[StreamItem]
    def __init__(self, items: _Optional[_Iterable[_Union[StreamItem, _Mapping]]] = ...) -> None: ...

class ExecutionReport(_message.Message):
    __slots__ = ("sequence", "time", "account", "venue", "symbol", "client_order_id", "venue_order_id", "operation", "state", "filled_quantity", "average_price", "error_class", "venue_code", "venue_message", "verdict", "stages", "source")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRICE_FIELD_NUMBER: _ClassVar[int]
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    VENUE_CODE_FIELD_NUMBER: _ClassVar[int]
    VENUE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: int
    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    operation: _signer_pb2.Operation
    state: OrderState
    filled_quantity: str
    average_price: str
    error_class: ErrorClass
    venue_code: str
    venue_message: str
    verdict: _signer_pb2.Verdict
    stages: Stages
    source: Source
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[int] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., venue_order_id: _Optional[str] = ..., operation: _Optional[_Union[_signer_pb2.Operation, str]] = ..., state: _Optional[_Union[OrderState, str]] = ..., filled_quantity: _Optional[str] = ..., average_price: _Optional[str] = ..., error_class: _Optional[_Union[ErrorClass, str]] = ..., venue_code: _Optional[str] = ..., venue_message: _Optional[str] = ..., verdict: _Optional[_Union[_signer_pb2.Verdict, _Mapping]] = ..., stages: _Optional[_Union[Stages, _Mapping]] = ..., source: _Optional[_Union[Source, str]] = ...) -> None: ...

class Stages(_message.Message):
    __slots__ = ("journaled", "signed", "sending", "acknowledged")
    JOURNALED_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    SENDING_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    journaled: int
    signed: int
    sending: int
    acknowledged: int
    def __init__(self, journaled: _Optional[int] = ..., signed: _Optional[int] = ..., sending: _Optional[int] = ..., acknowledged: _Optional[int] = ...) -> None: ...

class VenueOrder(_message.Message):
    __slots__ = ("client_order_id", "venue_order_id", "symbol", "state", "quantity", "filled_quantity", "price", "average_price")
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRICE_FIELD_NUMBER: _ClassVar[int]
    client_order_id: str
    venue_order_id: str
    symbol: str
    state: OrderState
    quantity: str
    filled_quantity: str
    price: str
    average_price: str
    def __init__(self, client_order_id: _Optional[str] = ..., venue_order_id: _Optional[str] = ..., symbol: _Optional[str] = ..., state: _Optional[_Union[OrderState, str]] = ..., quantity: _Optional[str] = ..., filled_quantity: _Optional[str] = ..., price: _Optional[str] = ..., average_price: _Optional[str] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("asset", "available", "locked")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    asset: str
    available: str
    locked: str
    def __init__(self, asset: _Optional[str] = ..., available: _Optional[str] = ..., locked: _Optional[str] = ...) -> None: ...

class ReadReply(_message.Message):
    __slots__ = ("verdict", "error_class", "venue_code", "venue_message", "orders", "balances", "proof", "receipt", "verdict_source")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    VENUE_CODE_FIELD_NUMBER: _ClassVar[int]
    VENUE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    verdict: _signer_pb2.Verdict
    error_class: ErrorClass
    venue_code: str
    venue_message: str
    orders: _containers.RepeatedCompositeFieldContainer[VenueOrder]
    balances: _containers.RepeatedCompositeFieldContainer[Balance]
    proof: _signer_pb2.VerdictProof
    receipt: bytes
    verdict_source: Source
    def __init__(self, verdict: _Optional[_Union[_signer_pb2.Verdict, _Mapping]] = ..., error_class: _Optional[_Union[ErrorClass, str]] = ..., venue_code: _Optional[str] = ..., venue_message: _Optional[str] = ..., orders: _Optional[_Iterable[_Union[VenueOrder, _Mapping]]] = ..., balances: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., proof: _Optional[_Union[_signer_pb2.VerdictProof, _Mapping]] = ..., receipt: _Optional[bytes] = ..., verdict_source: _Optional[_Union[Source, str]] = ...) -> None: ...

class LogonReply(_message.Message):
    __slots__ = ("verdict", "proof", "receipt", "verdict_source", "request", "token", "error_class", "venue_code", "venue_message")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    VENUE_CODE_FIELD_NUMBER: _ClassVar[int]
    VENUE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    verdict: _signer_pb2.Verdict
    proof: _signer_pb2.VerdictProof
    receipt: bytes
    verdict_source: Source
    request: bytes
    token: str
    error_class: ErrorClass
    venue_code: str
    venue_message: str
    def __init__(self, verdict: _Optional[_Union[_signer_pb2.Verdict, _Mapping]] = ..., proof: _Optional[_Union[_signer_pb2.VerdictProof, _Mapping]] = ..., receipt: _Optional[bytes] = ..., verdict_source: _Optional[_Union[Source, str]] = ..., request: _Optional[bytes] = ..., token: _Optional[str] = ..., error_class: _Optional[_Union[ErrorClass, str]] = ..., venue_code: _Optional[str] = ..., venue_message: _Optional[str] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("account", "client_order_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    client_order_id: str
    def __init__(self, account: _Optional[str] = ..., client_order_id: _Optional[str] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("account", "states", "limit")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    account: str
    states: _containers.RepeatedScalarFieldContainer[OrderState]
    limit: int
    def __init__(self, account: _Optional[str] = ..., states: _Optional[_Iterable[_Union[OrderState, str]]] = ..., limit: _Optional[int] = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("reports",)
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[ExecutionReport]
    def __init__(self, reports: _Optional[_Iterable[_Union[ExecutionReport, _Mapping]]] = ...) -> None: ...

class WatchExecutionsRequest(_message.Message):
    __slots__ = ("from_sequence", "accounts")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    accounts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, from_sequence: _Optional[int] = ..., accounts: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchVenuesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VenueStatus(_message.Message):
    __slots__ = ("venue", "health", "reason", "since", "connections", "queued")
    VENUE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    venue: str
    health: VenueHealth
    reason: str
    since: int
    connections: int
    queued: int
    def __init__(self, venue: _Optional[str] = ..., health: _Optional[_Union[VenueHealth, str]] = ..., reason: _Optional[str] = ..., since: _Optional[int] = ..., connections: _Optional[int] = ..., queued: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("enclave", "enclave_reachable", "venues", "journal_sequence", "unresolved", "paused", "version", "gc")
    ENCLAVE_FIELD_NUMBER: _ClassVar[int]
    ENCLAVE_REACHABLE_FIELD_NUMBER: _ClassVar[int]
    VENUES_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UNRESOLVED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GC_FIELD_NUMBER: _ClassVar[int]
    enclave: _signer_pb2.EnclaveStatus
    enclave_reachable: bool
    venues: _containers.RepeatedCompositeFieldContainer[VenueStatus]
    journal_sequence: int
    unresolved: int
    paused: bool
    version: str
    gc: _signer_pb2.GcPauses
    def __init__(self, enclave: _Optional[_Union[_signer_pb2.EnclaveStatus, _Mapping]] = ..., enclave_reachable: _Optional[bool] = ..., venues: _Optional[_Iterable[_Union[VenueStatus, _Mapping]]] = ..., journal_sequence: _Optional[int] = ..., unresolved: _Optional[int] = ..., paused: _Optional[bool] = ..., version: _Optional[str] = ..., gc: _Optional[_Union[_signer_pb2.GcPauses, _Mapping]] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("for_ms",)
    FOR_MS_FIELD_NUMBER: _ClassVar[int]
    for_ms: int
    def __init__(self, for_ms: _Optional[int] = ...) -> None: ...

class UnpauseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StoredReceiptsRequest(_message.Message):
    __slots__ = ("boot", "from_sequence", "limit")
    BOOT_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    boot: bytes
    from_sequence: int
    limit: int
    def __init__(self, boot: _Optional[bytes] = ..., from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class StoredReceipts(_message.Message):
    __slots__ = ("boot", "receipts", "head", "document", "boots")
    BOOT_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    BOOTS_FIELD_NUMBER: _ClassVar[int]
    boot: bytes
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    head: _signer_pb2.SignedHead
    document: bytes
    boots: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, boot: _Optional[bytes] = ..., receipts: _Optional[_Iterable[bytes]] = ..., head: _Optional[_Union[_signer_pb2.SignedHead, _Mapping]] = ..., document: _Optional[bytes] = ..., boots: _Optional[_Iterable[bytes]] = ...) -> None: ...
