"""Interruptible waits: a signal (Ctrl-C, SIGTERM, SIGHUP) ends them, and so does a lost reader of standard output.

A wait that ends early has its command stop the command's tasks. For the main thread. The handler only notes the signal,
because an exception that it raised would come at any place of the program.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, Final, Self, TypeVar

from .streams import err, out

__all__ = ["Interrupted", "Interruptible"]

_SIGNALLED: Final = 128
"""Added to a signal's number: what shells call a program that it ended."""

_AS_ONE: Final = 0.5
"""Seconds in which further signals count as the first one: `timeout` sends it to the command and then to its group, and
whoever runs a command below a terminal passes on what the terminal has sent to both."""

_SHOW_CURSOR: Final = "\x1b[?25h\n"
"""Undoes what the live table does to a terminal."""

Result = TypeVar("Result")


class Interrupted(Exception):  # noqa: N818 - no error: somebody asked for it
    """A signal has ended a wait, or the loss of standard output."""


class Interruptible:
    """Lets Ctrl-C, SIGTERM and SIGHUP end the work; a later one ends this process, and with it all, at once.

    So does standard output that cannot be written to any more; see `streams`.

    Args:
        cancel: is called once: in the main thread, between two instructions, when the first signal comes; in any thread
            when standard output is lost.

    Attributes:
        status: the exit status that shells expect of a program that a signal ended; 0 while none has come.
    """

    def __init__(self, cancel: Callable[[], None] = lambda: None) -> None:
        self.status = 0
        self._heard = 0.0
        self._cancel = cancel
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1
        self._is_lost = False
        self._hearing = out.telling_of_loss(self._lose)

    def __enter__(self) -> Self:
        # Sockets, as who still has a future of it when this is over must not write to another's descriptor.
        self._woken, self._wakeup = socket.socketpair()
        self._woken.setblocking(False)
        self._wakeup.setblocking(False)
        # CPython runs a handler between two instructions of the main thread, which may be in a system call by then.
        self._wakeup_before = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._interrupt)
        self._hearing.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._hearing.__exit__(None, None, None)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._woken.close()
        self._wakeup.close()

    def result_of(self, future: Future[Result]) -> Result:
        """Wait for a future and return its result, or raise its error.

        Raises:
            Interrupted: a signal has come, or standard output is lost, before or meanwhile.
        """
        future.add_done_callback(lambda _: self._wake())
        while not future.done():
            if self.status or self._is_lost:
                raise Interrupted
            select.select([self._woken], [], [])
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        return future.result()

    @property
    def cause(self) -> str:
        """The cause of the end, in words, as the subject of a sentence."""
        if not self.status:
            return "the loss of standard output"
        number = signal.Signals(self.status - _SIGNALLED)
        return "Ctrl-C" if number == signal.SIGINT else f"the signal {number.name}"

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it is full, so whoever waits will wake up; or closed, and nobody waits
            self._wakeup.send(b"\0")

    def _lose(self) -> None:
        self._is_lost = True
        self._cancel()
        self._wake()

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self.status:
            if time.monotonic() - self._heard < _AS_ONE:
                return
            if err.is_terminal:
                err.end_with(_SHOW_CURSOR)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.status = _SIGNALLED + number
        self._heard = time.monotonic()
        self._cancel()
