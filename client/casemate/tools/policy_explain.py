"""What every rule says about one order: the enclave's own rules, asked with fresh counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate import wire
from casemate.calls import DEFAULT_VALIDITY_NS, Calls
from casemate.errors import InvalidIntentError, PolicyError
from casemate.sealing import UnauthenticatedSealer
from enclave_signer.errors import BadPolicy, Malformed
from enclave_signer.policy.explain import Word
from enclave_signer.policy.explain import explain as ask
from enclave_signer.policy.simulate import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from casemate.intents import OrderIntent

_MS: Final = 1_000_000


def explain(policy: bytes, engine: str, order: OrderIntent, now_ns: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the verdict and what each rule says, as plain values.

    ``policy`` is canonical. Times that the order leaves open are filled in from ``now_ns``, which is also the
    enclave's clock. Raises PolicyError or InvalidIntentError.
    """
    try:
        intent = wire.intent_bytes(_stamped(policy, order, now_ns))
        rows = [_row(line.rule, line.word, line.reason, line.numbers) for line in ask(policy, engine, intent, now_ns)]
        verdict = Simulator(policy).judge(engine, intent, now_ns)
    except BadPolicy as error:
        raise PolicyError(error.message.splitlines()) from None
    except Malformed as error:
        raise InvalidIntentError(error.field, getattr(order, error.field, ""), error.message) from None
    decision = "ALLOW" if verdict.allowed else "REFUSE"
    return {**_parts(verdict.rule, verdict.reason, verdict.numbers), "decision": decision}, rows


def _stamped(policy: bytes, order: OrderIntent, now_ns: int) -> OrderIntent:
    try:
        max_age_ns = int(cbor2.loads(policy)["max_age_ms"]) * _MS
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError):
        message = "not a compiled policy: use a POLICY.toml, or what `casemate policy compile` wrote"
        raise PolicyError([message]) from None
    calls = Calls(UnauthenticatedSealer(""), lambda: now_ns, min(DEFAULT_VALIDITY_NS, max_age_ns))
    return calls.stamped(order)


def _row(rule: str, word: Word, reason: str, numbers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {**_parts(rule, reason, numbers), "says": word.value}


def _parts(rule: str, reason: str, numbers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {"rule": rule, "reason": reason, "numbers": dict(numbers)}
