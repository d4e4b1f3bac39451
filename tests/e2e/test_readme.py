"""What README.md and docs/quickstart.md tell a new user to type does what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from casemate import read_profile
from casemate_mock.venue_server import FaultKind

if TYPE_CHECKING:
    from casemate_mock.pytest_plugin import RunningStack

pytest_plugins = ["casemate_mock.pytest_plugin"]
ROOT: Final = Path(__file__).parents[2]
SHOWN_DIRECTORY: Final = "/tmp/casemate"  # noqa: S108 - what the pages print; replaced before anything runs


def directory(stack: RunningStack) -> str:
    return str(stack.ready["directory"])


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def example(stack: RunningStack) -> str:
    code = (ROOT / "examples" / "first_order.py").read_text(encoding="utf-8")
    assert f"{SHOWN_DIRECTORY}/demo-engine.toml" in code
    return code.replace(SHOWN_DIRECTORY, directory(stack))


def commands(stack: RunningStack, text: str) -> list[str]:
    """The quick start's commands of one section, one after the other, without comments."""
    shell = "".join(re.findall(r"^```\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    joined = re.sub(r"\s*#(?= ).*", "", shell.replace("\\\n", " "))
    return [line.replace(SHOWN_DIRECTORY, directory(stack)) for line in joined.splitlines() if line]


def section(number: int) -> str:
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {number}. ")[2].partition("\n## ")[0]


def shell(command: str, stack: RunningStack) -> subprocess.CompletedProcess[str]:
    """Run one printed line as a user's shell would, with this interpreter's programs first."""
    more = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CASEMATE_PROFILE": stack.profile,
    }
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_first_order_of_the_readme_rests_at_the_venue(casemate_stack: RunningStack) -> None:
    before = len(casemate_stack.orders("binance"))
    done = python(example(casemate_stack))
    assert (done.returncode, done.stdout) == (0, "grant:trade OPEN\n"), done.stderr
    assert [order["status"] for order in casemate_stack.orders("binance")[before:]] == ["new"]


def test_the_first_order_says_why_when_it_is_refused(casemate_stack: RunningStack) -> None:
    done = python(example(casemate_stack).replace('"59000"', '"1"'))
    assert done.stdout == "refused by band because price 1 is outside the band\n", done.stderr


def test_the_names_of_the_quick_start_are_those_of_the_ready_line(casemate_stack: RunningStack) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(2), flags=re.MULTILINE)
    assert set(rows) == set(casemate_stack.ready)


def test_the_quick_start_trades_by_command_line(casemate_stack: RunningStack) -> None:
    refused = []
    boot = ""
    for command in commands(casemate_stack, section(3)):
        done = shell(boot + command, casemate_stack)
        # What one line puts aside, a later one uses.
        boot += f"{command}; " if command.partition("=")[0].isupper() else ""
        assert done.returncode in (0, 1), (command, done.stderr)
        if done.returncode:
            refused.append((command, done.stdout.partition(":")[0]))
    assert refused == [
        ("casemate submit examples/intent.json --price 1", "REFUSE by band"),
        ("casemate submit examples/intent.json", "REFUSE by halted"),
    ]


def test_the_quick_start_checks_tries_and_loads_a_policy_of_ones_own(tmp_path: Path) -> None:
    # Not at the top: pytest wants to load the plugin itself first.
    from casemate_mock.pytest_plugin import RunningStack  # noqa: PLC0415

    # Not the shared one: it trades under another policy afterwards.
    stack = RunningStack(tmp_path)
    try:
        assert python(example(stack)).returncode == 0
        _own_policy(stack)
    finally:
        stack.stop()


def _own_policy(stack: RunningStack) -> None:
    codes = {}
    for command in commands(stack, section(4)):
        done = shell(command, stack)
        codes[" ".join(command.split()[:3])] = done.returncode
        assert done.returncode in (0, 1), (command, done.stderr)
        if done.returncode:
            assert "REFUSE by max_notional" in done.stdout
    refused = [name for name, code in codes.items() if code]
    assert refused == ["casemate policy explain", "casemate submit examples/intent.json"]


def test_the_agents_own_example_trades(casemate_stack: RunningStack, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    listen = f"unix:{tmp_path}/agent.sock"
    command = [sys.executable, "-m", "casemate", "agent", "--profile", casemate_stack.profile, "--listen", listen]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline().startswith(b"READY ")
        done = python(code.replace(f"unix:{SHOWN_DIRECTORY}/agent.sock", listen))
        agent.terminate()
    assert (done.stdout, done.returncode) == ("grant:trade ORDER_STATE_OPEN\n", 0), done.stderr


def test_every_profile_that_the_agents_page_shows_can_be_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "mm-1.toml").write_text(shown, encoding="utf-8")
    profile = read_profile(tmp_path / "mm-1.toml")
    assert (profile.engine, profile.gateway().target) == ("mm-1", "dispatch.internal:7443")


def test_the_testing_page_s_own_tests_pass(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    conftest, tests, *_ = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_engine.py").write_text(tests, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("kind", FaultKind)
def test_the_testing_page_names_every_fault(kind: FaultKind) -> None:
    assert f"| `{kind.name}` |" in (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
