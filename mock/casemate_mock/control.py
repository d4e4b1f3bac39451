"""The simulated venues' side door: what a test or the demonstration may see and turn, over HTTP on 127.0.0.1.

No real venue has one. It shows every order that a venue ever accepted, moves prices and the clock, and scripts
faults, so that a suite in another process can check what happened independently of gateway and host.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from casemate_mock.exchange import Order
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venue_server import Fault, FaultKind, VenueServer

Json = dict[str, Any]


@dataclass(slots=True)
class SteerableClock:
    """A clock that runs `offset_ms` ahead of (or behind) another; in milliseconds UTC."""

    base: Any
    offset_ms: int = 0

    def __call__(self) -> int:
        """Milliseconds UTC."""
        return int(self.base()) + self.offset_ms


class Control:
    """The side door of several venues of one process."""

    def __init__(self, servers: Mapping[str, VenueServer], clock: SteerableClock) -> None:
        """`servers` by venue name; `clock` is the one that all of them read."""
        self._servers = servers
        self._clock = clock

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application()
        app.router.add_get("/venues/{venue}/orders", self._orders)
        app.router.add_get("/venues/{venue}/requests", self._requests)
        app.router.add_post("/venues/{venue}/price", self._price)
        app.router.add_post("/venues/{venue}/faults", self._faults)
        app.router.add_post("/clock", self._set_clock)
        return app

    def _server(self, request: web.Request) -> VenueServer:
        name = request.match_info["venue"]
        if name not in self._servers:
            raise web.HTTPNotFound(text=f"no venue {name}; there are {', '.join(self._servers)}\n")
        return self._servers[name]

    async def _orders(self, request: web.Request) -> web.Response:
        """Every order that the venue ever accepted, oldest first."""
        orders = self._server(request).exchange.orders()
        return web.json_response([_order_json(order) for order in orders])

    async def _requests(self, request: web.Request) -> web.Response:
        """How many requests were seen, and how many were answered with which status. No signature is shown."""
        log = self._server(request).log
        return web.json_response(
            [
                {
                    "method": entry.method,
                    "path": entry.path,
                    "status": entry.status,
                    "executed": entry.executed,
                }
                for entry in log
            ]
        )

    async def _price(self, request: web.Request) -> web.Response:
        """{"symbol", "price"}: move the market; resting orders that it crosses fill."""
        body = await _body(request)
        try:
            filled = self._server(request).exchange.move_price(str(body["symbol"]), Decimal(str(body["price"])))
        except (KeyError, InvalidOperation, ValueError) as error:
            raise web.HTTPBadRequest(text=f"expected symbol and price: {error}\n") from None
        return web.json_response([_order_json(order) for order in filled])

    async def _faults(self, request: web.Request) -> web.Response:
        """{"faults": [{"kind", "method"?, "path"?, "delay_s"?, "status"?, "body_base64"?}]}: queue scripted faults."""
        body = await _body(request)
        try:
            faults = [_fault(item) for item in body["faults"]]
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"expected faults: {error}\n") from None
        self._server(request).script(*faults)
        return web.json_response({"queued": len(faults)})

    async def _set_clock(self, request: web.Request) -> web.Response:
        """{"offset_ms": N}: let the venues' clock run ahead (or behind) by that much."""
        body = await _body(request)
        offset = body.get("offset_ms")
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise web.HTTPBadRequest(text="expected offset_ms, a whole number\n")
        self._clock.offset_ms = offset
        return web.json_response({"offset_ms": offset})


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="expected JSON\n") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="expected a JSON object\n")
    return body


def _kind(name: str) -> FaultKind:
    if name not in FaultKind.__members__:
        message = f'kind "{name}": one of {", ".join(FaultKind.__members__)}'
        raise ValueError(message)
    return FaultKind[name]


def _fault(item: Json) -> Fault:
    return Fault(
        kind=_kind(item["kind"]),
        method=item.get("method"),
        path=item.get("path"),
        delay_s=float(item.get("delay_s", 0)),
        status=int(item.get("status", 200)),
        body=base64.b64decode(item.get("body_base64", "")),
    )


def _order_json(order: Order) -> Json:
    return {
        "client_order_id": order.client_id,
        "venue_order_id": order.venue_id,
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side.value,
        "status": order.status.value,
        "quantity": plain(order.quantity),
        "filled": plain(order.filled),
    }
