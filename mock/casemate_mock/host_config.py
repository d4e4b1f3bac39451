"""The host's configuration file for a stack."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from casemate_mock.config import DEMO_ACCOUNTS

_LIFTED = 1_000_000_000
# The buckets that orders and cancels take from, by venue: what --no-rate-limits lifts. Simulated venues have no
# limits but those that their own settings state.
_BUCKETS: Mapping[str, Sequence[str]] = {
    "binance": ("orders-10s", "orders-long", "weight-1m"),
    "binanceusdm": ("orders-10s", "orders-long", "weight-1m"),
    "bybit": ("create-1s", "amend-1s", "cancel-1s", "cancel-all-1s", "query-1s", "ip-5s"),
    "okx": ("create-2s", "amend-2s", "cancel-2s", "query-2s", "sub-account-2s"),
    "kraken": ("pair-counter", "rest-counter"),
    "coinbase": ("requests-1s",),
    "backpack": ("requests-1m",),
}


def host_config(
    directory: Path,
    listen: Sequence[str],
    enclave: str,
    venues: Mapping[str, Any],
    *,
    rate_limits: bool,
    kms: Mapping[str, Any] | None = None,
) -> str:
    """Write TOML; `venues` is what the simulated venues said on their READY line."""
    plaintext = any(not address.startswith("unix:") for address in listen)
    lines = [
        f"listen = {json.dumps(list(listen))}",
        f"enclave = {json.dumps(enclave)}",
        *(["insecure_plaintext_tcp_for_development = true"] if plaintext else []),
        "[journal]",
        f"path = {json.dumps(str(directory / 'journal.db'))}",
    ]
    if kms is not None:
        lines += ["[kms]", f"region = {json.dumps(kms['region'])}", f"endpoint_url = {json.dumps(kms['endpoint_url'])}"]
    for venue, server in {account.venue: account.server for account in DEMO_ACCOUNTS}.items():
        connect = ", ".join(f'"{host}" = {json.dumps(venues[server]["url"])}' for host in venues[server]["hosts"])
        lines += [f"[venues.{venue}]", f"connect = {{ {connect} }}"]
        if not rate_limits:
            lifted = ", ".join(f"{bucket} = {_LIFTED}" for bucket in _BUCKETS[venue])
            lines.append(f"limits = {{ {lifted} }}")
    return "\n".join(lines) + "\n"
