from dispatch_api.v1 import dispatch_pb2 as _dispatch_pb2
from signer_api.v1 import intent_pb2 as _intent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IntentBatch(_message.Message):
    __slots__ = ("batch_id", "intents", "wait_for")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_FIELD_NUMBER: _ClassVar[int]
    batch_id: int
    intents: _containers.RepeatedCompositeFieldContainer[_intent_pb2.Intent]
    wait_for: _dispatch_pb2.WaitFor
    def __init__(self, batch_id: _Optional[int] = ..., intents: _Optional[_Iterable[_Union[_intent_pb2.Intent, _Mapping]]] = ..., wait_for: _Optional[_Union[_dispatch_pb2.WaitFor, str]] = ...) -> None: ...

class AgentStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentStatus(_message.Message):
    __slots__ = ("engine", "session", "deployment", "policy_version", "policy_digest", "boot_key", "sessions_opened", "trouble")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BOOT_KEY_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_OPENED_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    engine: str
    session: bytes
    deployment: str
    policy_version: int
    policy_digest: bytes
    boot_key: bytes
    sessions_opened: int
    trouble: str
    def __init__(self, engine: _Optional[str] = ..., session: _Optional[bytes] = ..., deployment: _Optional[str] = ..., policy_version: _Optional[int] = ..., policy_digest: _Optional[bytes] = ..., boot_key: _Optional[bytes] = ..., sessions_opened: _Optional[int] = ..., trouble: _Optional[str] = ...) -> None: ...
