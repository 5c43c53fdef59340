"""Control client: asks the host of a run, from another process, and waits for the answer.

It belongs to the one thread that made it, and never waits longer than it is told to.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import time
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from ..errors import RunError, refusal
from ..tasks.messages import Request
from .wire import Answer, Asked, Cutter, Face, FromHost, Refusal, address, frame, peer_of

__all__ = ["ControlClient"]

logger = logging.getLogger("subactors.runtime")

Reply = TypeVar("Reply")

_PAUSE: Final = 0.005
"""Seconds between two tries to connect."""

_from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)


class ControlClient:
    """A connection to a run's host.

    Args:
        path: the control socket.
        timeout: seconds that connecting, and sending, may take.
        face: where the person is who asks.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(self, path: Path, timeout: float, face: Face = "command line") -> None:
        self._face = face
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._cutter = Cutter(None)
        self._answers: dict[int, Answer | Refusal] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            with address(path) as name:
                self._connect(name)
            self.host_pid, _ = peer_of(self._socket)
            logger.debug("The host of %s (process %d) is asked.", path.parent.name, self.host_pid)
        except OSError:
            self._socket.close()
            raise

    def _connect(self, name: str) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._socket.connect(name)
            except (
                BlockingIOError
            ):  # too many wait to be accepted, and with a time-out the system does not wait for that
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def hang_up(self) -> None:
        """Have a thread that waits here for an answer wait no more: it gets a ConnectionError. From any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def ask(self, request: Request[Reply], timeout: float | None) -> Reply:
        """Send a request and return its reply; raises as `send` and `receive` do."""
        return self.receive(self.send(request), type(request), timeout)

    def send(self, request: Request[Any]) -> int:
        """Send a request and return its number; raises OSError if the host does not take it."""
        number = next(self._ids)
        self._socket.settimeout(self._timeout)
        self._socket.sendall(frame(Asked(number, msgspec.Raw(msgspec.msgpack.encode(request)), self._face)))
        return number

    def receive(self, number: int, kind: type[Request[Reply]], timeout: float | None) -> Reply:
        """Wait for the answer to a request.

        Args:
            number: what `send` has returned.
            kind: the request's type.
            timeout: seconds; None waits for as long as the host is there.

        Raises:
            RunError: the host refuses, in the way that the type and its message say.
            RuntimeClosedError: it is just ending.
            TimeoutError: it did not answer in time.
            ConnectionError: it has hung up, or said something that is not an answer.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while number not in self._answers:
            self._read(deadline)
        answer = self._answers.pop(number)
        if isinstance(answer, Refusal):
            raise refusal(answer.error, answer.message) or RunError(f"{answer.error}: {answer.message}")
        try:
            return kind.decode_reply(answer.body)
        except msgspec.MsgspecError as error:
            raise ConnectionError(f"The host's answer cannot be understood: {error}.") from error

    def _read(self, deadline: float | None) -> None:
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise TimeoutError("The host does not answer.")
        self._socket.settimeout(remaining)
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("The host has closed the connection.")
        try:
            for message in self._cutter.feed(data):
                answer = _from_host.decode(message)
                self._answers[answer.id] = answer
        except msgspec.MsgspecError as error:
            raise ConnectionError(f"The host's answer cannot be understood: {error}.") from error
