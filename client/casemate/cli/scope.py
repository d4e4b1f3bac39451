"""Options that name the scope of a halt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from casemate import models
from casemate.cli.usage import UsageError
from casemate.intents import HaltIntent

if TYPE_CHECKING:
    import argparse

_NEEDS: Final = {
    models.HaltScope.ALL: (),
    models.HaltScope.ACCOUNT: ("account",),
    models.HaltScope.VENUE: ("venue",),
    models.HaltScope.SYMBOL: ("symbol",),
}


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add --scope and what narrows it, and --json."""
    scopes = [scope.name for scope in models.HaltScope]
    parser.add_argument("--scope", choices=scopes, default="ALL", type=str.upper, help="how much (default ALL)")
    for name in ("account", "venue", "symbol"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def scope_of(arguments: argparse.Namespace) -> HaltIntent:
    """Return the halt that the options name; raises UsageError."""
    scope = models.HaltScope[arguments.scope]
    for name in _NEEDS[scope]:
        if not getattr(arguments, name):
            message = f"--scope {scope.name} needs --{name}"
            raise UsageError(message)
    return HaltIntent(scope=scope, account=arguments.account, venue=arguments.venue, symbol=arguments.symbol)
