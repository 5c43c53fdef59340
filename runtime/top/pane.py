"""Pane: one task beside the table: what it is at, and what it says, as it comes."""

from __future__ import annotations

import asyncio
import codecs
from pathlib import Path
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ..errors import SubactorsError
from ..runs.output import Piece
from ..terminal.control_sequences import Cleaner
from ..watching import details
from ..watching.model import TaskSeen
from .listing import Listing
from .tail import Tail
from .words import MARKS, STYLES, amount, dollars, memory, plural, short_id, span, tokens_of, words

__all__ = ["Pane"]

_FROM_THE_END: Final = -100_000
_PIECE: Final = 64_000
"""Bytes of output: from where it is shown, and how many are read at a time."""

_REASON: Final = 600


class Pane(Vertical):
    """See the module.

    Args:
        root: the state folder.
        listing: the tasks.
    """

    DEFAULT_CSS = """
    Pane { border-left: solid ansi_default; padding: 0 0 0 1; }
    Pane > Static { height: auto; max-height: 12; }
    Pane > Tail { height: 1fr; border-top: solid ansi_default; }
    """

    def __init__(self, root: Path, listing: Listing) -> None:
        super().__init__()
        self.task_id = ""
        self._root, self._listing = root, listing
        self._follower: _Follower | None = None
        self._about = Static(markup=False)
        self.tail = Tail()

    def compose(self) -> ComposeResult:
        """Make its parts."""
        yield self._about
        yield self.tail

    def show(self, task: TaskSeen | None) -> None:
        """Show another task; None: none."""
        if (task.id if task is not None else "") == self.task_id:
            return
        self.task_id = task.id if task is not None else ""
        self._follower = _Follower(self._root, task) if task is not None else None
        self.tail.show("")
        self.tick()

    def tick(self) -> None:
        """Show what is new of the task."""
        task = self._listing.tasks.get(self.task_id)
        if task is None or not self.display:
            self._about.update(Text("Choose a task." if not self.task_id else "It is not known any more.", "dim"))
            return
        self._about.update(_about(task, self._listing.ran_for(task)))
        if self._follower is not None and self._follower.is_due(task):
            self.run_worker(self._read(self._follower, task), group="output")

    async def _read(self, follower: _Follower, task: TaskSeen) -> None:
        text = await follower.read(task)
        if follower is self._follower and text:
            self.tail.feed(text)


def _about(task: TaskSeen, ran: float | None) -> Text:
    """Return what is told of a task above its output."""
    own, total = tokens_of(task.usage), tokens_of(task.total_usage)
    vitals = task.vitals
    facts = [
        f"{MARKS.get(task.status, '')} {task.status}",
        span(ran) if ran is not None else "",
        f"{amount(own)} tokens {dollars(task.usage.cost)}".rstrip() if own else "",
        f"Σ {amount(total)} tokens {dollars(task.total_usage.cost)} with what it started" if total > own else "",
        f"{memory(vitals.memory_bytes)}{' at its peak' if task.ended else ''}"
        if vitals and vitals.memory_bytes
        else "",
        plural(task.attempts, "attempt") if task.attempts > 1 else "",
    ]
    text = Text()
    text.append(f"{words(task.agent, 100)} {short_id(task.id)}\n", "bold")
    text.append(f"{' · '.join(filter(None, facts))}\n", STYLES.get(task.status, ""))
    text.append(words(task.task, _REASON), "dim")
    if task.reason:
        text.append(f"\n{words(task.reason, _REASON)}", STYLES.get(task.status, ""))
    return text


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
