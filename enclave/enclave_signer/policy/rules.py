"""Which rules an intent meets, and in which order. The first refusal wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.model import Operation
from enclave_signer.policy import (
    band,
    client_order_id,
    denied,
    duplicate,
    duty,
    exposures,
    grants,
    halted,
    instrument,
    limits,
    logon,
    max_age,
    open_orders,
    operation,
    precision,
    read_only,
    signature_gaps,
    table,
    unknown_order,
    validity,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.policy.case import Rule

# Trading is judged in two parts. Between them an identical repeat gets the bytes of its first time, and
# the order is valued.
TRADING_FIRST: Final[tuple[Rule, ...]] = (halted, duty, max_age, read_only)
SCOPED: Final[tuple[Rule, ...]] = (operation, instrument)
SIZED: Final[tuple[Rule, ...]] = (
    denied,
    precision,
    band,
    grants,
    signature_gaps,
    validity,
    client_order_id,
    duplicate,
)
CREATE_LAST: Final[tuple[Rule, ...]] = (*SIZED, open_orders, limits, exposures, table)
AMEND_LAST: Final[tuple[Rule, ...]] = (*SIZED, limits, exposures, table)
AMENDED: Final[tuple[Rule, ...]] = (*SCOPED, unknown_order)

_SIGNED: Final[tuple[Rule, ...]] = (denied, signature_gaps, validity)
_OF_SYMBOL: Final[tuple[Rule, ...]] = (max_age, operation, instrument, *_SIGNED)
# Cancels, reads and what concerns no venue; HALT and OrderClosed pass a HALT as cancels and reads do.
OTHERS: Final[Mapping[Operation, tuple[Rule, ...]]] = {
    Operation.CANCEL: _OF_SYMBOL,
    Operation.CANCEL_ALL: _OF_SYMBOL,
    Operation.QUERY: _OF_SYMBOL,
    Operation.OPEN_ORDERS: _OF_SYMBOL,
    Operation.BALANCES: (max_age, operation, *_SIGNED),
    Operation.LOGON: (max_age, logon, operation, *_SIGNED),
    Operation.ORDER_CLOSED: (max_age,),
}
