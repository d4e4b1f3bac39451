"""The stubs of proto/: `make stubs` writes them beside their .proto, `make check` runs this with --check.

The generator is older than the runtime on purpose and lives in an environment of its own: newer protobuf runtimes
read older stubs, never the other way round.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import environment
from tools.distributions import ROOT

PROTO = ROOT / "proto"
LOCK = ROOT / "requirements" / "stubs.lock"
VENV = environment.CACHE / "stubs"
ENDINGS = ("_pb2.py", "_pb2.pyi")


def sources() -> list[Path]:
    """Every .proto, as its own imports name it."""
    return sorted(path.relative_to(PROTO) for path in PROTO.glob("*/v*/*.proto"))


def committed() -> list[Path]:
    """Every stub that lies in proto/."""
    return sorted(
        path.relative_to(PROTO) for path in PROTO.glob("*/v*/*_pb2*") if path.name.endswith((*ENDINGS, "_pb2_grpc.py"))
    )


def generate(target: Path) -> list[Path]:
    """Generate every stub below the target."""
    with environment.alone("stubs"):
        environment.locked(VENV, LOCK)
    subprocess.run(
        [
            VENV / "bin" / "python", "-m", "grpc_tools.protoc", f"--proto_path={PROTO}",
            f"--python_out={target}", f"--pyi_out={target}", *map(str, sources()),
        ],
        check=True,
    )  # fmt: skip
    return [path.with_name(path.stem + ending) for path in sources() for ending in ENDINGS]


def differences(fresh: Path, generated: list[Path]) -> list[str]:
    """Say which committed stubs are not what the generator makes of the .proto of today."""
    told = [f"proto/{path}: no .proto makes it" for path in committed() if path not in generated]
    for path in generated:
        mine = PROTO / path
        if not mine.exists():
            told.append(f"proto/{path}: missing")
        elif mine.read_bytes() != (fresh / path).read_bytes():
            told.append(f"proto/{path}: differs from its .proto")
    return told


def main(arguments: list[str]) -> int:
    """Write the stubs, or compare them."""
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        generated = generate(fresh)
        if arguments == ["--check"]:
            told = differences(fresh, generated)
            for line in told:
                sys.stderr.write(f"{line}\n")
            if told:
                sys.stderr.write("run `make stubs`\n")
            return 1 if told else 0
        for path in committed():
            if path not in generated:
                (PROTO / path).unlink()
        for path in generated:
            shutil.copyfile(fresh / path, PROTO / path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
