"""Is this a credential that the venue's own code in the enclave takes? Says what is wrong, never what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enclave_signer.errors import BadCredential
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Mapping


def mistake(venue: str, fields: Mapping[str, str]) -> str:
    """Return what is wrong, naming the field; empty if nothing is. Raises KeyError for an unknown venue."""
    try:
        VENUES[venue].credential(fields)
    except BadCredential as error:
        return f"{error.field}: {error.message}"
    return ""


def venues() -> list[str]:
    """Return the names of the venues that are known."""
    return sorted(VENUES)
