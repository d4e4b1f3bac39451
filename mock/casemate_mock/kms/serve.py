"""``casemate-mock kms``: serve one region until told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from cryptography import x509

from casemate_mock.kms.front import REGION, MockKms
from casemate_mock.lifecycle import now_ms, ready, until_told

if TYPE_CHECKING:
    from pathlib import Path


def make(root: Path, policies: dict[str, Path]) -> MockKms:
    """Make it of its files, key policies by alias; raises ValueError or OSError for what cannot be used."""
    texts = {alias: path.read_text(encoding="utf-8") for alias, path in policies.items()}
    return MockKms(x509.load_pem_x509_certificate(root.read_bytes()), now_ms, policies=texts)


async def run(kms: MockKms, port: int) -> None:
    """Serve on 127.0.0.1."""
    runner = web.AppRunner(kms.app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready(endpoint_url=url, region=REGION, keys=kms.keys)
        await until_told(watch_stdin=False)
    finally:
        await runner.cleanup()
