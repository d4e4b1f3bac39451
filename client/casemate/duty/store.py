"""Where the state is kept. One officer holds it at a time; every write is durable when it returns, or it is StateLost.

A write names the revision that it follows: an officer that lost its hold without noticing cannot write over another's
state, and what was not written is never sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from casemate.duty.errors import Held, StateLost
from casemate.duty.model import State
from casemate.duty.texts import read_state, state_text

if TYPE_CHECKING:
    from collections.abc import Iterator


class Store(Protocol):
    """A place for one deployment's state."""

    def hold(self) -> State:
        """Become the one officer and return the state; raises Held, StateLost."""

    def read(self) -> State:
        """Return the state without holding it; raises StateLost."""

    def write(self, state: State) -> State:
        """Write durably what follows the state that this officer read or wrote last; returns it. Raises StateLost."""

    def ask(self, gateway: str) -> None:
        """Leave a wish for the officer that holds the state: the boot behind this gateway is to retire."""

    def asked(self) -> frozenset[str]:
        """Return the wishes."""

    def done(self, gateway: str) -> None:
        """Take a wish back."""

    def close(self) -> None:
        """Let go."""


_STATE: Final = "state.json"
_WISH: Final = "retire-"


class FileStore:
    """A directory of this machine: ``state.json``, and ``lock``, which the officer holds (flock)."""

    def __init__(self, directory: Path, deployment: str) -> None:
        """Touch nothing yet."""
        self._directory = directory
        self._deployment = deployment
        self._lock: int | None = None
        self._revision = -1

    def hold(self) -> State:
        """Take the lock; it ends with this process."""
        with self._translated():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                message = f"{self._directory}: another officer holds this state"
                raise Held(message) from None
        self._lock = lock
        state = self.read()
        self._revision = state.revision
        return state

    def read(self) -> State:
        """Read the file; a directory without one holds an empty state."""
        with self._translated():
            try:
                text = (self._directory / _STATE).read_text("utf-8")
            except FileNotFoundError:
                return State(deployment=self._deployment)
            return checked(read_state(text), self._deployment)

    def write(self, state: State) -> State:
        """Write beside it, then rename: a crash leaves the old state or the new one, whole."""
        if self._lock is None or state.revision != self._revision:
            message = f"{self._directory}: the state is not held, or is not the latest"
            raise StateLost(message)
        following = replace(state, revision=state.revision + 1)
        with self._translated():
            beside = self._directory / f"{_STATE}.new"
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(state_text(following))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._directory / _STATE)
            self._sync()
        self._revision = following.revision
        return following

    def _sync(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def ask(self, gateway: str) -> None:
        """Leave a file."""
        with self._translated():
            (self._directory / f"{_WISH}{gateway}").touch(mode=0o600)

    def asked(self) -> frozenset[str]:
        """List the files."""
        with self._translated():
            return frozenset(path.name.removeprefix(_WISH) for path in self._directory.glob(f"{_WISH}*"))

    def done(self, gateway: str) -> None:
        """Remove the file."""
        with self._translated():
            (self._directory / f"{_WISH}{gateway}").unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock; the file stays: removing it would let two hold "the" lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self._directory}: {error}"
            raise StateLost(message) from None


def checked(state: State, deployment: str) -> State:
    """Return the state; StateLost if it is another deployment's."""
    if state.deployment != deployment:
        message = f"the state belongs to deployment {state.deployment!r}, not {deployment!r}"
        raise StateLost(message)
    return state


def open_store(address: str, deployment: str) -> Store:
    """Open ``file:DIRECTORY`` or ``postgresql://...``; raises StateLost if a driver is missing."""
    if address.startswith("file:"):
        return FileStore(Path(address.removeprefix("file:")), deployment)
    from casemate.duty.postgres import PostgresStore  # noqa: PLC0415 - its driver is an extra

    return PostgresStore(address, deployment)
