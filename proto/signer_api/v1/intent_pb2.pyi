from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class OrderType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_TYPE_UNSPECIFIED: _ClassVar[OrderType]
    ORDER_TYPE_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_MARKET: _ClassVar[OrderType]
    ORDER_TYPE_STOP_LIMIT: _ClassVar[OrderType]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTD: _ClassVar[TimeInForce]

class TriggerBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIGGER_BY_UNSPECIFIED: _ClassVar[TriggerBy]
    TRIGGER_BY_LAST: _ClassVar[TriggerBy]
    TRIGGER_BY_MARK: _ClassVar[TriggerBy]
    TRIGGER_BY_INDEX: _ClassVar[TriggerBy]

class PositionSide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_SIDE_UNSPECIFIED: _ClassVar[PositionSide]
    POSITION_SIDE_LONG: _ClassVar[PositionSide]
    POSITION_SIDE_SHORT: _ClassVar[PositionSide]

class SelfTradePrevention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELF_TRADE_PREVENTION_UNSPECIFIED: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_NONE: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_TAKER: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_MAKER: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_BOTH: _ClassVar[SelfTradePrevention]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]

class HaltScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HALT_SCOPE_UNSPECIFIED: _ClassVar[HaltScope]
    HALT_SCOPE_ALL: _ClassVar[HaltScope]
    HALT_SCOPE_ACCOUNT: _ClassVar[HaltScope]
    HALT_SCOPE_VENUE: _ClassVar[HaltScope]
    HALT_SCOPE_SYMBOL: _ClassVar[HaltScope]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side
ORDER_TYPE_UNSPECIFIED: OrderType
ORDER_TYPE_LIMIT: OrderType
ORDER_TYPE_MARKET: OrderType
ORDER_TYPE_STOP_LIMIT: OrderType
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
TIME_IN_FORCE_GTD: TimeInForce
TRIGGER_BY_UNSPECIFIED: TriggerBy
TRIGGER_BY_LAST: TriggerBy
TRIGGER_BY_MARK: TriggerBy
TRIGGER_BY_INDEX: TriggerBy
POSITION_SIDE_UNSPECIFIED: PositionSide
POSITION_SIDE_LONG: PositionSide
POSITION_SIDE_SHORT: PositionSide
SELF_TRADE_PREVENTION_UNSPECIFIED: SelfTradePrevention
SELF_TRADE_PREVENTION_NONE: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_TAKER: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_MAKER: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_BOTH: SelfTradePrevention
PRIORITY_UNSPECIFIED: Priority
PRIORITY_NORMAL: Priority
PRIORITY_HIGH: Priority
HALT_SCOPE_UNSPECIFIED: HaltScope
HALT_SCOPE_ALL: HaltScope
HALT_SCOPE_ACCOUNT: HaltScope
HALT_SCOPE_VENUE: HaltScope
HALT_SCOPE_SYMBOL: HaltScope

class OrderIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "side", "type", "time_in_force", "quantity", "quote_quantity", "price", "stop_price", "trigger_by", "post_only", "reduce_only", "position_side", "self_trade_prevention", "client_order_id", "created_at", "valid_until", "expire_at", "reference_price", "reference_time", "priority", "tag")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    QUOTE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PRICE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_BY_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    POSITION_SIDE_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_AT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_PRICE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_TIME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: str
    quote_quantity: str
    price: str
    stop_price: str
    trigger_by: TriggerBy
    post_only: bool
    reduce_only: bool
    position_side: PositionSide
    self_trade_prevention: SelfTradePrevention
    client_order_id: str
    created_at: int
    valid_until: int
    expire_at: int
    reference_price: str
    reference_time: int
    priority: Priority
    tag: str
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[Side, str]] = ..., type: _Optional[_Union[OrderType, str]] = ..., time_in_force: _Optional[_Union[TimeInForce, str]] = ..., quantity: _Optional[str] = ..., quote_quantity: _Optional[str] = ..., price: _Optional[str] = ..., stop_price: _Optional[str] = ..., trigger_by: _Optional[_Union[TriggerBy, str]] = ..., post_only: _Optional[bool] = ..., reduce_only: _Optional[bool] = ..., position_side: _Optional[_Union[PositionSide, str]] = ..., self_trade_prevention: _Optional[_Union[SelfTradePrevention, str]] = ..., client_order_id: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., expire_at: _Optional[int] = ..., reference_price: _Optional[str] = ..., reference_time: _Optional[int] = ..., priority: _Optional[_Union[Priority, str]] = ..., tag: _Optional[str] = ...) -> None: ...

class CancelIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "client_order_id", "venue_order_id", "created_at", "valid_until", "conditional")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CONDITIONAL_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    created_at: int
    valid_until: int
    conditional: bool
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., venue_order_id: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., conditional: _Optional[bool] = ...) -> None: ...

class CancelAllIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "side", "tag", "created_at", "valid_until", "conditional")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CONDITIONAL_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    side: Side
    tag: str
    created_at: int
    valid_until: int
    conditional: bool
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[Side, str]] = ..., tag: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., conditional: _Optional[bool] = ...) -> None: ...

class AmendIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "client_order_id", "new_client_order_id", "quantity", "price", "created_at", "valid_until", "reference_price", "reference_time", "venue_order_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_PRICE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_TIME_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    client_order_id: str
    new_client_order_id: str
    quantity: str
    price: str
    created_at: int
    valid_until: int
    reference_price: str
    reference_time: int
    venue_order_id: str
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., new_client_order_id: _Optional[str] = ..., quantity: _Optional[str] = ..., price: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., reference_price: _Optional[str] = ..., reference_time: _Optional[int] = ..., venue_order_id: _Optional[str] = ...) -> None: ...

class OrderClosed(_message.Message):
    __slots__ = ("account", "client_order_id", "filled_quantity", "created_at", "valid_until")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    account: str
    client_order_id: str
    filled_quantity: str
    created_at: int
    valid_until: int
    def __init__(self, account: _Optional[str] = ..., client_order_id: _Optional[str] = ..., filled_quantity: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class QueryIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "client_order_id", "venue_order_id", "created_at", "valid_until", "conditional", "closed")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CONDITIONAL_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    created_at: int
    valid_until: int
    conditional: bool
    closed: bool
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., venue_order_id: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., conditional: _Optional[bool] = ..., closed: _Optional[bool] = ...) -> None: ...

class OpenOrdersIntent(_message.Message):
    __slots__ = ("account", "venue", "symbol", "created_at", "valid_until", "conditional")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CONDITIONAL_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    symbol: str
    created_at: int
    valid_until: int
    conditional: bool
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., conditional: _Optional[bool] = ...) -> None: ...

class BalancesIntent(_message.Message):
    __slots__ = ("account", "venue", "created_at", "valid_until")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    created_at: int
    valid_until: int
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class LogonIntent(_message.Message):
    __slots__ = ("account", "venue", "created_at", "valid_until")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    account: str
    venue: str
    created_at: int
    valid_until: int
    def __init__(self, account: _Optional[str] = ..., venue: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class HaltIntent(_message.Message):
    __slots__ = ("scope", "account", "venue", "symbol", "tag", "created_at", "valid_until")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    scope: HaltScope
    account: str
    venue: str
    symbol: str
    tag: str
    created_at: int
    valid_until: int
    def __init__(self, scope: _Optional[_Union[HaltScope, str]] = ..., account: _Optional[str] = ..., venue: _Optional[str] = ..., symbol: _Optional[str] = ..., tag: _Optional[str] = ..., created_at: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class Intent(_message.Message):
    __slots__ = ("order", "cancel", "cancel_all", "amend", "order_closed", "query", "open_orders", "balances", "halt", "logon")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ALL_FIELD_NUMBER: _ClassVar[int]
    AMEND_FIELD_NUMBER: _ClassVar[int]
    ORDER_CLOSED_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    HALT_FIELD_NUMBER: _ClassVar[int]
    LOGON_FIELD_NUMBER: _ClassVar[int]
    order: OrderIntent
    cancel: CancelIntent
    cancel_all: CancelAllIntent
    amend: AmendIntent
    order_closed: OrderClosed
    query: QueryIntent
    open_orders: OpenOrdersIntent
    balances: BalancesIntent
    halt: HaltIntent
    logon: LogonIntent
    def __init__(self, order: _Optional[_Union[OrderIntent, _Mapping]] = ..., cancel: _Optional[_Union[CancelIntent, _Mapping]] = ..., cancel_all: _Optional[_Union[CancelAllIntent, _Mapping]] = ..., amend: _Optional[_Union[AmendIntent, _Mapping]] = ..., order_closed: _Optional[_Union[OrderClosed, _Mapping]] = ..., query: _Optional[_Union[QueryIntent, _Mapping]] = ..., open_orders: _Optional[_Union[OpenOrdersIntent, _Mapping]] = ..., balances: _Optional[_Union[BalancesIntent, _Mapping]] = ..., halt: _Optional[_Union[HaltIntent, _Mapping]] = ..., logon: _Optional[_Union[LogonIntent, _Mapping]] = ...) -> None: ...

class SealedIntent(_message.Message):
    __slots__ = ("session", "counter", "intent", "mac")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    session: bytes
    counter: int
    intent: bytes
    mac: bytes
    def __init__(self, session: _Optional[bytes] = ..., counter: _Optional[int] = ..., intent: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...
