"""``casemate policy check | compile | sign | load | explain | replay``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli import approving
from casemate.cli.output import DONE, NO, note, print_json, print_lines, table
from casemate.cli.tools import tool
from casemate.cli.trade import order_of, read_json
from casemate.cli.usage import UsageError
from casemate.errors import PolicyError
from casemate.policy import compile_policy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from casemate.policy import Compiled

_UNCHECKED: Final = (
    "not checked against what the venues declare; the enclave may refuse it. That needs the enclave's pure modules:"
    ' pip install "casemate[tools]"'
)


def add_policy(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate policy``."""
    parser = commands.add_parser("policy", help="write, check and try policies", description="Work with policies.")
    inner = parser.add_subparsers(dest="policy_command", required=True, metavar="COMMAND", title="commands")
    _add_check(inner)
    _add_compile(inner)
    approving.add_policy_commands(inner)
    _add_explain(inner)
    _add_replay(inner)


def _add_check(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    parser = commands.add_parser(
        "check",
        help="all mistakes, then what it permits",
        description="Check a policy written as TOML: all mistakes in one report; then what it permits, and a warning"
        " for whatever the venues would still refuse.",
    )
    parser.add_argument("file", metavar="POLICY.toml")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for a warning too")
    parser.set_defaults(run=check)


def _add_compile(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    parser = commands.add_parser(
        "compile",
        help="TOML to the bytes that the enclave takes",
        description="Compile a policy to canonical CBOR, which is what administrators sign and the enclave accepts."
        " Runs the checks of `policy check` first; warnings go to stderr.",
    )
    parser.add_argument("file", metavar="POLICY.toml")
    parser.add_argument("-o", "--output", type=Path, metavar="POLICY.cbor", help="default: beside the TOML file")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=compile_file)


def _add_explain(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    parser = commands.add_parser(
        "explain",
        help="what every rule says about one intent",
        description="Judge one order with fresh counters and show what every rule says, in the order in which the"
        " enclave asks them. Exit code 0 if the order would be allowed, 1 if it would be refused.",
    )
    parser.add_argument("--policy", required=True, metavar="FILE", help="POLICY.toml or POLICY.cbor")
    parser.add_argument("--engine", required=True, metavar="NAME", help="who sends it")
    parser.add_argument("intent", nargs="?", default="-", metavar="INTENT.json", help="default -, stdin")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=explain)


def _add_replay(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    parser = commands.add_parser(
        "replay",
        help="what past orders would have met",
        description="Judge the intents of a host's journal by a policy, at the times when they came, and count what"
        " each rule would have refused. The journal is only read.",
    )
    parser.add_argument("--policy", required=True, metavar="FILE", help="POLICY.toml or POLICY.cbor")
    parser.add_argument("--journal", required=True, metavar="FILE", help="the host's SQLite journal")
    parser.add_argument(
        "--engine", metavar="NAME", help="judge all intents as this engine's (default: by the receipts)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=replay)


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(str(error)) from None


def compile_path(path: str) -> Compiled:
    """Compile a TOML file; raises PolicyError with all mistakes, UsageError if it cannot be read."""
    try:
        text = _read(path).decode()
    except UnicodeDecodeError:
        message = f"{path}: expected UTF-8 text"
        raise UsageError(message) from None
    tools = _checks()
    # Without the tools count_uses must be written in the policy; the compiler says so.
    compiled: Compiled = compile_policy(text) if tools is None else tools.compile_checked(text)
    return compiled


def _checks() -> ModuleType | None:
    """The checks by the venues' declarations, where the enclave's pure modules are installed."""
    try:
        return tool("policy_check")
    except UsageError:
        return None


def canonical_of(path: str) -> bytes:
    """Read a policy in either form."""
    return compile_path(path).canonical if path.endswith(".toml") or path == "-" else _read(path)


def check(arguments: argparse.Namespace) -> int:
    """Check a policy; 0 if it compiles and the enclave would take it (``--strict``: and nothing is to warn of)."""
    tools = tool("policy_check")
    try:
        compiled = compile_path(arguments.file)
        report = tools.check(compiled)
    except PolicyError as error:
        _show_mistakes(arguments.file, error, as_json=arguments.json)
        return NO
    if arguments.json:
        print_json({"ok": True, "digest": compiled.digest, "bytes": len(compiled.canonical), **report.as_json()})
    else:
        print_lines(report.lines(compiled))
        print_lines([_counted(0, len(report.warnings))])
    return NO if arguments.strict and report.warnings else DONE


def _counted(mistakes: int, warnings: int) -> str:
    return f"{mistakes} mistake{'s' * (mistakes != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def _show_mistakes(path: str, error: PolicyError, *, as_json: bool) -> None:
    if as_json:
        keys = ("path", "value", "expected")
        mistakes = [{key: getattr(mistake, key) for key in keys} for mistake in error.mistakes]
        print_json({"ok": False, "mistakes": mistakes})
        return
    print_lines([f"{path}:"])
    print_lines(f"  {mistake}" for mistake in error.mistakes)
    # What would be warned of shows only once the mistakes are mended.
    print_lines([_counted(len(error.mistakes), 0)])


def compile_file(arguments: argparse.Namespace) -> int:
    """Compile a policy to a file, by the same checks as ``check``; warnings go to stderr."""
    tools = _checks()
    try:
        compiled = compile_path(arguments.file)
        warnings = tools.check(compiled).warnings if tools else [_UNCHECKED]
    except PolicyError as error:
        _show_mistakes(arguments.file, error, as_json=arguments.json)
        return NO
    for warning in warnings:
        note(f"warning: {warning}")
    output = arguments.output or Path(arguments.file).with_suffix(".cbor")
    try:
        output.write_bytes(compiled.canonical)
    except OSError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json({"ok": True, "output": str(output), "digest": compiled.digest, "bytes": len(compiled.canonical)})
    else:
        print_lines([f"{output}: {len(compiled.canonical)} bytes, sha256 {compiled.digest}"])
    return DONE


def explain(arguments: argparse.Namespace) -> int:
    """Explain one order; 0 if it would be allowed."""
    tools = tool("policy_explain")
    order = order_of(read_json(arguments.intent))
    verdict, rows = tools.explain(canonical_of(arguments.policy), arguments.engine, order, time.time_ns())
    if arguments.json:
        print_json({"verdict": verdict, "rules": rows})
    else:
        print_lines(_explanation(verdict, rows))
    return DONE if verdict["decision"] == "ALLOW" else NO


def _explanation(verdict: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Iterator[str]:
    numbers = [", ".join(f"{name}={value}" for name, value in row["numbers"].items()) for row in rows]
    cells = [[row["rule"], row["says"], row["reason"], shown] for row, shown in zip(rows, numbers, strict=True)]
    yield from table(["rule", "says", "why", "numbers"], cells)
    yield ""
    yield f"{verdict['decision']} by {verdict['rule']}" + (f": {verdict['reason']}" if verdict["reason"] else "")


def _replayed(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{found['intents']} intents: {found['allowed']} allowed, {found['refused']} refused,"
        f" {found['repeated']} repeats, {found['not_judged']} that cannot be judged"
    )
    if found["without_engine"]:
        yield f"{found['without_engine']} left out: no receipt says who sent them (--engine NAME judges them too)"
    yield (
        f"{found['allowed_then_refused']} passed then and would be refused now,"
        f" {found['refused_then_allowed']} were refused then and would pass now"
    )
    yield ""


def replay(arguments: argparse.Namespace) -> int:
    """Replay a journal."""
    tools = tool("policy_replay")
    if not Path(arguments.journal).is_file():
        message = f"{arguments.journal}: no such journal"
        raise UsageError(message)
    try:
        found = tools.replay(canonical_of(arguments.policy), Path(arguments.journal), arguments.engine)
    except tools.JournalError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json(found)
        return DONE
    rows = [[rule, str(count)] for rule, count in found["refused_by_rule"].items()]
    print_lines(_replayed(found))
    print_lines(table(["rule", "would refuse"], rows))
    return DONE
