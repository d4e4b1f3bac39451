"""What Terraform refuses, and in which words: `terraform test` only says that something was refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.terraform import rig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = rig.needs_terraform

# The run of terraform/tests that expects it, and words of the message that its user sees.
REFUSED = {
    "key:a_pcr_of_zeros_is_refused": "A PCR of zeros is a debug enclave's, or of something that is not there",
    "key:a_short_pcr_is_refused": "A PCR is 96 lower-case hexadecimal digits (SHA-384)",
    "host:a_t3_is_refused": "This type is burstable: it slows down once its credits are spent",
    "host:a_burstable_type_of_another_name_is_refused": "c7i.2xlarge is burstable: it slows down once its credits",
    "host:a_type_without_enclaves_is_refused": "c7i.2xlarge has no Nitro Enclaves.",
    "host:a_public_subnet_is_refused": "The subnet is public: its route table leads to an internet gateway.",
    "host:a_subnet_that_gives_public_addresses_is_refused": "The subnet gives its instances public addresses",
    "host:an_account_in_two_leases_is_refused": "An account stands in two leases: one host signs for an account",
}


def alone(folder: Path) -> None:
    """Give each run that is listed a file of its own, for the first failure of a file ends it; expect nothing of it."""
    for path in sorted((folder / "tests").glob("*.tftest.hcl")):
        common, *runs = re.split(r'^(?=run ")', path.read_text(), flags=re.MULTILINE)
        path.unlink()
        for run in runs:
            name = f"{path.name.partition('.')[0]}:{run.split(chr(34))[1]}"
            if name in REFUSED:
                unexpected = re.sub(r"\n *expect_failures = \[[^]]*\]\n", "\n", run)
                path.with_name(f"{name.replace(':', '-')}.tftest.hcl").write_text(common + unexpected)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Everything that the refusals say."""
    folder = rig.copied(tmp_path_factory.mktemp("refused"))
    alone(folder)
    rig.ready(folder)
    done = rig.terraform(folder, "test", "-no-color")
    assert done.returncode == 1
    # Its frames break lines wherever the terminal ends.
    return " ".join(re.sub(r"[│╷╵]", " ", done.stdout + done.stderr).split())


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_a_message_that_says_why(said: str, message: str) -> None:
    assert message in said


def test_each_refusal_is_one_of_terraform_s_own_tests() -> None:
    for name in REFUSED:
        file, _, run = name.partition(":")
        assert f'run "{run}"' in (rig.ROOT / "terraform" / "tests" / f"{file}.tftest.hcl").read_text()
