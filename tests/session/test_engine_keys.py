"""The policy names the key of each engine, once and in one form; without keys its bytes stay what they were."""

from __future__ import annotations

import cbor2
import pytest

from casemate.errors import BadRequest, PolicyError
from casemate.policy import compile_policy
from tests.session.session_rig import ENGINE, POLICY, Rig

KEY = "ab" * 32


def _compiled(*keys: str) -> bytes:
    tables = (ENGINE.format(name=f"engine-{index}", key=key) for index, key in enumerate(keys))
    return compile_policy(POLICY.format(version=1, engines="".join(tables))).canonical


def test_a_policy_without_keys_does_not_mention_them() -> None:
    engines = cbor2.loads(_compiled("", f'public_key = "{KEY}"\n'))["engines"]
    assert ["public_key" in engine for engine in engines] == [False, True]
    Rig().load_policy(_compiled(""))


@pytest.mark.parametrize("key", ["", "ab" * 31, "ab" * 33, "AB" * 32, "zz" * 32, f"0x{'ab' * 31}"])
def test_a_key_in_another_form_is_refused_by_compiler_and_enclave(key: str) -> None:
    with pytest.raises(PolicyError, match="public_key"):
        _compiled(f'public_key = "{key}"\n')
    document = cbor2.loads(_compiled(f'public_key = "{KEY}"\n'))
    for wrong in (key, None, bytes.fromhex(KEY)):
        document["engines"][0]["public_key"] = wrong
        with pytest.raises(BadRequest, match="BAD_POLICY"):
            Rig().load_policy(cbor2.dumps(document, canonical=True))


def test_s3_two_engines_do_not_share_a_key() -> None:
    with pytest.raises(BadRequest, match="each public_key once"):
        Rig().load_policy(_compiled(*[f'public_key = "{KEY}"\n'] * 2))


@pytest.mark.parametrize("key", ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "ff" * 32])
def test_s3_a_key_for_which_anybody_can_sign_names_no_engine(key: str) -> None:
    document = cbor2.loads(_compiled(f'public_key = "{KEY}"\n'))
    document["engines"][0]["public_key"] = key
    with pytest.raises(BadRequest, match="prime order"):
        Rig().load_policy(cbor2.dumps(document, canonical=True))
