"""Coverage-guided fuzzing of the readers of hostile bytes, for a bounded number of runs.

    python -m tests.attestation.fuzz.run TARGET [--runs N] [--seconds N] [--seed N] [--engine auto|atheris|builtin]

`make fuzz` runs every target for a while.

With atheris installed (it is optional, ``pip install atheris``) libFuzzer does the work; else a small engine of our own
does, which keeps every input that reaches a new line and mutates those. Exit code 0 if nothing but documented errors
came out; a crash prints the input in hexadecimal.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from tests.attestation.fuzz.targets import Target

TARGETS: Final = ("certificate", "claim", "document", "envelope", "facts", "handshake", "nsm", "payload", "quorum")
# What atheris instruments; the libraries below are compiled.
INSTRUMENTED: Final = [
    "casemate.attestation",
    "enclave_signer.admins",
    "enclave_signer.canonical",
    "enclave_signer.nitro",
    "enclave_signer.quorum",
    "enclave_signer.session",
]
INTERESTING: Final = (0x00, 0x01, 0x18, 0x1B, 0x30, 0x5B, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xD2, 0xF6, 0xFF)
MAX_BYTES: Final = 16_384


class Coverage:
    """Which lines of the chosen modules have run."""

    def __init__(self, modules: Sequence[str]) -> None:
        files = [importlib.import_module(name).__file__ or "" for name in modules]
        self._folders = tuple(name.removesuffix("__init__.py") for name in files)
        self._lines: set[tuple[str, int]] = set()

    def grows(self, run: Callable[[bytes], None], content: bytes) -> bool:
        before = len(self._lines)
        sys.settrace(self._on_call)
        try:
            run(content)
        finally:
            sys.settrace(None)
        return len(self._lines) > before

    def __len__(self) -> int:
        return len(self._lines)

    def _on_call(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename.startswith(self._folders) else None

    def _on_line(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._on_line


def mutate(content: bytes, corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """Change a few places: bits, bytes, cuts, copies, and pieces of other inputs."""
    changed = bytearray(content)
    for _ in range(1 << chance.randrange(4)):
        at = chance.randrange(len(changed) + 1)
        size = chance.randrange(1, 9)
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(changed):
                changed[at] = chance.choice(INTERESTING)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = bytes(chance.choice(INTERESTING) for _ in range(size))
            case 4:
                other = chance.choice(corpus)
                start = chance.randrange(len(other) + 1)
                changed[at : at + size] = other[start : start + chance.randrange(64)]
            case _:
                changed[at : at + size] = chance.randbytes(size)
    return bytes(changed[:MAX_BYTES])


def fuzz(target: Target, runs: int, seed: int, clock: Callable[[], float] = time.monotonic, seconds: int = 0) -> int:
    """Run our own engine, for so many runs or, where they are given, seconds; returns the exit code."""
    chance = random.Random(seed)
    coverage = Coverage(target.modules)
    corpus = list(target.seeds)
    content = b""
    ends = clock() + seconds
    done = 0
    try:
        for content in target.seeds:
            coverage.grows(target.run, content)
        while clock() < ends if seconds else done < runs:
            done += 1
            content = mutate(chance.choice(corpus), corpus, chance)
            if coverage.grows(target.run, content):
                corpus.append(content)
    except Exception:  # noqa: BLE001 - whatever a target lets out is the finding
        sys.stdout.write(f"{traceback.format_exc()}CRASH {content.hex()}\n")
        return 1
    sys.stdout.write(f"{done} runs, {len(coverage)} lines, {len(corpus)} inputs kept, nothing found\n")
    return 0


def fuzz_with_atheris(name: str, runs: int, seed: int, seconds: int) -> None:
    """Hand over to libFuzzer, which ends the process itself."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = load_targets()[name]
    # libFuzzer leaves without unwinding: the folder stays, with the crash if there is one.
    folder = Path(tempfile.mkdtemp(prefix="casemate-fuzz-"))
    (folder / "corpus").mkdir()
    for index, content in enumerate(target.seeds):
        (folder / "corpus" / str(index)).write_bytes(content)
    bound = f"-max_total_time={seconds}" if seconds else f"-runs={runs}"
    options = [
        bound,
        "-verbosity=0",
        "-print_final_stats=1",
        f"-seed={seed}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], target.run)
    atheris.Fuzz()


def load_targets() -> Mapping[str, Target]:
    """Import the targets only when the engine is ready to see the imports."""
    targets: Mapping[str, Target] = importlib.import_module("tests.attestation.fuzz.targets").TARGETS
    return targets


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=0, help="in place of --runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("auto", "atheris", "builtin"), default="auto")
    arguments = parser.parse_args(argv)
    has_atheris = importlib.util.find_spec("atheris") is not None
    if arguments.engine == "atheris" or (arguments.engine == "auto" and has_atheris):
        fuzz_with_atheris(arguments.target, arguments.runs, arguments.seed, arguments.seconds)
    return fuzz(load_targets()[arguments.target], arguments.runs, arguments.seed, seconds=arguments.seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
