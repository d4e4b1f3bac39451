"""Reading a venue's parameters: text that must be a plain decimal, and steps as counts of decimals."""

import re
from collections.abc import Mapping
from decimal import Decimal

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def decimal_or_none(value: object) -> Decimal | None:
    """Return a plain decimal without sign or exponent, given as text; None when it is anything else."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        return None
    return Decimal(value)


def places(step: Decimal) -> int:
    """Count of decimals that a step needs: 0.01 gives 2, 10 gives 0."""
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def text_or_none(values: Mapping[str, object], name: str) -> str | None:
    """Text under a name; None when absent, empty, or not text."""
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def read_flag(values: Mapping[str, object], name: str) -> bool:
    """Whether a JSON boolean (or its text, which several venues accept) is true."""
    return values.get(name) in {True, "true"}
