"""A wire tap: a proxy between two unix sockets that keeps every byte that went either way."""

import contextlib
import socket
import threading
from pathlib import Path


class Tap:
    """Listens on one unix socket, forwards to another, and remembers what it carried."""

    def __init__(self, listen: Path, to: Path) -> None:
        self._to = to
        self.from_target = bytearray()
        self.to_target = bytearray()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(listen))
        self._listener.listen(8)
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(str(self._to))
                except OSError:
                    # What is tapped has gone: so has the way to it.
                    near.close()
                    far.close()
                    continue
                self._ends += [near, far]
                threading.Thread(target=_pump, args=(near, far, self.to_target), daemon=True).start()
                threading.Thread(target=_pump, args=(far, near, self.from_target), daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            kept += piece
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
