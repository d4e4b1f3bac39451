"""Fixtures of sealed keys: the client's scripted host."""

from __future__ import annotations

from tests.client.conftest import host

__all__ = ["host"]
