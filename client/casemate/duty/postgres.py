"""The state in PostgreSQL, one row a deployment: an advisory lock of the session holds it, the revision is the fence.

Should the session end unnoticed (a fail-over of the database, a network that forgot the connection), another officer
can take the lock; the first one's next write then finds another revision, or no connection, and ends it. Needs psycopg
(``pip install "casemate[postgresql]"``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from casemate.duty.errors import Held, StateLost
from casemate.duty.model import State
from casemate.duty.store import checked
from casemate.duty.texts import read_state, state_text

if TYPE_CHECKING:
    from collections.abc import Iterator

# `synchronous_commit` by name: a server set otherwise would lose what was answered.
_OPTIONS: Final = "-c synchronous_commit=on -c statement_timeout=5000 -c lock_timeout=5000"
# A server, or what is between, that says nothing for so long is lost: `statement_timeout` is for it to keep.
ANSWER_S: Final = 10.0
_TABLES: Final = """
create table if not exists casemate_duty (
    deployment text primary key, revision bigint not null, state text not null);
create table if not exists casemate_duty_wish (
    deployment text, gateway text, primary key (deployment, gateway));
"""
_LOCK: Final = "select pg_try_advisory_lock(hashtextextended('casemate.duty ' || %s, 0))"


class PostgresStore:
    """One row of a table that this makes for itself."""

    def __init__(self, address: str, deployment: str) -> None:
        """Connect later; StateLost if the driver is not installed."""
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError:
            message = 'postgresql: needs psycopg: pip install "casemate[postgresql]"'
            raise StateLost(message) from None
        self._psycopg: Any = psycopg
        self._address = address
        self._deployment = deployment
        self._connection: Any = None
        self._revision = -1

    def hold(self) -> State:
        """Take the advisory lock; it ends with the connection."""
        with self._translated():
            connection = self._connected()
            if not connection.execute(_LOCK, (self._deployment,)).fetchone()[0]:
                self.close()
                message = f"postgresql: another officer holds the state of {self._deployment}"
                raise Held(message)
        state = self.read()
        self._revision = state.revision
        return state

    def read(self) -> State:
        """Read the row; none is an empty state."""
        with self._translated():
            query = "select state from casemate_duty where deployment = %s"
            row = self._connected().execute(query, (self._deployment,)).fetchone()
        return checked(read_state(row[0]), self._deployment) if row else State(deployment=self._deployment)

    def write(self, state: State) -> State:
        """Write the row if it still is the one that was read last."""
        if state.revision != self._revision:
            message = "postgresql: the state is not held, or is not the latest"
            raise StateLost(message)
        following = replace(state, revision=state.revision + 1)
        query = (
            "insert into casemate_duty as own values (%(name)s, %(next)s, %(text)s) on conflict (deployment) do update"
            " set revision = %(next)s, state = %(text)s where own.revision = %(revision)s"
            if state.revision
            else "insert into casemate_duty values (%(name)s, %(next)s, %(text)s) on conflict do nothing"
        )
        values = {
            "name": self._deployment,
            "next": following.revision,
            "text": state_text(following),
            "revision": state.revision,
        }
        with self._translated():
            # Not through `_connected`: a new connection would not hold the lock.
            written = self._connection.execute(query, values).rowcount
        if written != 1:
            message = "postgresql: another officer wrote this state"
            raise StateLost(message)
        self._revision = following.revision
        return following

    def ask(self, gateway: str) -> None:
        """Leave a row."""
        query = "insert into casemate_duty_wish values (%s, %s) on conflict do nothing"
        with self._translated():
            self._connected().execute(query, (self._deployment, gateway))

    def asked(self) -> frozenset[str]:
        """List the rows."""
        query = "select gateway from casemate_duty_wish where deployment = %s"
        with self._translated():
            return frozenset(row[0] for row in self._connected().execute(query, (self._deployment,)).fetchall())

    def done(self, gateway: str) -> None:
        """Remove the row."""
        query = "delete from casemate_duty_wish where deployment = %s and gateway = %s"
        with self._translated():
            self._connected().execute(query, (self._deployment, gateway))

    def close(self) -> None:
        """End the session, and the lock with it."""
        if self._connection is not None:
            # The server notices the end of a session a little later than we do.
            with contextlib.suppress(StateLost), self._translated():
                self._connection.execute("select pg_advisory_unlock_all()")
            self._connection.close()
            self._connection = None

    def _connected(self) -> Any:  # noqa: ANN401 - the driver is optional, and so are its types
        if self._connection is None:
            self._connection = self._psycopg.connect(
                self._address, autocommit=True, connect_timeout=5, options=_OPTIONS, application_name="casemate duty"
            )
            self._connection.execute(_TABLES)
        return self._connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        watch = threading.Timer(ANSWER_S, self._cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        except (self._psycopg.Error, AttributeError) as error:
            # The driver's own text may show the address with its password.
            message = f"postgresql: {type(error).__name__}"
            raise StateLost(message) from None
        finally:
            watch.cancel()

    def _cut(self) -> None:
        """End the connection under whoever waits for it."""
        with (
            contextlib.suppress(self._psycopg.Error, AttributeError, OSError),
            socket.socket(fileno=os.dup(self._connection.fileno())) as connection,
        ):
            connection.shutdown(socket.SHUT_RDWR)
