"""Pane: one task beside the table: what it is at, and what it says, as it comes."""

from __future__ import annotations

import asyncio
import codecs
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ..control.other_hosts import ForeignTask
from ..errors import SubactorsError
from ..runs.output import Piece
from ..terminal.colours import STATUS_STYLES
from ..terminal.control_sequences import Cleaner, visible
from ..watching import details
from ..watching.model import TaskSeen
from .listing import Listing
from .tail import Tail
from .views import CONVERSATION, OUTPUT, PAGES, VIEWS, conversation
from .words import MARKS, amount, dollars, memory, plural, short_id, span, tokens_of, words

__all__ = ["Pane"]

Found = TypeVar("Found")

_FROM_THE_END: Final = -100_000
_PIECE: Final = 64_000
"""Bytes of output: from where it is shown, and how many are read at a time."""

_REASON: Final = 600
"""Characters of what a task was asked, and of why it ended, above a view."""

_EVERY: Final = 1.0
"""Seconds between two looks at what else there is of a task that changes."""

_MOST_MESSAGES: Final = 100_000
"""Messages that are read of a conversation; a view keeps the last of them."""


class Pane(Vertical):
    """See the module.

    Attributes:
        task_id: the id of the task that is shown; empty if none is.
        view: what of it.

    Args:
        root: the state folder.
        listing: the tasks.
    """

    DEFAULT_CSS = """
    #title { height: 2; }
    #why { height: auto; max-height: 3; }
    Pane > Tail { height: 1fr; }
    """

    def __init__(self, root: Path, listing: Listing) -> None:
        super().__init__()
        self.task_id = ""
        self.view = OUTPUT
        self._root, self._listing = root, listing
        self._follower: _Follower | None = None
        self._asked: TaskSeen | None = None
        self._asked_at = 0.0
        self._last_message = 0
        self._title = Static(id="title", markup=False)
        self._why = Static(id="why", markup=False)
        self._why_now = ""
        self._views = Static(markup=False)
        self.tail = Tail()
        self.page = Tail()

    def compose(self) -> ComposeResult:
        """Make its parts."""
        yield self._title
        yield self._why
        yield self._views
        yield self.tail
        yield self.page

    def on_mount(self) -> None:
        """Begin with the output."""
        self.look(OUTPUT)

    @property
    def body(self) -> Tail:
        """What is shown of the task."""
        return self.tail if self.view == OUTPUT else self.page

    def turn_to(self, task: TaskSeen | None) -> None:
        """Show another task; None: none."""
        if (task.id if task is not None else "") == self.task_id:
            return
        self.task_id = task.id if task is not None else ""
        self._follower = _Follower(self._root, task) if task is not None else None
        self.tail.put("")
        self.look(self.view)

    def look(self, view: str) -> None:
        """Show another view of the task."""
        had_focus = self.body.has_focus
        self.view = view
        self.tail.display, self.page.display = view == OUTPUT, view != OUTPUT
        if had_focus:
            self.body.focus()
        self._asked, self._last_message = None, 0
        self.page.put("")
        text = Text(no_wrap=True, overflow="ellipsis")
        for name in VIEWS:
            text.append(f" {name} ", "reverse" if name == view else "dim")
        self._views.update(text)
        self.tick()

    def turn(self, step: int) -> None:
        """Show the next view, or the one before."""
        self.look(VIEWS[(VIEWS.index(self.view) + step) % len(VIEWS)])

    def tick(self) -> None:
        """Show what is new of the task."""
        if not self.display:
            return
        task = self._listing.tasks.get(self.task_id)
        if task is None:
            self._title.update(Text("It is not known any more.", "dim"))
            self._tell_why(Text())
            return
        # Two lines, whatever is in them, as a new layout of the screen costs much.
        self._title.update(_title(task, self._listing.ran_for(task)), layout=False)
        self._tell_why(_why(task))
        if self.view != OUTPUT:
            if task is not self._asked and time.monotonic() - self._asked_at >= (_EVERY if self._asked else 0.0):
                self._asked, self._asked_at = task, time.monotonic()
                self.run_worker(self._ask(task, self.view), group="details", exclusive=True)
        elif self._follower is not None and self._follower.is_due(task):
            self.run_worker(self._read(self._follower, task), group="output")

    def _tell_why(self, text: Text) -> None:
        if text.plain != self._why_now:
            self._why_now = text.plain
            self._why.update(text)

    async def _read(self, follower: _Follower, task: TaskSeen) -> None:
        text = await follower.read(task)
        if follower is self._follower and text:
            self.tail.feed(text)

    async def _ask(self, task: TaskSeen, view: str) -> None:
        """Fill the page of a view; nothing, if another task or view is wanted by then."""
        try:
            if view == CONVERSATION:
                await self._converse(task)
                return
            found = await asyncio.to_thread(self._in_thread, task, details.details)
            items = [each for each in self._listing.tasks.values() if each.group == task.id]
            text = PAGES[view](found, items, self._listing.runs.get(task.run))
        except (SubactorsError, OSError) as error:
            text = words(str(error))
        if (task.id, view) == (self.task_id, self.view):
            self.page.keep(text)

    async def _converse(self, task: TaskSeen) -> None:
        messages: list[dict[str, Any]] = [{}]
        while messages and self._last_message < _MOST_MESSAGES:
            more = functools.partial(details.messages, after=self._last_message)
            messages = await asyncio.to_thread(self._in_thread, task, more)
            if (task.id, CONVERSATION) != (self.task_id, self.view):
                return
            if messages:
                self._last_message = messages[-1]["number"]
                self.page.feed(conversation(messages))
        if not self._last_message:
            self.page.keep("It has no conversation.")

    def _in_thread(self, task: TaskSeen, look: Callable[[ForeignTask], Found]) -> Found:
        with details.foreign(self._root, task.run, task.id, "top") as found:
            return look(found)


def _title(task: TaskSeen, ran: float | None) -> Text:
    """Return what a task is called, and what it comes to, in two lines."""
    own, total = tokens_of(task.usage), tokens_of(task.total_usage)
    vitals = task.vitals
    facts = [
        f"{MARKS.get(task.status, '')} {task.status}",
        span(ran) if ran is not None else "",
        f"on {words(task.node, 60)}" if task.node else "",
        f"{amount(own)} tokens {dollars(task.usage.cost)}".rstrip() if own else "",
        f"Σ {amount(total)} tokens {dollars(task.total_usage.cost)} with what it started" if total > own else "",
        f"{memory(vitals.memory_bytes)}{' at its peak' if task.ended else ''}"
        if vitals and vitals.memory_bytes
        else "",
        plural(task.attempts, "attempt") if task.attempts > 1 else "",
    ]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{words(task.agent, 100)} {short_id(task.id)}\n", "bold")
    return text.append(" · ".join(filter(None, facts)), STATUS_STYLES.get(task.status, ""))


def _why(task: TaskSeen) -> Text:
    """Return why a task has ended, or what it asks, and what it was asked to do."""
    text = Text()
    for question in [] if task.ended else task.questions:
        text.append(f"? {words(visible(question.text), _REASON)}\n", "yellow")
    if task.reason:
        text.append(f"{words(task.reason, _REASON)}\n", STATUS_STYLES.get(task.status, ""))
    return text.append(words(task.task, _REASON), "dim")


class _Follower:
    """Reads what one task says, from near its end on, and as it comes. Bytes become text, and text harmless."""

    def __init__(self, root: Path, task: TaskSeen) -> None:
        self._root, self._run, self._id = root, task.run, task.id
        self._offset = _FROM_THE_END
        self._size = -1
        self._is_reading = False
        self._is_over = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._cleaner = Cleaner()

    def is_due(self, task: TaskSeen) -> bool:
        """Whether there is more, as far as is known."""
        return not (self._is_reading or self._is_over) and (task.output_size != self._size or task.ended)

    async def read(self, task: TaskSeen) -> str:
        """Return what it has said since."""
        self._is_reading, self._size = True, task.output_size
        try:
            text, more = "", True
            while more:
                piece = await asyncio.to_thread(self._piece)
                text += self._taken(piece)
                more = piece.more and len(text) < -_FROM_THE_END
            if piece.more:
                self._size = -1
            elif task.ended:
                self._is_over = True
                text += self._cleaner.feed(self._decoder.decode(b"", final=True)) + self._cleaner.end()
        except (SubactorsError, OSError) as error:
            self._is_over = True
            return f"{text}\n[{words(str(error))}]\n"
        finally:
            self._is_reading = False
        return text

    def _piece(self) -> Piece:
        with details.foreign(self._root, self._run, self._id, "top") as task:
            return details.output(task, self._offset, _PIECE)

    def _taken(self, piece: Piece) -> str:
        missed = f"\n[{piece.missed:,} bytes left out here.]\n" if piece.missed else ""
        if missed:
            self._decoder.reset()
        self._offset = piece.end
        return missed + self._cleaner.feed(self._decoder.decode(piece.data))
