"""Event stream: takes the body of a model server's answer apart into events, whatever content type it declares.

It takes server-sent events, also those that break the standard: no blank line between events, no blank after `data:`,
no line end at the end, a byte order mark anywhere. It takes plain JSON as well: one document, or one a line. Nothing
here does input or output, and nothing here knows what an event means.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["NOT_JSON", "EventDecoder", "StreamEvent", "is_flat"]

NOT_JSON: Final = object()
"""The `data` of an event whose text is not JSON."""

_JSON: Final = json.JSONDecoder(strict=False)
"""Not strict: some servers do not escape the line breaks in their strings."""

_LINE_END: Final = re.compile("\r\n|\r|\n")
"""Only these: what else Unicode calls a line break may stand in a JSON string."""

_BEGINNINGS: Final = ("{", "[")
_ENDS: Final = ("}", "]")

_DONE: Final = "[DONE"

_ALIVE: Final = frozenset({"ping", "pong", "keepalive", "keep-alive", "keep alive", "heartbeat", '""', "''"})
"""The data with which some servers say only that they are there."""

_JUNK: Final = "".join(map(chr, (*range(0x21), *range(0x7F, 0xA0), *range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xFFFD)))
"""What nobody sees, or could not be decoded: before the name of a field it must not cost an event."""

_MISPLACED: Final = re.compile(r"data\s*:\s*(?=[{\[])", re.IGNORECASE)
"""Where data begins in a line that begins with something else."""

_REPEATED: Final = re.compile(r"(\s*data:)+")
"""With which data begins that was made an event twice."""

_FREE_TRIES: Final = 100
_VAIN: Final = 8
"""How often data is tried for being whole; beyond that, how many times its length may be read in vain."""

_DEEPEST: Final = 100
"""Levels of objects and lists in an event; no server needs as many."""

_STRAY_LIMIT: Final = 1000
"""Characters that are kept of a body that is not a stream: enough for any error message."""


@dataclass(frozen=True)
class StreamEvent:
    """One event that carries data.

    Attributes:
        text: the data as it came.
        data: the same, parsed; `NOT_JSON` where it is not JSON.
        name: from the `event:` line; empty if there was none.
        is_bare: whether it came as plain JSON, without `data:`.
    """

    text: str
    data: Any
    name: str = ""
    is_bare: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it is the `[DONE]` with which a stream says that it is complete."""
        return _is_done(self.text)


@dataclass
class EventDecoder:
    """Takes bytes in order, cut anywhere, and makes events.

    An event is made as soon as its data is a whole JSON object. No part of an object is an object itself, so blank
    lines are not needed to tell where an event ends, and data over several lines is taken, too.

    Attributes:
        stray: how the lines that belong to no event begin: a web page, or a sentence, instead of a stream.
    """

    stray: str = ""
    _utf8: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _line: list[str] = field(default_factory=list)
    _after_return: bool = False
    _name: str = ""
    _data: list[str] = field(default_factory=list)
    _is_bare: bool = False
    _size: int = 0
    _tries: int = 0
    _vain: int = 0

    @property
    def is_no_stream(self) -> bool:
        """Whether there is so much that belongs to no event that reading on is of no use, if no event has come."""
        return len(self.stray) >= _STRAY_LIMIT

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Take a piece of the body; gives the events that it completes."""
        for line in self._lines(self._utf8.decode(data)):
            yield from self._take(line)

    def finish(self) -> Iterator[StreamEvent]:
        """Take the end of the body; an object that is not whole was cut off, and is not an event."""
        rest = "".join(self._line) + self._utf8.decode(b"", final=True)
        self._line = []
        yield from self._take(rest)
        for event in self._made():
            if not _is_cut_off(event.text):
                yield event

    def _lines(self, text: str) -> list[str]:
        """Return the lines that end in this text. A return ends one at once, also where a line feed may follow."""
        if self._after_return and text.startswith("\n"):
            text = text[1:]
            self._after_return = False
        if text:
            self._after_return = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        if lines:
            lines[0] = "".join(self._line) + lines[0]
            self._line = []
        self._line.append(rest)
        return lines

    def _take(self, line: str) -> Iterator[StreamEvent]:
        # A proxy that joins answers leaves the marks of each.
        line = line.lstrip("\ufeff")
        name, _, value = line.partition(":")
        name = name.strip(_JUNK)
        if self._is_bare and name != "data":
            yield from self._add(line)
        elif name == "data":
            if self._is_bare:
                yield from self._made()
            yield from self._add(
                _REPEATED.sub("", value, count=1) if _REPEATED.match(value) else value.removeprefix(" ")
            )
        elif not line.strip():
            yield from self._made()
        elif name.startswith(_BEGINNINGS):
            yield from self._made()
            self._is_bare = True
            yield from self._add(line)
        elif name and (misplaced := _MISPLACED.search(line)) and _parsed(line[misplaced.end() :]) is not NOT_JSON:
            # Part of an answer must not get lost, as the rest would pass for all of it.
            yield from self._add(line[misplaced.end() :])
        elif name == "event":
            self._name = value.strip()
        elif name not in ("", "id", "retry"):
            self.stray = f"{self.stray}{line}\n"[:_STRAY_LIMIT]

    def _add(self, line: str) -> Iterator[StreamEvent]:
        """Take a line of data."""
        text = line.strip()
        if not self._data and (not text or text.startswith(":") or text.lower() in _ALIVE):
            return
        begins, is_done = text.startswith(_BEGINNINGS), _is_done(text)
        if is_done or (begins and self._data and not self._data[0].startswith(_BEGINNINGS)):
            yield from self._made()
        # Tried where it may succeed, at the first line and at an end that is not indented, or many lines take long.
        may_be_whole = line.startswith(_ENDS) if self._data else begins
        self._data.append(text)
        self._size += len(text)
        data = self._tried() if may_be_whole and not is_done else NOT_JSON
        if is_done or data is not NOT_JSON:
            yield from self._made(data)

    def _tried(self) -> Any:
        """Return the data so far if it is whole. Many tries of much data would take long, so they get fewer."""
        if self._tries >= _FREE_TRIES and self._vain > self._size * _VAIN:
            return NOT_JSON
        self._tries += 1
        self._vain += self._size
        return _parsed("\n".join(self._data))

    def _made(self, data: Any = NOT_JSON) -> Iterator[StreamEvent]:
        """Make an event of the data so far, which may have been parsed already; without data there is none."""
        text, name, is_bare = "\n".join(self._data), self._name, self._is_bare
        self._data, self._name, self._is_bare = [], "", False
        self._size = self._tries = self._vain = 0
        if text:
            yield StreamEvent(text, _parsed(text) if data is NOT_JSON else data, name, is_bare)


def _is_done(text: str) -> bool:
    return text.lstrip('" ')[: len(_DONE)].upper() == _DONE


def _is_cut_off(text: str) -> bool:
    """Whether text would be JSON if more of it had come: nothing is wrong before its last few characters."""
    try:
        _JSON.decode(text)
    except json.JSONDecodeError as error:
        return text.startswith(_BEGINNINGS) and (error.msg.startswith("Unterminated") or error.pos >= len(text) - 6)
    except (ValueError, RecursionError):
        return False
    return False


def _parsed(text: str) -> Any:
    try:
        data = _JSON.decode(text)
    except (ValueError, RecursionError):
        return NOT_JSON
    if isinstance(data, str) and data.lstrip().startswith("{"):
        return _parsed(data)  # encoded twice
    return data if text.count("{") + text.count("[") < _DEEPEST or is_flat(data) else NOT_JSON


def is_flat(data: Any) -> bool:
    """Whether plain data is not so deep that a recursion through it may fail."""
    level = [data] if isinstance(data, dict | list) else []
    for _ in range(_DEEPEST):
        containers = [entry.values() if isinstance(entry, dict) else entry for entry in level]
        level = [inner for entry in containers for inner in entry if isinstance(inner, dict | list)]
        if not level:
            return True
    return False
