"""The key's policy, decided for each kind of caller.

The JSON beside this file is what Terraform makes of the settings beside it; where there is a Terraform, it makes it
anew and both are compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.terraform import rig
from tests.terraform.iam import Request, allowed

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "key.tfvars.json").read_text())
POLICY = json.loads((HERE / "key_policy.json").read_text())
OLD, NEW = SETTINGS["measurements"]["2026-11"], SETTINGS["measurements"]["2026-12"]
HOST = SETTINGS["host_role_arn"]
(ADMINISTRATOR,) = SETTINGS["administrator_role_arns"]
(SEALER,) = SETTINGS["sealer_role_arns"]
STRANGER = "arn:aws:iam::111122223333:role/somebody"
ZEROS = "0" * 96
# What a careless administrator gives somebody elsewhere.
EVERYTHING = [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]
SEALED_FOR_US = {"kms:EncryptionContext:deployment": "desk-1", "kms:EncryptionContext:purpose": "credential"}


def attested(**pcrs: str) -> dict[str, str]:
    """What KMS knows of a request with an attestation document. Unsigned images have a PCR8 of zeros, not none."""
    return {f"kms:RecipientAttestation:{name.upper()}": value for name, value in {"pcr8": ZEROS, **pcrs}.items()}


def decrypt(principal: str = HOST, *, context: Any = None, **pcrs: str) -> Request:
    """``context``: a dictionary, of the sealed data key."""
    sealed_for = SEALED_FOR_US if context is None else context
    document = attested(**pcrs) if pcrs else {}
    return Request(principal=principal, action="kms:Decrypt", context={**sealed_for, **document})


@pytest.mark.parametrize("measured", [OLD, NEW], ids=["old release", "new release"])
def test_the_right_enclave_gets_its_credentials_through_the_host(measured: dict[str, str]) -> None:
    assert allowed(POLICY, decrypt(**measured))


def test_a_measurement_in_capitals_is_the_same() -> None:
    assert allowed(POLICY, decrypt(**{name: value.upper() for name, value in OLD.items()}))


@pytest.mark.parametrize(
    ("release", "register"),
    [(release, register) for release, measured in SETTINGS["measurements"].items() for register in measured],
)
def test_one_wrong_register_gets_nothing(release: str, register: str) -> None:
    measured = SETTINGS["measurements"][release]
    assert not allowed(POLICY, decrypt(**{**measured, register: "c" * 96}))


@pytest.mark.parametrize("register", ["pcr0", "pcr1", "pcr2"])
def test_registers_of_two_releases_do_not_mix(register: str) -> None:
    assert not allowed(POLICY, decrypt(**{**OLD, register: NEW[register]}))
    assert not allowed(POLICY, decrypt(**{**NEW, register: OLD[register]}))


def test_a_debug_enclave_gets_nothing() -> None:
    # PCR3 stays real in debug mode, and so may PCR8.
    assert not allowed(POLICY, decrypt(**{**NEW, "pcr0": ZEROS, "pcr1": ZEROS, "pcr2": ZEROS}))


def test_without_attestation_nobody_gets_anything() -> None:
    for principal in (HOST, ADMINISTRATOR, SEALER, STRANGER, "arn:aws:iam::111122223333:root"):
        assert not allowed(POLICY, decrypt(principal))
        assert not allowed(POLICY, decrypt(principal), EVERYTHING)


@pytest.mark.parametrize(
    "action",
    [
        "kms:CreateGrant", "kms:DescribeKey", "kms:DisableKey", "kms:Encrypt", "kms:GenerateDataKey",
        "kms:PutKeyPolicy", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RetireGrant", "kms:ScheduleKeyDeletion",
    ],
)  # fmt: skip
def test_the_host_s_role_alone_can_do_nothing_else_whatever_iam_gives_it(action: str) -> None:
    request = Request(principal=HOST, action=action, context={**SEALED_FOR_US, **attested(**OLD)})
    assert not allowed(POLICY, request)
    assert not allowed(POLICY, request, EVERYTHING)


def test_what_was_sealed_for_another_deployment_stays_shut() -> None:
    other = {**SEALED_FOR_US, "kms:EncryptionContext:deployment": "desk-2"}
    assert not allowed(POLICY, decrypt(context=other, **OLD))
    assert not allowed(POLICY, decrypt(context={}, **OLD))


@pytest.mark.parametrize("principal", [STRANGER, ADMINISTRATOR, SEALER])
def test_the_right_enclave_behind_another_role_gets_nothing(principal: str) -> None:
    assert not allowed(POLICY, decrypt(principal, **OLD))
    assert not allowed(POLICY, decrypt(principal, **OLD), EVERYTHING)


def test_an_administrator_changes_the_policy_and_never_uses_the_key() -> None:
    def may(action: str) -> bool:
        return allowed(POLICY, Request(principal=ADMINISTRATOR, action=action, context=SEALED_FOR_US), EVERYTHING)

    assert may("kms:PutKeyPolicy")
    assert may("kms:ScheduleKeyDeletion")
    assert not any(
        map(may, ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:ReEncryptFrom"))
    )


def test_a_sealer_seals_for_this_deployment_and_opens_nothing() -> None:
    def may(action: str, context: dict[str, str]) -> bool:
        return allowed(POLICY, Request(principal=SEALER, action=action, context=context))

    assert may("kms:GenerateDataKey", SEALED_FOR_US)
    assert not may("kms:GenerateDataKey", {**SEALED_FOR_US, "kms:EncryptionContext:deployment": "desk-2"})
    assert not may("kms:GenerateDataKey", {**SEALED_FOR_US, "kms:EncryptionContext:purpose": "other"})
    assert not may("kms:Decrypt", SEALED_FOR_US)
    assert not may("kms:PutKeyPolicy", SEALED_FOR_US)


CARELESS = {"Sid": "Careless", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
DEBUG = {**OLD, "pcr0": ZEROS, "pcr1": ZEROS, "pcr2": ZEROS}


def with_careless(*without: str) -> dict[str, Any]:
    kept = [one for one in POLICY["Statement"] if one["Sid"] not in without]
    return {**POLICY, "Statement": [*kept, CARELESS]}


@pytest.mark.parametrize(
    ("request_", "denials"),
    [
        (decrypt(STRANGER), ["DenyWithoutAttestation", "DenyOtherImages"]),
        (decrypt(STRANGER, **{**OLD, "pcr0": "c" * 96}), ["DenyOtherImages"]),
        (decrypt(STRANGER, **DEBUG), ["DenyOtherImages", "DenyDebugEnclaves"]),
        (Request(principal=HOST, action="kms:PutKeyPolicy"), ["DenyTheHostAllElse"]),
        (Request(principal=STRANGER, action="kms:CreateGrant"), ["DenyGrants"]),
    ],
    ids=["no attestation", "another image", "debug", "the host", "a grant"],
)
def test_the_denials_hold_beside_a_careless_statement_and_each_is_what_holds(
    request_: Request, denials: list[str]
) -> None:
    assert not allowed(with_careless(), request_)
    for kept in denials:
        assert not allowed(with_careless(*[one for one in denials if one != kept]), request_)
    assert allowed(with_careless(*denials), request_)


def test_an_operator_that_the_evaluator_does_not_know_is_no_guess() -> None:
    odd = {**CARELESS, "Condition": {"StringLike": {"kms:RecipientAttestation:PCR0": "*"}}}
    with pytest.raises(KeyError):
        allowed({"Statement": [odd]}, decrypt())


@rig.needs_terraform
def test_the_policy_beside_this_test_is_what_terraform_makes(tmp_path: Path) -> None:
    folder = rig.copied(tmp_path) / "modules" / "key"
    rig.ready(folder)
    done = rig.terraform(folder, "console", "-no-color", f"-var-file={HERE / 'key.tfvars.json'}", text="local.policy\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)) == POLICY
