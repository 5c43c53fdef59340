"""Relay: counts the bytes that go between a host and a node, one way and the other. For bytes alone: it takes time."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

__all__ = ["Relay"]

_PIECE: Final = 65_536


class Relay:
    """A port of this machine, each of whose connections goes on to another address.

    Args:
        address: where they go on to.

    Attributes:
        address: of the relay.
        to_node: bytes so far, from who connects.
        to_host: bytes so far, to who connects.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._there = address
        self._listener = socket.create_server((address[0], 0), backlog=1024)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.to_node = self.to_host = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that there are go on until their ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._there)
                for end in (ours, theirs):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for way in ((ours, theirs, True), (theirs, ours, False)):
                    threading.Thread(target=self._copy, args=way, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_to_node: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                with self._lock:
                    if is_to_node:
                        self.to_node += len(data)
                    else:
                        self.to_host += len(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
