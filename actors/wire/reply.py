"""Reply: the answer to an ask, on its way from a child to its asker, who decodes it, and not the I/O thread.

An answer of more values than `value_count` allows is never decoded.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pykka

from ..errors import PlainDataError, ProtocolError
from ..interrupts import acquire
from .frames import encode_plain
from .value_count import check_count

if TYPE_CHECKING:
    from pykka._types import OptExcInfo

__all__ = ["EncodedReply", "ReplyFuture", "encode_reply"]


class EncodedReply:
    """A child's answer, not decoded yet.

    Args:
        body: the answer as well-formed msgpack.
        refused: is called, from whatever thread, with what is wrong if it is not plain data or holds too much.
    """

    def __init__(self, body: bytes, refused: Callable[[str], None]) -> None:
        self._body: bytes | None = body
        self._refused = refused
        self._lock = threading.Lock()
        self._value: Any = None
        self._problem = ""

    def value(self) -> Any:
        """Return the answer; the same object each time. Raises ProtocolError if there is something wrong with it."""
        with self._lock:
            if self._body is not None:
                try:
                    self._value = _decode(self._body)
                except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, MemoryError) as error:
                    self._problem = f"an answer that is not plain data: {error}"
                self._body = None
                if self._problem:
                    self._refused(self._problem)
        if self._problem:
            raise ProtocolError(self._problem)
        return self._value


class ReplyFuture(pykka.Future[Any]):
    """A future that decodes what the child answered, in the thread that gets it. For any threads.

    Not pykka's own, which is made of a condition variable: to wait for a lock alone takes a sixth off a round trip.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outcome: tuple[Any, OptExcInfo | None] | None = None
        self._lock = threading.Lock()
        self._pending = threading.Lock()
        """Held until there is something to get."""
        self._pending.acquire()

    def get(self, *, timeout: float | None = None) -> Any:
        """See pykka. Raises ProtocolError for an answer that is not plain data, or holds too much."""
        if self._outcome is None and self._get_hook is None:
            if not acquire(self._pending, timeout):
                raise pykka.Timeout(f"{timeout} seconds")
            self._pending.release()  # for the next one who waits
        if self._outcome is None:
            with self._lock:
                return super().get(timeout=timeout)  # what a hook makes, which is called once
        value, error = self._outcome
        if error is not None:
            kind, instance, traceback = error
            assert kind is not None  # noqa: S101 - what `set_exception` was given
            raise (instance or kind()).with_traceback(traceback)
        return value.value() if isinstance(value, EncodedReply) else value

    def set(self, value: Any | None = None) -> None:
        self._settle((value, None))

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        self._settle((None, exc_info or sys.exc_info()))

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        with self._lock:
            if self._outcome is not None:
                raise queue.Full
            is_first = self._get_hook is None
            super().set_get_hook(func)
        if is_first:
            self._pending.release()

    def _settle(self, outcome: tuple[Any, OptExcInfo | None]) -> None:
        with self._lock:
            if self._outcome is not None or self._get_hook is not None:
                raise queue.Full
            self._outcome = outcome
        self._pending.release()


def encode_reply(value: Any) -> msgspec.Raw:
    """Return an answer encoded; runs in the child.

    Raises:
        PlainDataError: it is not plain data, or holds too many values.
    """
    body = encode_plain(value)
    try:
        check_count(bytes(body))
    except ValueError as error:
        raise PlainDataError(f"{type(value).__name__} cannot cross to another process as an answer: {error}") from None
    return body


def _decode(body: bytes) -> Any:
    check_count(body)
    return msgspec.msgpack.decode(body)
