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
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections, and wait for the ends of those that there are."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                host, _ = self._listener.accept()
                thread = threading.Thread(target=self._connect, args=(host,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _connect(self, host: socket.socket) -> None:
        with host, socket.create_connection(self._there) as node:
            for end in (host, node):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._copy, args=(node, host, "to_host"), daemon=True)
            back.start()
            self._copy(host, node, "to_node")
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                with self._lock:
                    setattr(self, way, getattr(self, way) + len(data))
                target.sendall(data)
        # What one end has closed is closed for the other, both ways: nobody here half-closes.
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
