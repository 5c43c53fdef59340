"""The answer to an ask, on its way from a child to whoever asked: it is decoded by who asked, not in the I/O thread.

A few million bytes can stand for some hundred million once they are objects, and take a second in which no other thread
runs. So an answer of more values than is allowed is never decoded.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pykka

from ..errors import PlainDataError, ProtocolError
from ..interrupts import acquire
from .messages import encode_plain

if TYPE_CHECKING:
    from pykka._types import OptExcInfo

__all__ = ["MOST_VALUES", "EncodedReply", "ReplyFuture", "encode_reply"]

MOST_VALUES: Final = 1_000_000
"""Values that an answer may hold, those inside of lists and mappings counted; a text is one, however long."""

_FIX_MAP: Final = range(0x80, 0x90)
_FIX_LIST: Final = range(0x90, 0xA0)
_FIX_TEXT: Final = range(0xA0, 0xC0)
_FIXED_LENGTH: Final = {
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
    0xD4: 2,
    0xD5: 3,
    0xD6: 5,
    0xD7: 9,
    0xD8: 17,
}
"""Bytes that follow the first one of a number, and of an extension of fixed size."""
_LENGTH_FIRST: Final = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
}
"""Bytes of the length that follows, and bytes beyond it: of texts, bytes and extensions."""
_CONTAINERS: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Bytes of the count that follows, and values for each one counted: of lists and mappings."""


class EncodedReply:
    """A child's answer, not decoded yet.

    Args:
        body: the answer as well-formed msgpack.
        refused: is called, from whatever thread, with what is wrong if it is no plain data or holds too much.
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
                    self._problem = f"an answer that is no plain data: {error}"
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
        """See pykka. Raises ProtocolError for an answer that is no plain data, or holds too much."""
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
        """See pykka."""
        self._settle((value, None))

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """See pykka."""
        self._settle((None, exc_info or sys.exc_info()))

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        """See pykka."""
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
        _check_count(bytes(body))
    except ValueError as error:
        raise PlainDataError(f"{type(value).__name__} cannot cross to another process as an answer: {error}") from None
    return body


def _decode(body: bytes) -> Any:
    _check_count(body)
    return msgspec.msgpack.decode(body)


def _check_count(body: bytes) -> None:
    """Raise ValueError for more than `MOST_VALUES` values.

    In Python, so that other threads run meanwhile; and only where there can be so many at all.
    """
    position, count, size = 0, 1, len(body)
    if size <= MOST_VALUES:
        return
    while position < size and count <= MOST_VALUES:
        first = body[position]
        position += 1
        if first in _FIX_TEXT:
            position += first & 0x1F
        elif first in _FIX_LIST:
            count += first & 0x0F
        elif first in _FIX_MAP:
            count += 2 * (first & 0x0F)
        elif first in _FIXED_LENGTH:
            position += _FIXED_LENGTH[first]
        elif first in _LENGTH_FIRST:
            width, more = _LENGTH_FIRST[first]
            position += width + more + int.from_bytes(body[position : position + width])
        elif first in _CONTAINERS:
            width, each = _CONTAINERS[first]
            count += each * int.from_bytes(body[position : position + width])
            position += width
    if count > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
