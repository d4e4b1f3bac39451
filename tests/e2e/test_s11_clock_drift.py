"""S11 through the whole stack: past the bound nothing is signed, and orders go on once the clocks agree again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from casemate import OrderIntent, SyncGateway
from casemate_mock.pytest_plugin import RunningStack

if TYPE_CHECKING:
    from casemate import SubmitResult

_LONGEST_S = 20


def test_s11_past_the_bound_orders_are_refused_and_within_it_they_go_on(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path)
    try:
        skew = Path(stack.ready["directory"]) / "clock-skew-ms"
        with SyncGateway.connect(stack.profile) as gateway:
            assert _submit(gateway, stack).allowed
            skew.write_text("-3000", encoding="ascii")
            refused = _until(gateway, stack, allowed=False)
            assert refused.verdict.rule == "clock_drift"
            assert refused.authenticated
            assert abs(gateway.status().enclave.clock_drift - 3_000_000_000) < 1_000_000_000
            account = stack.accounts[0]
            cancelled = gateway.cancel_all(account["name"], account["venue"], account["instruments"][0]["symbol"])
            assert cancelled.verdict.rule == "clock_drift"
            skew.write_text("0", encoding="ascii")
            assert _until(gateway, stack, allowed=True).authenticated
    finally:
        stack.stop()


def _submit(gateway: SyncGateway, stack: RunningStack) -> SubmitResult:
    account = next(each for each in stack.accounts if each["venue"] == "okx")
    instrument = account["instruments"][0]
    where = (account["name"], "okx", instrument["symbol"], "BUY")
    return gateway.submit(OrderIntent.limit(*where, quantity="0.001", price=instrument["price_band"][0]))


def _until(gateway: SyncGateway, stack: RunningStack, *, allowed: bool) -> SubmitResult:
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        result = _submit(gateway, stack)
        if result.allowed == allowed:
            return result
        time.sleep(0.2)
    message = f"no order was {'allowed' if allowed else 'refused'} in time"
    raise AssertionError(message)
