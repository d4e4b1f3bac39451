"""The metrics' HTTP listener: prometheus-client's own, in a thread of its own, so that rendering delays no order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import start_http_server

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry


class CannotExport(Exception):
    """Metrics or traces cannot leave; the text says why."""


class Exporter:
    """Serves one registry at ``/metrics`` until :meth:`stop`."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Bind and serve; raises CannotExport."""
        try:
            server, thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            message = f"metrics: {host}:{port}: {error.strerror}"
            raise CannotExport(message) from None
        self._server: WSGIServer = server
        self._thread = thread
        self.port: int = server.server_port

    def stop(self) -> None:
        """Close the listener."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
