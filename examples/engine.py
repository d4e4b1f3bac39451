"""A small engine: one quote on each side, moved when the market does, everything cancelled at the end.

Run it against the stand-ins:

    casemate-mock all --dir /tmp/casemate --keep &
    python examples/engine.py /tmp/casemate/demo-engine.toml okx-spot okx BTC/USDT
"""

# ruff: noqa: INP001, T201 - a script that prints

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

from casemate import Gateway, OrderIntent, OrderState, Side, SubmitResult
from casemate.errors import NotJudged, OutcomeUnknown

FAIR = Decimal(60_000)
HALF_SPREAD = Decimal(25)


async def quote(gateway: Gateway, where: tuple[str, str, str], side: Side, price: Decimal) -> SubmitResult | None:
    """Place one quote; returns None where nothing was placed, and says why."""
    order = OrderIntent.limit(*where, side, quantity="0.001", price=price, post_only=True, tag="quote")
    try:
        result = await gateway.submit(order)
    except NotJudged as error:
        # Nothing was signed, counted or sent: fix it, or try again where the error says that this can help.
        print(f"{side.name}: not taken: {error}")
        return None
    except OutcomeUnknown:
        # It may be at the venue. Never send it again under another id: ask what became of it.
        report = await gateway.get(order.account, order.client_order_id)
        print(f"{side.name}: after a lost answer the host says {report.state}")
        return None
    if not result.allowed:
        print(f"{side.name}: refused by {result.verdict.rule}: {result.verdict.reason} {dict(result.verdict.numbers)}")
        return None
    print(f"{side.name} at {price}: {result.state}")
    return result


async def main(profile: str, *where: str) -> None:
    """Quote three times, then leave nothing behind."""
    account, venue, symbol = where
    async with Gateway.connect(profile) as gateway:
        await gateway.wait_ready()
        for step in range(3):
            fair = FAIR + step
            results = await asyncio.gather(
                quote(gateway, (account, venue, symbol), Side.BUY, fair - HALF_SPREAD),
                quote(gateway, (account, venue, symbol), Side.SELL, fair + HALF_SPREAD),
            )
            for result in results:
                if result and result.report and result.state is OrderState.OPEN:
                    ids = result.report
                    await gateway.cancel(account, venue, symbol, ids.client_order_id, venue_order_id=ids.venue_order_id)
                    await gateway.close_order(account, ids.client_order_id, 0)
        left = await gateway.open_orders(account, venue, symbol)
        print(f"open at the venue: {len(left.orders)}")


if __name__ == "__main__":
    if len(sys.argv) != 5:  # noqa: PLR2004 - the script's name and four arguments
        sys.exit("usage: python examples/engine.py PROFILE.toml ACCOUNT VENUE SYMBOL")
    asyncio.run(main(*sys.argv[1:]))
