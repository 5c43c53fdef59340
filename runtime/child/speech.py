"""Speech: `sys.stdout` and `sys.stderr` of a task's process. What Python code writes there is the task's output.

The streams are made in the zygote, ahead of the modules that it imports for all tasks: what such a module keeps of
`sys.stderr`, as a logging handler does, speaks for whichever task it is in. Before a task begins, and in a process that
a task has forked, they lead to descriptors 1 and 2, which are the log: two processes on one channel would tear each
other's messages.

Not a pipe that a thread reads: that thread would cost every task pages, and what it had not read yet would be lost
with a process that crashes.
"""

from __future__ import annotations

import _thread
import codecs
import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TextIO

from ..text import encodable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Speech", "install", "speech"]

_PARTS: Final = 500
"""Parts of lines that are said at once in a second. To say each by itself takes three times as long as whole lines."""

_LONGEST_HELD: Final = 8192
"""Characters of a line that are held back until it ends."""


class Speech:
    """Speech of a process: text of several threads, in order, whole lines of each.

    Every method may be called from any thread, from a signal handler and from a finalizer.

    Attributes:
        installed: whether the streams are there.
        held: by thread, the beginning of a line whose end is still to come.
    """

    def __init__(self) -> None:
        self.installed = False
        self._say: Callable[[str], None] | None = None
        self._process = 0
        # Reentrant, as a finalizer that prints may run anywhere.
        self._lock = threading.RLock()
        self.held: dict[int, str] = {}
        self._second_began = 0.0
        self._parts = 0

    def begin(self, say: Callable[[str], None]) -> None:
        """From now on, what is written in this process is said."""
        if not self.installed:
            install()
        self._say, self._process = say, os.getpid()

    def end(self) -> None:
        """From now on, what is written goes to the log again."""
        self._say, self._process = None, 0

    def write(self, text: str, log: TextIO | None) -> None:
        """Say text, or write it to the log."""
        say = self.way_out()
        if say is None:
            if log is not None:
                log.write(text)
            return
        with self._lock:
            thread = _thread.get_ident()
            text = encodable(self.held.pop(thread, "") + text)
            if self._must_wait(text):
                text, newline, rest = text.rpartition("\n")
                text += newline
                if len(rest) > _LONGEST_HELD:
                    text += rest
                elif rest:
                    self.held[thread] = rest
            if text:
                say(text)

    def _must_wait(self, text: str) -> bool:
        """Whether what is not a whole line yet is to be held back, and not said at once."""
        if text.endswith("\n"):
            return False
        now = time.monotonic()
        if now - self._second_began > 1:
            self._second_began, self._parts = now, 0
        self._parts += 1
        # The main thread alone, beside the mailbox's, need not wait: nobody speaks between. Another may be the only one
        # that has begun, as one is counted when it does. `threading.active_count` takes a lock, which a signal may
        # interrupt.
        is_main = _thread.get_ident() == threading.main_thread().ident
        return self._parts > _PARTS or not is_main or _thread._count() > 1  # noqa: SLF001 - see above

    def finish_lines(self) -> None:
        """Say what is held back."""
        say = self.way_out()
        if self.held and say is not None:
            with self._lock:
                for thread in list(self.held):
                    say(self.held.pop(thread, ""))

    def write_to_log(self, text: str) -> None:
        """Write to the log: in a process that a task has forked, where no more can be done."""
        print(text, end="", file=sys.__stdout__, flush=True)

    def way_out(self) -> Callable[[str], None] | None:
        """Return what says something; None where the log is to have it."""
        return self._say if self._process == os.getpid() else None


speech: Final = Speech()


class _Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr`.

    Args:
        log: the stream that was there before; None if there was none.
        number: its descriptor.
    """

    encoding = "utf-8"
    errors = "replace"
    line_buffering = True
    write_through = False
    mode = "w"

    def __init__(self, log: TextIO | None, number: int) -> None:
        super().__init__()
        self._log = log
        self._number = number
        self.name = "<stdout>" if number == 1 else "<stderr>"
        self.buffer = _Bytes(self)

    def write(self, text: str, /) -> int:
        """Say it; blocks while the host is behind with reading."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        speech.write(text, self._log)
        return len(text)

    def flush(self) -> None:
        """Say what is held back."""
        if speech.way_out() is not None:
            speech.finish_lines()
        elif self._log is not None:
            self._log.flush()

    def close(self) -> None:
        """Stay open: there is nothing else that could take what comes later."""
        self.flush()

    def detach(self) -> Any:
        """Return the buffer; this stream goes on."""
        return self.buffer

    def reconfigure(self, **_options: Any) -> None:
        """Stay as it is: UTF-8, in which every text can be said."""
        self.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """Return the log's descriptor, for C code and child processes."""
        return self._number


class _Bytes(io.BufferedIOBase):
    """`sys.stdout.buffer`: takes text as bytes."""

    mode = "wb"

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self._stream = stream
        self.name = stream.name
        # A character may come in two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def raw(self) -> Any:
        """There is nothing below."""
        return self

    def write(self, data: ReadableBuffer, /) -> int:
        """Say it, as UTF-8."""
        view = memoryview(data)
        self._stream.write(self._decoder.decode(view))
        return view.nbytes

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """As the stream's: whoever has put a stream of their own around this may let go of it."""
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stream.fileno()


def install() -> None:
    """Put the streams in the place of `sys.stdout` and `sys.stderr`: in the zygote, before anybody has kept those."""
    for log in (sys.stdout, sys.stderr):
        if isinstance(log, io.TextIOWrapper):
            with contextlib.suppress(OSError):
                # What sits in a buffer is lost with a process that is killed; and a log can take every text.
                log.reconfigure(line_buffering=True, errors="backslashreplace")
    # Also those that code goes back to when it has redirected the others.
    sys.stdout = sys.__stdout__ = _Stream(sys.stdout, 1)  # type: ignore[misc, assignment]  # to typeshed it is a constant
    sys.stderr = sys.__stderr__ = _Stream(sys.stderr, 2)  # type: ignore[misc, assignment]  # the same
    speech.installed = True
