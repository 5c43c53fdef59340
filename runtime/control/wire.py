"""Control wire: messages on a run's control socket, requests of the same user's processes and the host's answers.

A message is four bytes of length and msgpack. Only data crosses, decoded against the types that are declared here and
in `tasks/messages`; neither side can make the other run anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

__all__ = ["Answer", "Asked", "Cutter", "Face", "FromHost", "Refusal", "address", "frame", "peer_of"]

_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("iII")


Face: TypeAlias = Literal["command line", "dashboard", "top"]


class Asked(msgspec.Struct, frozen=True):
    """Another process to the host: a request; an answer with this id is owed.

    Attributes:
        id: its number.
        request: one of `TaskRequest` but those of `StartRequest`, a `WatchTasks`, or a `NodeRequest`.
        face: where the person is who asks: reasons of stops, and the tasks that are spoken to, are told.
    """

    id: int
    request: msgspec.Raw
    face: Face = "command line"


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The host to the asker: the reply that the request's type names."""

    id: int
    body: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """The host to the asker: the name of an error of `errors`, and what it says."""

    id: int
    error: str
    message: str


FromHost: TypeAlias = Answer | Refusal


def frame(message: Any) -> bytes:
    """Return a message as it is sent; raises TypeError, ValueError or OverflowError if it holds what is not data."""
    payload = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(payload)) + payload


class Cutter:
    """Cuts a stream of bytes into messages.

    Args:
        limit: longest message accepted, in bytes; None where the sender is trusted.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def has_begun(self) -> bool:
        """Whether there is a part of a message that is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and yield each message that is whole; raises ValueError for one that is too long."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if self._limit is not None and size > self._limit:
                raise ValueError(f"a message of {size:,} bytes; {self._limit:,} are allowed")
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield message


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """Give the name by which to bind, or connect to, a socket.

    The system takes names of at most 107 bytes, which a folder alone can exceed; by its descriptor it is short.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return the ids of the process at the other end and of its user, as the kernel knows them."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    return process, user
