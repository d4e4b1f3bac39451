"""The fuzz targets run for a bounded time, and the engine that runs them without atheris does find things."""

from __future__ import annotations

import pytest

from tests.attestation.fuzz import run
from tests.attestation.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_s8_hostile_bytes_raise_nothing_but_documented_errors(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fuzz(TARGETS[name], runs=1_000, seed=7) == 0, capsys.readouterr().out


def test_the_command_line_knows_every_target() -> None:
    assert tuple(sorted(TARGETS)) == run.TARGETS


def planted(content: bytes) -> None:
    """Crash behind three nested conditions, which chance alone would not meet."""
    if content[:1] == b"\xd2":
        if content[1:2] == b"\x9f":
            if content[2:3] == b"\x7f":
                message = "planted"
                raise KeyError(message)
            return
        return


def test_the_engine_follows_coverage_to_a_planted_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fuzz(Target(planted, (b"seed",), (__name__,)), runs=60_000, seed=1) == 1
    assert "CRASH d29f7f" in capsys.readouterr().out
