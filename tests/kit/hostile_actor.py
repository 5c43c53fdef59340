"""An actor that breaks the protocol in every way there is."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time

from subactors.actors import ProcessActor
from subactors.actors.wire.messages import Attribute, Attributes

__all__ = ["Hostile"]


class Hostile(ProcessActor):
    """Writes to its channel what no healthy child writes."""

    def _socket(self) -> socket.socket:
        assert self._subactors_life is not None
        return self._subactors_life.channel._socket

    def send_bytes(self, data: bytes) -> None:
        self._socket().sendall(data)

    def send_bytes_and_exit(self, data: bytes) -> None:
        self._socket().sendall(data)
        os._exit(0)

    def send_bytes_and_wait(self, data: bytes) -> None:
        self._socket().sendall(data)
        time.sleep(600)

    def close_channel_and_live_on(self) -> None:
        # The mailbox thread would end the process as soon as it sees the end, so it must not get to run.
        sys.setswitchinterval(600)
        library = ctypes.PyDLL(None)
        library.shutdown(self._socket().fileno(), int(socket.SHUT_RDWR))
        library.sleep(600)

    def talk_for_ever(self) -> None:
        while True:
            self.supervisor.emit("x" * 100_000)

    def stop_reading(self) -> None:
        """Keep the mailbox thread from ever running again."""
        ctypes.PyDLL(None).sleep(600)

    def announce_attributes(self, rounds: int, each: int) -> None:
        """Announce attribute names without end."""
        for number in range(rounds):
            self.announce_names([f"name_{number}_{index}" for index in range(each)])

    def announce_names(self, names: list[str]) -> None:
        """Announce attributes of any name."""
        assert self._subactors_life is not None
        self._subactors_life.channel.send(Attributes({name: Attribute(callable=False) for name in names}))
