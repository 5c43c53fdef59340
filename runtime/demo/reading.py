"""Reading: reads whole files with `read_file`, some in each turn, long ones in pages; never takes half a file as whole.

An answer of the tool is bounded, and its text alone does not tell an error from a file that holds those words. So a
file counts as read only when the answer has the size that its folder lists, or when every line of it has come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..models.base import Message
from .conversation import answered_calls, call, last_answered_calls
from .folder import File
from .words import count, listed, size

__all__ = ["Chosen", "Reading", "choose", "line_count", "own_text"]

_MOST_FILES: Final = 400
_MOST_BYTES: Final = 3_000_000
_LARGEST_FILE: Final = 250_000
_CALLS_A_TURN: Final = 12

_WHOLE: Final = 28_000
"""Bytes of a file that fit into one answer."""

_PAGE: Final = 400
"""Lines asked for at once of a longer file."""

_ALL: Final = (0, 0)
"""Offset and limit of a call that asks for a whole file."""

_PENDING: Final = object()
_MISSING: Final = object()

_TAIL: Final = 400
"""Characters at the end of an answer that hold the tool's notes."""

_LINES: Final = re.compile(r"\n\[Lines ([\d,]+) to ([\d,]+) of ([\d,]+)\.\]\Z")
_INEXACT: Final = re.compile(r"\n\[Not valid UTF-8: [^\n]*\]\Z")
_PAST_THE_END: Final = re.compile(r" has ([\d,]+) lines; offset [\d,]+ is past its end\.\Z")
_CUT: Final = re.compile(r"\n\n\[[^\n]* left out here[^\n]*\]\n\n")
_LONG_LINES: Final = re.compile(r"\[[\d,]+ of [\d,]+ bytes left out here, in lines too long to be read in parts\.\]")


@dataclass(frozen=True)
class Chosen:
    """The files to read, and how many are not, as there are too many or they are too large."""

    files: Sequence[File]
    too_large: Sequence[File]
    beyond: Sequence[File]

    def left_out(self) -> list[str]:
        """Return sentences about what is not read."""
        words = []
        if self.too_large:
            names = listed([file.path for file in self.too_large], 3)
            words.append(f"Not read, as larger than {size(_LARGEST_FILE)}: {names}.")
        if self.beyond:
            words.append(
                f"Read were {count(len(self.files), 'file')}; {len(self.beyond):,} more were not, as this survey stops "
                f"at {_MOST_FILES} files or {size(_MOST_BYTES)}."
            )
        return words


def choose(files: Sequence[File]) -> Chosen:
    """Choose, in the order of the walk, what is to be read of some files."""
    chosen: list[File] = []
    too_large: list[File] = []
    beyond: list[File] = []
    room = _MOST_BYTES
    for file in files:
        if file.size > _LARGEST_FILE:
            too_large.append(file)
        elif len(chosen) < _MOST_FILES and file.size <= room:
            chosen.append(file)
            room -= file.size
        else:
            beyond.append(file)
    return Chosen(chosen, too_large, beyond)


class Reading:
    """Some files, as far as they have been read.

    Args:
        files: what to read.
        messages: the conversation so far.

    Attributes:
        texts: the files that have been read, by their path.
        latest: those of them that the last turn has read a part of.
        unreadable: paths of files that could not be read as they are listed.
        inexact: paths of files that were read, and are not valid UTF-8.
    """

    def __init__(self, files: Sequence[File], messages: Sequence[Message]) -> None:
        self.texts: dict[str, str] = {}
        self.unreadable: list[str] = []
        self.inexact: list[str] = []
        self._wanted: list[dict[str, Any]] = []
        self._answers: dict[str, dict[tuple[int, int], str]] = {}
        for made in answered_calls(messages):
            if made.name == "read_file":
                part = (made.arguments.get("offset", 0), made.arguments.get("limit", 0))
                self._answers.setdefault(made.arguments["path"], {})[part] = made.answer
        for file in files:
            self._read_whole(file) if file.size <= _WHOLE else self._read_pages(file)
        paths = {made.arguments.get("path") for made in last_answered_calls(messages)}
        self.latest = {path: text for path, text in self.texts.items() if path in paths}

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls that read on; none when all is read."""
        return self._wanted[:_CALLS_A_TURN]

    def left_out(self) -> list[str]:
        """Return sentences about what could not be read."""
        words = []
        if self.unreadable:
            words.append(f"Could not be read as text: {listed(self.unreadable, 3)}.")
        if self.inexact:
            words.append(f"Not valid UTF-8, read all the same: {listed(self.inexact, 3)}.")
        return words

    def _read_whole(self, file: File) -> None:
        if file.size == 0:
            self.texts[file.path] = ""
            return
        answer = self._answers.get(file.path, {}).get(_ALL)
        if answer is None:
            self._wanted.append(call("read_file", path=file.path))
        elif len(answer.encode()) == file.size:
            self.texts[file.path] = answer
        elif not (part := _Part.of(answer)).exact:
            self.inexact.append(file.path)
            self.texts[file.path] = part.text
        else:
            self.unreadable.append(file.path)

    def _read_pages(self, file: File) -> None:
        # How many lines there are is known once the first page has come.
        lines = max((_lines_in_all(answer) or 0 for answer in self._answers.get(file.path, {}).values()), default=0)
        pages = [page for start in range(1, max(1, lines) + 1, _PAGE) for page in self._pages(file, start, _PAGE)]
        if any(page is _MISSING for page in pages):
            self.unreadable.append(file.path)
        elif not any(page is _PENDING for page in pages):
            self.texts[file.path] = "".join(str(page) for page in pages)

    def _pages(self, file: File, start: int, lines: int) -> Iterator[str | object]:
        """Yield the text of some lines in pieces, `_PENDING` for one that is asked for, `_MISSING` for one in vain."""
        answer = self._answers.get(file.path, {}).get((start, lines))
        if answer is None:
            self._wanted.append(call("read_file", path=file.path, offset=start, limit=lines))
            yield _PENDING
            return
        if _PAST_THE_END.search(answer[-_TAIL:]):
            return
        part = _Part.of(answer)
        if _is_complete(part, start, lines, file.size):
            if not part.exact and file.path not in self.inexact:
                self.inexact.append(file.path)
            yield part.text
        elif lines == 1:
            yield _MISSING
        else:
            half = lines // 2
            first = list(self._pages(file, start, half))
            yield from first
            # A file that is not text should not be asked for line by line.
            if not any(piece is _MISSING for piece in first):
                yield from self._pages(file, start + half, lines - half)


@dataclass(frozen=True)
class _Part:
    """An answer of `read_file`, taken apart.

    Attributes:
        text: the file's own.
        lines: first and last line of the part and their number in the whole file; None where the tool says nothing, as
            it does for a whole file and for an error.
        exact: whether the text is valid UTF-8.
    """

    text: str
    lines: tuple[int, int, int] | None
    exact: bool

    @classmethod
    def of(cls, answer: str) -> _Part:
        """Take an answer apart."""
        tail = answer[-_TAIL:]
        inexact = _INEXACT.search(tail)
        if inexact is not None:
            answer = answer[: len(answer) - len(tail) + inexact.start()]
            tail = answer[-_TAIL:]
        note = _LINES.search(tail)
        if note is None:
            return cls(answer, None, inexact is None)
        first, last, total = (_number(number) for number in note.groups())
        return cls(answer[: len(answer) - len(tail) + note.start()], (first, last, total), inexact is None)


def line_count(answer: str, listed_size: int) -> int | None:
    """Return how many lines a file has, from the answer to `read_file` with a limit of 1; None if it does not say.

    Args:
        answer: the tool's.
        listed_size: bytes of the file.
    """
    part = _Part.of(answer)
    if part.lines is not None:
        return part.lines[2]
    whole = not part.exact or len(answer.encode()) == listed_size or _LONG_LINES.search(answer)
    return 1 if whole else None


def own_text(answer: str, listed_size: int) -> str | None:
    """Return what an answer to `read_file` holds of the file; None if that is nothing.

    Args:
        answer: the tool's.
        listed_size: bytes of the file.
    """
    part = _Part.of(answer)
    return part.text if part.lines is not None or len(answer.encode()) == listed_size else None


def _is_complete(part: _Part, start: int, lines: int, listed_size: int) -> bool:
    """Whether a part is exactly what was asked for: the tool leaves the middle of long answers out."""
    if part.lines is None:
        # Then it must be the whole file, of which the tool says no more than the text.
        return len(part.text.encode()) == listed_size
    first, last, total = part.lines
    as_asked = first == start and last == min(total, start + lines - 1)
    # The note about a gap has lines, too: as many as the gap, if that is small.
    return as_asked and part.text.count("\n") == last - first + 1 and not _CUT.search(part.text)


def _lines_in_all(answer: str) -> int | None:
    """Return how many lines the file has, if an answer of any kind says so."""
    past = _PAST_THE_END.search(answer[-_TAIL:])
    if past is not None:
        return _number(past[1])
    part = _Part.of(answer)
    return part.lines[2] if part.lines is not None else None


def _number(text: str) -> int:
    return int(text.replace(",", ""))
