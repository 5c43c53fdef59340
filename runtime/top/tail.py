"""Tail: text that grows at its end, wrapped, bounded, and followed until somebody scrolls up."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Final

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

__all__ = ["Tail"]

_MOST: Final = 400_000
"""Characters that are kept."""

_LONGEST: Final = 2000
"""Characters of a line; a longer one is broken there, so that no piece costs more the longer its line already is."""


class Tail(ScrollView, can_focus=True):
    """See the module. What it gets has been cleaned."""

    DEFAULT_CSS = "Tail { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque([""])
        self._length = 0
        self._rows: deque[str] = deque()
        self._counts: deque[int] = deque([0])  # of rows, by line
        self._width = 0

    @property
    def text(self) -> str:
        """All that is kept."""
        return "\n".join(self._lines)

    @property
    def follows(self) -> bool:
        """Whether the end is in sight."""
        return self.scroll_offset.y >= self.max_scroll_y

    def put(self, text: str, *, at_end: bool = True) -> None:
        """Show another text."""
        self._lines, self._length = deque([""]), 0
        self._rows, self._counts = deque(), deque([0])
        self.feed(text)
        self.scroll_to(y=self.max_scroll_y if at_end else 0, animate=False, force=True, immediate=True)

    def keep(self, text: str) -> None:
        """Show another text from its beginning; if it is nearly the same, from where one was."""
        if text == self.text:
            return
        at, was_empty = self.scroll_offset.y, not self._length
        self.put(text, at_end=False)
        if not was_empty:
            self.scroll_to(y=min(at, self.max_scroll_y), animate=False, force=True, immediate=True)

    def feed(self, text: str) -> None:
        """Append text; the oldest goes where there is too much."""
        follows = self.follows
        if len(text) > _MOST:
            text = text[-_MOST:]
        for number, line in enumerate(text.split("\n")):
            if number:
                self._begin_line()
            for start in range(0, max(1, len(line)), _LONGEST):
                piece = line[start : start + _LONGEST]
                if start or len(self._lines[-1]) + len(piece) > _LONGEST:
                    self._begin_line()
                self._lines[-1] += piece
                self._length += len(piece)
                self._lay_last()
        gone = self._bound()
        if gone and not follows:  # what is in sight stays where it is
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, force=True, immediate=True)
        self._resized(follows)

    def _begin_line(self) -> None:
        self._lines.append("")
        self._length += 1
        self._counts.append(0)

    def _bound(self) -> int:
        """Let the oldest lines go that are too many; return how many rows they had."""
        before = len(self._rows)
        while self._length > _MOST and len(self._lines) > 1:
            self._length -= len(self._lines.popleft()) + 1
            for _ in range(self._counts.popleft()):
                self._rows.popleft()
        return before - len(self._rows)

    def _lay_last(self) -> None:
        """Wrap the last line anew."""
        for _ in range(self._counts[-1]):
            self._rows.pop()
        wrapped = self._wrapped(self._lines[-1])
        self._rows.extend(wrapped)
        self._counts[-1] = len(wrapped)

    def _wrapped(self, line: str) -> list[str]:
        """Return a line in rows: broken between words, where there are some."""
        width = self._width or _LONGEST  # as long as it has no place on the screen
        line = line.expandtabs(8).rstrip()
        rows = []
        while (end := _fitting(line, width)) < len(line):
            at = line.rfind(" ", end // 2, end + 1)
            rows.append(line[: at if at > 0 else end])
            line = line[at + 1 if at > 0 else end :]
        return [*rows, line]

    def _resized(self, follows: bool) -> None:
        self.virtual_size = Size(max(1, self._width), len(self._rows))
        if follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Wrap all anew."""
        width = max(1, event.size.width - 1)
        if width != self._width:
            follows = self.follows
            self._width = width
            wrapped = [self._wrapped(line) for line in self._lines]
            self._rows, self._counts = deque(itertools.chain(*wrapped)), deque(map(len, wrapped))
            self._resized(follows)

    def render_line(self, y: int) -> Strip:
        """Return a row that is in sight."""
        place = self.scroll_offset.y + y
        if place >= len(self._rows):
            return Strip.blank(self.size.width, Style())
        return Strip([Segment(self._rows[place], Style())]).adjust_cell_length(self.size.width, Style())


def _fitting(line: str, width: int) -> int:
    """Return how many characters of a line fit into so many cells, one at least."""
    if line.isascii():
        return min(width, len(line))
    pieces = chop_cells(line[: 3 * width], width)  # some characters have no cell
    return max(1, len(pieces[0])) if pieces else len(line)
