"""A mock KMS in this process, for boto3; and one in a process of its own, for programs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from aiohttp import web
from botocore.config import Config

from casemate_mock.kms.front import REGION, MockKms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IMAGE: Final = "kms:RecipientAttestation:ImageSha384"
# What boto3 asks of its surroundings; these open nothing.
AWS: Final = {
    "AWS_ACCESS_KEY_ID": "mock",
    "AWS_SECRET_ACCESS_KEY": "mock",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def key_policy(pcr0: bytes, **conditions: Any) -> str:
    """Whoever seals may have data keys; only an enclave of this image may open them."""
    enclave = {"StringEqualsIgnoreCase": {IMAGE: pcr0.hex(), **conditions}}
    principal: dict[str, Any] = {"Principal": "*", "Resource": "*"}
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "Seal", "Effect": "Allow", "Action": "kms:GenerateDataKey", **principal},
                {"Sid": "Open", "Effect": "Allow", "Action": "kms:Decrypt", **principal, "Condition": enclave},
            ],
        }
    )


@contextmanager
def served(application: web.Application) -> Iterator[str]:
    """Serve in a thread; the URL."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, access_log=None)

    async def begin() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(begin(), loop).result(10)}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def client(kms: MockKms) -> Iterator[Any]:
    """A boto3 client of a mock KMS."""
    with served(kms.app()) as url:
        made = boto3.client(
            "kms",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="mock",
            aws_secret_access_key="mock",  # noqa: S106 - opens nothing
            config=Config(retries={"total_max_attempts": 1}),
        )
        yield made
        made.close()


@contextmanager
def process(root: Path, policies: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """``casemate-mock kms``; what its READY line says."""
    keys = [word for alias, path in policies.items() for word in ("--key", f"{alias}={path}")]
    command = [sys.executable, "-m", "casemate_mock", "kms", "--root", str(root), *keys]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield ready(running)
        finally:
            running.terminate()


def ready(running: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the READY line."""
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("READY "):
            said: dict[str, Any] = json.loads(line.removeprefix("READY "))
            return said
    message = "it ended before it was ready"
    raise AssertionError(message)


def eventually(wanted: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until it is so."""
    step = threading.Event()
    for _ in range(int(seconds * 20)):
        if wanted():
            return True
        step.wait(0.05)
    return False
