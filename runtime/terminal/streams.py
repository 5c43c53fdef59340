"""Terminal: the only place of this package that writes to standard output and standard error.

Text for a terminal loses its control sequences here; a pipe or a file gets text unchanged. A character that the locale
lacks is replaced. Standard output that cannot be written to ends the command (`OutputLostError`). Standard error that
cannot be written to does not, because the answer would be lost with it.

It is for the command line: `take_over` puts it in the place of `sys.stdout` and `sys.stderr`, so that the output of
`click`, `logging`, `warnings` and tracebacks comes this way, too. Any thread may use any of it.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TextIO, TypeAlias, cast, get_args

from ...actors import open_standard_descriptors
from ..text import broken, broken_prose, one_line
from .control_sequences import Cleaner, clean
from .locale_names import encoding_of, environment_at_the_start
from .signs import SIGNS, with_stand_ins

__all__ = [
    "COLORS",
    "Color",
    "InputError",
    "Outlet",
    "OutputLostError",
    "err",
    "exit_status",
    "out",
    "own_stream",
    "read_input",
    "take_over",
    "warn",
]

_FAILED: Final = 1
_NO_READER: Final = 128 + signal.SIGPIPE
_NO_TERMINAL: Final = 128 + signal.SIGHUP
"""What shells call a program that ended because nobody reads its output, or its terminal is gone."""

_REPLACING: Final = frozenset({"backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace"})
"""Error handlers that always have an answer; a user may ask for one with PYTHONIOENCODING."""

Color: TypeAlias = Literal["auto", "always", "never"]
COLORS: Final[tuple[Color, ...]] = get_args(Color)
"""When there are colors: `auto` is where a terminal shows them, and NO_COLOR is not set."""

_COLORS: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}
"""Numbers by which terminals know them."""


class OutputLostError(Exception):
    """Standard output cannot be written to: nobody reads it any more, its disk is full, its terminal is gone."""


class InputError(Exception):
    """Standard input cannot be read; the message says why."""


class Outlet:
    """A standard stream, from the first use on. Every method but `shown` and `cut` writes at once, whole, in order.

    Args:
        descriptor: 1 or 2.
        is_needed: whether the command is in vain when it cannot be written to. If so, the methods raise
            `OutputLostError` then, and ever after; otherwise the text is lost.

    Attributes:
        color: when there are colors. With `always` it is taken for a terminal's, and loses control sequences, too.
        fault: why it cannot be written to; None while it can.
        has_cost_tasks: whether somebody had tasks at work when that turned out.
    """

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        self._descriptor = descriptor
        self._is_needed = is_needed
        self._lock = threading.RLock()  # a signal's handler may write, too
        self._encoder: codecs.IncrementalEncoder | None = None
        self._encoding: str | None = None
        self._has_signs: bool | None = None
        self._is_terminal: bool | None = None
        self._live: Cleaner | None = None
        self._above: Callable[[str], None] | None = None
        self._when_lost: Callable[[], None] | None = None
        self.color: Color = "auto"
        self.fault: OSError | None = None
        self.has_cost_tasks = False

    @property
    def is_terminal(self) -> bool:
        """Whether it goes to a terminal."""
        if self._is_terminal is None:
            self._is_terminal = os.isatty(self._descriptor)
        return self._is_terminal

    @property
    def columns(self) -> int | None:
        """Characters of a line of its terminal; None without a terminal, or if that does not tell."""
        try:
            return (os.get_terminal_size(self._descriptor).columns if self.is_terminal else 0) or None
        except OSError:
            return None

    @property
    def encoding(self) -> str:
        """The name of the encoding: a terminal's by its user's locale; else, and where none is named, Python's."""
        if self._encoding is None:
            named = encoding_of(environment_at_the_start()) if self.is_terminal else None
            self._encoding = named or getattr(self._original, "encoding", None) or "utf-8"
        return self._encoding

    @property
    def has_signs(self) -> bool:
        """Whether signs such as `…` and those of lines can be shown: the encoding has them, and the font."""
        if self._has_signs is None:
            try:
                SIGNS.encode(self.encoding)
            except UnicodeError:
                self._has_signs = False
            else:
                self._has_signs = not (self.is_terminal and os.environ.get("TERM") == "linux")
        return self._has_signs

    @property
    def is_colored(self) -> bool:
        """Whether there are colors."""
        if self.color == "auto":
            return self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        return self.color == "always"

    def shown(self, text: str) -> str:
        """Return text as it will be shown: cleaned for a terminal. For whoever has to know how long it is."""
        text = clean(text) if self.is_terminal or self.color == "always" else text
        return text if text.isascii() or self.has_signs else with_stand_ins(text)

    def cut(self, text: str, room: int) -> str:
        """Return text as one line that is shown in so many characters."""
        line = one_line(text, room)
        return line if self.has_signs or line.isascii() else one_line(text, max(1, room - 2))

    def painted(self, shown: str, style: str) -> str:
        """Return text in a style such as `bold red`, for `own`; as it is, where there are no colors."""
        if not style or not shown or not self.is_colored:
            return shown
        numbers = ";".join(str(_COLORS[word]) for word in style.split())
        return f"\x1b[{numbers}m{shown}\x1b[0m"

    def write(self, text: str) -> None:
        """Write text that anybody may have made."""
        text = self.shown(text)
        above = self._above
        if above is not None and text:
            above(text)
        else:
            self.own(text)

    def line(self, text: str = "") -> None:
        """Write text and, unless it ends with one, a line break."""
        self.write(text if text.endswith("\n") else f"{text}\n")

    def sentence(self, text: str, *, hang: int = 2, style: str = "") -> None:
        """Write lines of sentences; a terminal gets them broken between words.

        Args:
            text: for people only, who copy no code or table out of it.
            hang: by how much further a line's continuation is indented than itself.
            style: such as `red`; see `painted`.
        """
        text = self.broken(text, hang=hang)
        if style and self.is_colored:
            self.own(f"{self.painted(self.shown(text), style)}\n")
        else:
            self.line(text)

    def broken(self, text: str, *, hang: int = 2, used: int = 0) -> str:
        """Return lines of sentences; for a terminal as it will show them, broken between words.

        Args:
            text: see `sentence`.
            hang: see `sentence`.
            used: columns of each line that somebody else writes to.
        """
        columns = self.columns
        if columns is None:
            return text
        return "\n".join(broken(line, columns - used, " " * hang) for line in self.shown(text).split("\n"))

    def prose(self, text: str) -> None:
        """Write an answer; a terminal gets its prose broken between words, and code and tables as they are."""
        columns = self.columns
        self.line(text if columns is None else broken_prose(self.shown(text), columns))

    def live(self, piece: str, *, last: bool = False) -> None:
        """Write the next piece of one text that comes in pieces; there is one such text at a time."""
        if self.is_terminal or self.color == "always":
            self._live = self._live or Cleaner()
            piece = self._live.feed(piece) + (self._live.end() if last else "")
        self.own(piece)

    def own(self, text: str) -> None:
        """Write text of this package's own making, control sequences and all."""
        if self.fault is not None:
            if self._is_needed:
                raise OutputLostError
            return
        try:
            with self._lock:
                if self.fault is None:
                    self._write(self._encoded(text))
        except OSError as error:
            self._lose(error)

    def end_with(self, text: str) -> None:
        """Write text of this package's own making, and nothing after it, whatever thread is at drawing."""
        with self._lock:
            self.own(text)
            self.fault = self.fault or OSError(errno.ESHUTDOWN, os.strerror(errno.ESHUTDOWN))

    def check(self) -> None:
        """Find out whether there is still a reader, without writing; raises OutputLostError if it is needed."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        ready = poll.poll(0)
        if ready and ready[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL) and self.fault is None:
            number = errno.EIO if self.is_terminal else errno.EPIPE
            self._lose(OSError(number, os.strerror(number)))

    @contextlib.contextmanager
    def handing_lines_to(self, above: Callable[[str], None]) -> Iterator[None]:
        """Let somebody else write what comes meanwhile, cleaned, such as whoever draws on the terminal."""
        self._above = above
        try:
            yield
        finally:
            self._above = None

    @contextlib.contextmanager
    def telling_of_loss(self, when_lost: Callable[[], None]) -> Iterator[None]:
        """Call `when_lost` if a write fails meanwhile, once, in the thread whose write it was."""
        self._when_lost = when_lost
        try:
            yield
        finally:
            self._when_lost = None

    @property
    def _original(self) -> TextIO | None:
        return sys.__stdout__ if self._descriptor == 1 else sys.__stderr__

    def _encoded(self, text: str) -> bytes:
        if not text.isascii() and not self.has_signs:
            text = with_stand_ins(text)
        if self._encoder is None:
            errors = getattr(self._original, "errors", None)
            if errors == "backslashreplace" and self.is_terminal:  # as of standard error, if nobody says otherwise
                errors = "replace"  # what is drawn in columns must not become longer
            make = codecs.getincrementalencoder(self.encoding)
            self._encoder = make(errors if errors in _REPLACING else "replace")
        try:
            return self._encoder.encode(text)
        except UnicodeError:  # an encoding that has not even a replacement
            return text.encode("ascii", "replace")

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares the pipe or terminal has made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()

    def _lose(self, error: OSError) -> None:
        self.fault = error
        if self._when_lost is not None:
            self.has_cost_tasks = True
            self._when_lost()
        if self._is_needed:
            raise OutputLostError from None
        # Often both are one pipe, and standard output has nothing to say for long.
        with contextlib.suppress(OutputLostError):
            out.check()


out: Final = Outlet(1, is_needed=True)
err: Final = Outlet(2, is_needed=False)


class _Stream(io.TextIOBase):
    """An outlet as others know a stream."""

    # `click` would look for something better behind a stream that cannot say everything.
    encoding = "utf-8"
    errors = "replace"

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def write(self, text: str) -> int:
        self._outlet.write(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: there is never anything left."""

    def writable(self) -> bool:
        """Return whether it can be written to."""
        return True

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._outlet.is_terminal

    def fileno(self) -> int:
        return 1 if self._outlet is out else 2


class _OwnStream(_Stream):
    """An outlet as a stream for what this package itself makes."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(outlet)
        self.encoding = outlet.encoding

    def write(self, text: str) -> int:
        self._outlet.own(text)
        return len(text)


def own_stream(outlet: Outlet) -> TextIO:
    """Return an outlet for a library that draws on the terminal, and is given cleaned text only."""
    return cast("TextIO", _OwnStream(outlet))


def warn(sentence: str) -> None:
    """Say something on standard error, as from this program."""
    err.sentence(f"subactors: {sentence}")


def take_over() -> None:
    """Have all that is printed in this process come this way; what of the standard streams is closed becomes empty."""
    open_standard_descriptors()
    # Asked for now, as one that is gone later is not a terminal any more.
    _ = out.is_terminal, err.is_terminal
    streams: Any = sys
    streams.stdout, streams.stderr = _Stream(out), _Stream(err)


def read_input() -> str:
    """Return all of standard input.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open(0, "rb", closefd=False) as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"Standard input cannot be read: {error.strerror or error}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(getattr(sys.__stdin__, "encoding", None) or "utf-8", "replace")


def exit_status(status: int) -> int:
    """Return the status with which the command is to exit; of what was lost it says so on standard error."""
    fault = out.fault
    if fault is None:
        return status
    if isinstance(fault, ConnectionError):  # a pipe without a reader, or a socket that is closed at the other end
        return _NO_READER
    if fault.errno == errno.EIO and out.is_terminal:
        return _NO_TERMINAL
    hint = " What tasks have answered is kept: `subactors ps --all` lists them, `subactors view` shows it."
    warn(f"Standard output cannot be written to: {fault.strerror or fault}.{hint if out.has_cost_tasks else ''}")
    return max(_FAILED, status)
