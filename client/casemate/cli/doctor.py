"""``casemate doctor``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli.output import DONE, NO, print_json, print_lines
from casemate.cli.usage import UsageError
from casemate.doctor.findings import Finding, Level
from casemate.doctor.machine import Machine
from casemate.doctor.parent import grpc_speaks_vsock
from casemate.doctor.placement import BadConfig, HostConfig, read_config
from casemate.doctor.run import accepted, examine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

_MARKS: Final = {Level.OK: "ok", Level.NOTE: "note", Level.UNKNOWN: "unknown", Level.SERIOUS: "SERIOUS"}


def add_doctor(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate doctor``."""
    parser = commands.add_parser(
        "doctor",
        help="is this machine fit to be an enclave's parent?",
        description="Check the machine that runs casemate-host: clock, processor, memory, kernel settings, devices,"
        " and, by the host's own configuration, co-location, journal and the way to the venues. One line a finding,"
        " with its remedy. Exit code 1 if one is serious. Changes nothing.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration of casemate-host")
    parser.add_argument(
        "--accept", action="append", default=[], metavar="CHECK", help="a serious finding that you know of; repeatable"
    )
    parser.add_argument("--all", action="store_true", help="show what is in order, too")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Show the findings; 1 if one is serious."""
    found = examine(Machine(), _config(arguments.config), grpc_speaks_vsock)
    findings = [accepted(each, arguments.accept) for each in found]
    known = {each.check for each in findings}
    for name in arguments.accept:
        if name not in known:
            message = f"--accept {name}: there is no such check; --all --json lists them"
            raise UsageError(message)
    if arguments.json:
        print_json({"findings": [_json(each) for each in findings], "levels": _levels(findings)})
    else:
        print_lines(_lines(findings, everything=arguments.all))
    return NO if any(each.level is Level.SERIOUS for each in findings) else DONE


def _config(path: Path | None) -> HostConfig | None:
    try:
        return None if path is None else read_config(path)
    except BadConfig as error:
        raise UsageError(str(error)) from None


def _json(finding: Finding) -> dict[str, str]:
    return {**finding._asdict(), "level": finding.level.value}


def _levels(findings: Iterable[Finding]) -> dict[str, int]:
    counted = Counter(each.level for each in findings)
    return {level.value: counted[level] for level in Level}


def _lines(findings: list[Finding], *, everything: bool) -> Iterator[str]:
    for each in findings:
        if everything or each.level is not Level.OK:
            remedy = f"; {each.remedy}" if each.remedy else ""
            yield f"{_MARKS[each.level]:<8}{each.check:<24}  {each.text}{remedy}"
    counted = _levels(findings)
    yield ", ".join(f"{count} {name}" for name, count in counted.items())
