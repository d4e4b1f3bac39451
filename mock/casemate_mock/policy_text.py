"""The demonstration's policy, written as TOML: people can read it, the client compiles it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from casemate_mock.config import DemoAccount
from casemate_mock.exchange import VenueInstrument
from casemate_mock.exchange.arithmetic import plain

DEPLOYMENT = "demo"
ENGINE = "demo-engine"
READER = "demo-reader"
# Largest order that the demonstration's policy allows, in settle currency at the top of the band.
MAX_NOTIONAL = 20_000

_GAPS = (
    "body-unsigned",
    "fixed-validity",
    "host-unsigned",
    "method-unsigned",
    "path-unsigned",
    "query-body-joined",
    "query-unsigned",
    "replayable",
)
_OPERATIONS = ("CREATE", "CANCEL", "CANCEL_ALL", "AMEND", "QUERY", "OPEN_ORDERS", "BALANCES")


def demo_policy(
    accounts: Sequence[DemoAccount], engine_keys: Mapping[str, str] | None = None, duty_key: str = ""
) -> str:
    """Policy for these accounts. It accepts every gap of every venue: the stand-ins guard nothing of value.

    ``engine_keys``: by engine, the public key (hex) with which it opens sessions. ``duty_key``: whose grants new
    orders need; nobody's without.
    """
    keys = engine_keys or {}
    names = [account.name for account in accounts]
    head = [
        "# Made by casemate-mock for simulated venues. Not an example to follow: it accepts every gap",
        "# that a venue's signature leaves. See examples/policy.toml.",
        'format = "casemate.policy.v1"',
        f'deployment = "{DEPLOYMENT}"',
        "version = 1",
        'max_age = "60s"',
        *([] if duty_key else ['duty = "on_parent"']),
    ]
    engines = [
        _table("[[engine]]", name=name, accounts=names, **({"public_key": keys[name]} if name in keys else {}))
        for name in (ENGINE, READER)
    ]
    if duty_key:
        head.append(_table("[duty]", key=duty_key, longest="5m", predecessors=[]))
    return "\n".join([*head, *engines, *(_account(account) for account in accounts)]) + "\n"


def band_of(instrument: VenueInstrument) -> tuple[Decimal, Decimal]:
    """The policy's absolute price band: half to twice the reference price."""
    return instrument.reference_price / 2, instrument.reference_price * 2


def _account(account: DemoAccount) -> str:
    parts = [
        _table(
            "[[account]]",
            name=account.name,
            venue=account.venue,
            margin_mode=account.margin_mode,
            accept=list(_GAPS),
            count_uses=1,
            max_open_orders=20_000,
        ),
        *(_instrument(instrument) for instrument in account.instruments),
        _table(
            "[[account.grant]]",
            name="trade",
            engines=[ENGINE],
            symbols="*",
            operations=list(_OPERATIONS),
            types=["LIMIT", "STOP_LIMIT"],
            max_notional=str(MAX_NOTIONAL),
        ),
        _table(
            "[[account.grant]]",
            name="read",
            engines=[READER],
            symbols="*",
            operations=["CANCEL", "CANCEL_ALL", "QUERY", "OPEN_ORDERS", "BALANCES"],
        ),
        *_limits(account.instruments),
        *_exposures(account.instruments),
    ]
    return "\n".join(parts)


def _instrument(instrument: VenueInstrument) -> str:
    low, high = band_of(instrument)
    return _table(
        "[[account.instrument]]",
        symbol=instrument.symbol,
        venue_symbol=instrument.venue_symbol,
        tick_size=plain(instrument.tick),
        lot_size=plain(instrument.lot),
        contract_size=plain(instrument.contract_size),
        price_band=[plain(low), plain(high)],
    )


def _limits(instruments: Iterable[VenueInstrument]) -> list[str]:
    return [
        _table(
            "[[account.limit]]",
            name=f"day-{instrument.base.lower()}",
            symbols=[instrument.symbol],
            window="24h",
            max_notional="500000000",
            max_orders=200_000,
        )
        for instrument in instruments
    ]


def _exposures(instruments: Iterable[VenueInstrument]) -> list[str]:
    return [
        _table(
            "[[account.exposure]]",
            name=f"worst-{instrument.base.lower()}",
            symbol=instrument.symbol,
            max_notional="250000000",
        )
        for instrument in instruments
    ]


def _table(header: str, **fields: object) -> str:
    # JSON's strings, numbers and lists are also TOML's.
    return "\n".join([f"\n{header}", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())])
