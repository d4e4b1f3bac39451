"""``casemate submit | cancel | orders``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate import models, wire
from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines, table
from casemate.cli.usage import UsageError
from casemate.errors import InvalidIntentError, NotFound
from casemate.ids import new_client_order_id
from casemate.intents import OrderIntent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import IntEnum

    from casemate.sync_gateway import SyncGateway

_ENUMS: Final[dict[str, type[IntEnum]]] = {
    "side": models.Side,
    "type": models.OrderType,
    "time_in_force": models.TimeInForce,
    "trigger_by": models.TriggerBy,
    "position_side": models.PositionSide,
    "self_trade_prevention": models.SelfTradePrevention,
    "priority": models.Priority,
}
_DEFAULTS: Final = {"type": "default LIMIT", "time_in_force": "default GTC, none for MARKET"}
_FLAGS: Final = frozenset({"post_only", "reduce_only"})
_TIMES: Final = frozenset({"created_at", "valid_until", "expire_at", "reference_time"})
# What the host lists at most at once.
_MOST: Final = 1_000
_TEXTS: Final = (
    "quantity",
    "quote_quantity",
    "price",
    "stop_price",
    "reference_price",
    "client_order_id",
    "tag",
)


def add_submit(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate submit``."""
    parser = commands.add_parser(
        "submit",
        help="send one order",
        description="Send one order, of options or of a JSON file in the message's own form (- reads stdin). Exit code"
        " 0 only if the policy allowed it and neither a rejection nor an unknown outcome came back.",
    )
    parser.add_argument("intent", nargs="?", metavar="INTENT.json", help="the order; options override its fields")
    order = parser.add_argument_group("order")
    for name in ("account", "venue", "symbol"):
        order.add_argument(f"--{name}")
    for name, kind in _ENUMS.items():
        choices = [member.name for member in kind]
        option = f"--{name.replace('_', '-')}"
        default = _DEFAULTS.get(name)
        order.add_argument(option, choices=choices, type=str.upper, metavar="|".join(choices), help=default)
    for name in _TEXTS:
        order.add_argument(f"--{name.replace('_', '-')}", metavar="TEXT")
    for name in ("post_only", "reduce_only"):
        order.add_argument(f"--{name.replace('_', '-')}", action="store_true", default=None)
    waits = [member.name for member in models.WaitFor]
    parser.add_argument("--wait-for", choices=waits, default="ACKNOWLEDGED", type=str.upper, help="how far to wait")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser)
    parser.set_defaults(run=submit)


def submit(arguments: argparse.Namespace) -> int:
    """Send the order; 0 if it was allowed and taken."""
    order = order_of(_order_fields(arguments))
    with connection.connect(arguments) as gateway:
        result = gateway.submit(order, wait_for=models.WaitFor[arguments.wait_for])
    return _show(result, as_json=arguments.json)


def _order_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    raw = read_json(arguments.intent) if arguments.intent else {}
    for field in fields(OrderIntent):
        value = getattr(arguments, field.name, None)
        if value is not None:
            raw[field.name] = value
    return raw


def read_json(path: str) -> dict[str, Any]:
    """Read one JSON object of a file or of stdin; raises UsageError."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        # Floats stay text, so that the intent's own check can refuse or take the exact digits.
        raw = json.loads(text, parse_float=str)
    except (OSError, ValueError) as error:
        message = f"{path}: expected one JSON object: {error}"
        raise UsageError(message) from None
    if not isinstance(raw, dict):
        message = f"{path}: expected one JSON object"
        raise UsageError(message)
    return raw


def order_of(raw: dict[str, Any]) -> OrderIntent:
    """Make an order of its JSON form: snake_case fields, enum names without prefix. Raises InvalidIntentError."""
    known = {field.name: field for field in fields(OrderIntent)}
    for name, value in raw.items():
        if name not in known:
            raise InvalidIntentError(name, value, f"a field of an order: {', '.join(known)}")
    values: dict[str, Any] = {name: _typed(name, value) for name, value in raw.items()}
    values.setdefault("type", models.OrderType.LIMIT)
    values.setdefault("client_order_id", new_client_order_id(str(raw.get("venue", ""))))
    if values["type"] is not models.OrderType.MARKET:
        values.setdefault("time_in_force", models.TimeInForce.GTC)
    for name in ("account", "venue", "symbol", "side"):
        if name not in values:
            raise InvalidIntentError(name, "", "a value: it is missing")
    return OrderIntent(**values)


def _typed(name: str, value: object) -> object:
    if name in _ENUMS:
        return _enum(name, value)
    if name in _FLAGS and not isinstance(value, bool):
        raise InvalidIntentError(name, value, "true or false")
    if name in _TIMES and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63):
        raise InvalidIntentError(name, value, "nanoseconds since 1970, a whole number")
    return value


def _enum(name: str, value: object) -> IntEnum:
    kind = _ENUMS[name]
    if not isinstance(value, str) or value not in kind.__members__:
        raise InvalidIntentError(name, value, f"one of {', '.join(kind.__members__)}")
    return kind[value]


def _show(result: models.SubmitResult, *, as_json: bool) -> int:
    if as_json:
        print_json({**wire.to_json(result), "state": wire.to_json(result.state)})
    else:
        print_lines(_result_lines(result))
    return DONE if result.taken else NO


def _result_lines(result: models.SubmitResult) -> Iterator[str]:
    verdict = result.verdict
    yield f"{verdict.decision.name} by {verdict.rule}" + (f": {verdict.reason}" if verdict.reason else "")
    yield from (f"  {name} = {value}" for name, value in verdict.numbers.items())
    if result.receipt is not None:
        yield f"receipt {result.receipt.sequence}{'' if result.authenticated else ' (as the host tells it)'}"
    report = result.report
    if report is None or not verdict.allowed:
        return
    venue_id = f", venue order id {report.venue_order_id}" if report.venue_order_id else ""
    state = report.state.name if report.state else "TAKEN"
    yield f"{state} (the host's word), client order id {report.client_order_id}{venue_id}"
    if report.error_class is not None:
        yield f"  {report.error_class.name} {report.venue_code} {report.venue_message}".rstrip()
    if result.unknown:
        yield "  It may be at the venue. Treat it as live; ask again with: casemate orders --client-order-id ID"


def add_cancel(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate cancel``."""
    parser = commands.add_parser(
        "cancel",
        help="cancel one order, or all of a symbol",
        description="Cancel one order, or all of a symbol.",
    )
    for name in ("account", "venue", "symbol"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--client-order-id", metavar="ID", default="")
    parser.add_argument("--venue-order-id", metavar="ID", default="", help="the venue's own; some cancel by it alone")
    parser.add_argument("--all", action="store_true", help="every open order of the symbol, in place of an id")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser)
    parser.set_defaults(run=cancel)


def cancel(arguments: argparse.Namespace) -> int:
    """Cancel; 0 if it was allowed and taken."""
    named = bool(arguments.client_order_id or arguments.venue_order_id)
    if arguments.all and named:
        message = "--all or an order's id, not both"
        raise UsageError(message)
    if not arguments.all and not named:
        message = "which order? Give --client-order-id and/or --venue-order-id, or --all"
        raise UsageError(message)
    where = (arguments.account, arguments.venue, arguments.symbol)
    with connection.connect(arguments) as gateway:
        if arguments.all:
            return _show(gateway.cancel_all(*where), as_json=arguments.json)
        result = gateway.cancel(*where, arguments.client_order_id, venue_order_id=arguments.venue_order_id)
    return _show(result, as_json=arguments.json)


def add_orders(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate orders``."""
    parser = commands.add_parser(
        "orders",
        help="list orders",
        description="List an account's orders from the host's journal or, with --at-venue, the open ones at the venue.",
    )
    parser.add_argument("--account", required=True)
    states = [state.name for state in models.OrderState]
    parser.add_argument("--state", action="append", default=[], choices=states, type=str.upper, metavar="STATE")
    parser.add_argument("--limit", type=_limit, default=100, metavar="N", help="1 to 1000 (default 100)")
    parser.add_argument("--client-order-id", metavar="ID", help="this order alone")
    parser.add_argument("--at-venue", action="store_true", help="ask the venue; needs --venue and --symbol")
    parser.add_argument("--venue")
    parser.add_argument("--symbol")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser)
    parser.set_defaults(run=orders)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        message = f'"{text}": expected a number from 1 to {_MOST}'
        raise argparse.ArgumentTypeError(message)
    return int(text)


def orders(arguments: argparse.Namespace) -> int:
    """List orders."""
    if arguments.at_venue and not (arguments.venue and arguments.symbol):
        message = "--at-venue needs --venue and --symbol"
        raise UsageError(message)
    # The journal is the host's: asking it needs no key.
    with connection.connect(arguments, seals=arguments.at_venue) as gateway:
        if arguments.at_venue:
            return _show_read(gateway.open_orders(arguments.account, arguments.venue, arguments.symbol), arguments)
        if arguments.client_order_id:
            found: tuple[models.ExecutionReport, ...] = (gateway.get(arguments.account, arguments.client_order_id),)
        else:
            states = [models.OrderState[name] for name in arguments.state]
            found = gateway.list_orders(arguments.account, states=states, limit=arguments.limit)
        if not found:
            _check_known(gateway, arguments.account)
    if arguments.json:
        print_json({"reports": wire.to_json(found)})
    else:
        header = ["client order id", "venue order id", "symbol", "state", "filled", "average price", "error"]
        print_lines(table(header, [_report_row(report) for report in found]))
    return DONE


def _check_known(gateway: SyncGateway, account: str) -> None:
    """Raise NotFound for an account without orders that the live policy, if there is one, does not know either."""
    known = gateway.status().enclave.accounts
    if known and account not in known:
        message = f'account "{account}": no orders, and the policy has no such account; there are {", ".join(known)}'
        raise NotFound(message)


def _report_row(report: models.ExecutionReport) -> list[str]:
    error = report.error_class.name if report.error_class else ""
    if report.verdict is not None and not report.verdict.allowed:
        error = f"refused by {report.verdict.rule}"
    filled, price = wire.to_json(report.filled_quantity), wire.to_json(report.average_price)
    state = wire.to_json(report.state)
    row = [
        report.client_order_id,
        report.venue_order_id,
        report.symbol,
        state,
        filled,
        price,
        error,
    ]
    return [cell or "-" for cell in row]


def _show_read(result: models.ReadResult, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(wire.to_json(result))
    elif not result.verdict.allowed:
        print_lines([f"REFUSE by {result.verdict.rule}: {result.verdict.reason}"])
    elif result.error_class is not None:
        print_lines([f"{result.error_class.name} {result.venue_code} {result.venue_message}".rstrip()])
    else:
        header = ["client order id", "venue order id", "symbol", "state", "quantity", "filled", "price"]
        print_lines(table(header, [_venue_row(order) for order in result.orders]))
    return DONE if result.verdict.allowed and result.error_class is None else NO


def _venue_row(order: models.VenueOrder) -> list[str]:
    values = wire.to_json(order)
    names = ("client_order_id", "venue_order_id", "symbol", "state", "quantity", "filled_quantity", "price")
    return [values[name] or "-" for name in names]
