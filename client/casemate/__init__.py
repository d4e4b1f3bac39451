"""Casemate for trading engines: exchange orders whose keys live in an enclave.

``Gateway`` (asyncio) and ``SyncGateway`` talk to a Casemate host. Everything else here is a value.
``casemate.errors`` has the errors, ``casemate.policy`` the policy compiler.
"""

from casemate.channel import Endpoint, TlsFiles
from casemate.gateway import Gateway
from casemate.ids import new_client_order_id
from casemate.intents import (
    AmendIntent,
    CancelAllIntent,
    CancelIntent,
    CloseIntent,
    HaltIntent,
    LogonIntent,
    OrderIntent,
)
from casemate.models import (
    Balance,
    Decision,
    ErrorClass,
    ExecutionReport,
    HaltScope,
    LogonResult,
    Operation,
    OrderState,
    OrderType,
    ReadResult,
    SelfTradePrevention,
    Side,
    Status,
    SubmitResult,
    TimeInForce,
    TriggerBy,
    VenueOrder,
    Verdict,
    WaitFor,
)
from casemate.profile import Profile, ProfileError, read_profile
from casemate.sealing import Sealer, UnauthenticatedSealer
from casemate.session import AttestedSealer, Pins
from casemate.stream import OrderStream
from casemate.sync_gateway import SyncGateway

__version__ = "0.1.0"

__all__ = [
    "AmendIntent",
    "AttestedSealer",
    "Balance",
    "CancelAllIntent",
    "CancelIntent",
    "CloseIntent",
    "Decision",
    "Endpoint",
    "ErrorClass",
    "ExecutionReport",
    "Gateway",
    "HaltIntent",
    "HaltScope",
    "LogonIntent",
    "LogonResult",
    "Operation",
    "OrderIntent",
    "OrderState",
    "OrderStream",
    "OrderType",
    "Pins",
    "Profile",
    "ProfileError",
    "ReadResult",
    "Sealer",
    "SelfTradePrevention",
    "Side",
    "Status",
    "SubmitResult",
    "SyncGateway",
    "TimeInForce",
    "TlsFiles",
    "TriggerBy",
    "UnauthenticatedSealer",
    "VenueOrder",
    "Verdict",
    "WaitFor",
    "new_client_order_id",
    "read_profile",
]
