"""Feed: what has changed, told to every page that is open, and encoded once for all of them.

Hosts are watched for as long as a page is open, and a moment longer: one that loads asks for all tasks, and then for
what changes. For the server's event loop, but for `ring`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from sse_starlette import ServerSentEvent

from ..errors import StateError, UnknownTaskError
from ..runs.output import Piece
from ..runs.output_text import incomplete
from ..tasks.views import iso_time
from ..text import encodable
from ..watching import details
from ..watching.model import TaskSeen
from ..watching.watcher import Watcher

__all__ = ["Feed", "encoded"]

_SHORTEST: Final = 0.03
"""Seconds between two events to a page, at least."""

_LINGER: Final = 5.0
"""Seconds that hosts are watched after the last page has gone."""

_SAMPLES: Final = 40
"""Samples of each task that a list has."""

_STREAMS: Final = 5
"""Streams of changes at a time. A browser has six connections to a server, and needs one for what else it asks; pages
beyond that take turns."""

_PIECE: Final = 64_000
"""Bytes of output in an event."""

_AT_ONCE: Final = 4
"""Such pieces that are told one after another: what else has changed is told between them and those that follow."""

_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at the output of a task whose host does not tell how much it has said."""


def encoded(value: Any) -> str:
    """Return plain data and frozen values as JSON; what is no text in UTF-8, as a path may be, with marks in it."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_as_text(msgspec.to_builtins(value))).decode()


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {_as_text(key): _as_text(each) for key, each in value.items()}
    return [_as_text(each) for each in value] if isinstance(value, list | tuple) else value


class _Told(NamedTuple):
    """What has changed, as an event; empty: nothing has. The cursor is the place behind it."""

    cursor: str
    event: bytes


class Feed:
    """See the module.

    Args:
        root: the state folder.
        only: the name of the only run that is wanted; None: all.
    """

    def __init__(self, root: Path, only: str | None = None) -> None:
        self.root = root
        self.watcher = Watcher(root, self.ring, only=only)
        self.model = self.watcher.model
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._is_rung = False
        self._is_over = False
        self._told: dict[str, _Told] = {}  # by the cursor from which on
        self._streams: list[object] = []  # the oldest first

    def close(self) -> None:
        """End the threads that watch."""
        self._loop = None
        self.watcher.close()

    def hang_up(self) -> None:
        """Have all streams end, soon; in any thread, or at a signal."""
        self._is_over = True
        self.ring()

    def ring(self) -> None:
        """Something has changed; in any thread."""
        loop = self._loop
        if loop is None or self._is_rung:
            return
        self._is_rung = True
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_rung = False
        self._bell.set()
        self._bell = asyncio.Event()

    @contextlib.asynccontextmanager
    async def looking(self, *, former: bool = False) -> AsyncIterator[None]:
        """Have hosts watched inside of the block, and a moment longer."""
        self._loop = loop = asyncio.get_running_loop()
        self.watcher.begin(former=former)  # before anything is waited for: who is cancelled then comes to the end, too
        try:
            await asyncio.to_thread(self.watcher.wait_for_first_look)
            yield
        finally:
            loop.call_later(_LINGER, self.watcher.end)

    def everything(self, *, former: bool, read_only: bool) -> dict[str, Any]:
        """Return all runs, the newest last, and their tasks in the same order, owners before what they own.

        Args:
            former: whether runs are wanted, too, whose hosts were gone before anybody looked.
            read_only: whether nothing can be changed here.
        """
        seen = self.model.since("")
        warned, warnings = self.watcher.warnings_after(0)
        runs = sorted((run for run in seen.runs if former or not run["is_former"]), key=lambda run: str(run["id"]))
        place = {run["id"]: place for place, run in enumerate(runs)}
        tasks = sorted((task for task in seen.tasks if task["run"] in place), key=lambda task: place[task["run"]])
        return {
            "cursor": seen.cursor,
            "now": iso_time(time.time()),
            "read_only": read_only,
            "runs": runs,
            "tasks": tasks,
            "samples": {task["id"]: found for task in tasks if (found := self.model.samples(task["id"], _SAMPLES))},
            "warnings": warnings,
            "warned": warned,
        }

    async def events(
        self, cursor: str, task_id: str = "", offset: int = 0, warned: int = 0
    ) -> AsyncIterator[ServerSentEvent | bytes]:
        """Yield what changes, and what one task says.

        Args:
            cursor: the place from which on.
            task_id: the task; empty: none.
            offset: from where on in its output, in bytes; below 0: that many before the end.
            warned: how many sentences about what could not be read are known.
        """
        async with self.looking(), self._having_a_turn() as turn:
            yield ServerSentEvent(comment="here", retry=1000)
            output = _Output(self.root, task_id, offset) if task_id else None
            while turn in self._streams and not self._is_over:
                bell, looked = self._bell, time.monotonic()
                told = self._since(cursor)
                if told is None:
                    yield ServerSentEvent(event="reset", data="{}")
                    return
                if told.event:
                    yield told.event
                    cursor = told.cursor
                warned, warnings = self.watcher.warnings_after(warned)
                if warnings:
                    data = encoded({"text": " ".join(warnings), "warned": warned})
                    yield ServerSentEvent(event="warning", data=data)
                if output is None:
                    await bell.wait()
                else:
                    async for event in output.new(self.model.task(task_id)):
                        yield event
                    await output.wait(bell)
                await asyncio.sleep(max(0.0, looked + _SHORTEST - time.monotonic()))
            if not self._is_over:
                yield ServerSentEvent(event="turn", data="{}")

    @contextlib.asynccontextmanager
    async def _having_a_turn(self) -> AsyncIterator[object]:
        """Be one of the streams that are open inside of the block, until others want a turn, too."""
        turn = object()
        self._streams.append(turn)
        if len(self._streams) > _STREAMS:
            self._streams.pop(0)
            self._wake()
        try:
            yield turn
        finally:
            if turn in self._streams:
                self._streams.remove(turn)

    async def output(self, task_id: str, offset: int) -> AsyncIterator[ServerSentEvent]:
        """Yield what one task says from an offset on, until it has ended."""
        async with self.looking():
            output = _Output(self.root, task_id, offset)
            while not (output.is_over or self._is_over):
                bell = self._bell
                async for event in output.new(self.model.task(task_id)):
                    yield event
                if not output.is_over:
                    await output.wait(bell)

    def _since(self, cursor: str) -> _Told | None:
        """Return what has changed since a cursor, made once for all pages that are told the same; None: all anew."""
        known = self._told.get(cursor)
        if known is not None and known.cursor == self.model.cursor:
            return known
        seen = self.model.since(cursor)
        if seen.reset:
            return None
        event = b""
        if not seen.is_empty:
            value = {
                "now": iso_time(time.time()),
                "changed": seen.tasks,
                "gone": seen.gone,
                "runs": seen.runs,
                "runs_gone": seen.runs_gone,
            }
            # By hand: JSON is one line, and to look for lines in it would cost more than all else that is done with it.
            event = f"id: {seen.cursor}\r\nevent: tasks\r\ndata: {encoded(value)}\r\n\r\n".encode()
        told = _Told(seen.cursor, event)
        self._told = {cursor: told}
        return told


class _Output:
    """What one task says, from an offset on.

    Attributes:
        is_over: whether it has ended, and all of it was told.
    """

    def __init__(self, root: Path, task_id: str, offset: int) -> None:
        self.is_over = False
        self._root = root
        self._id = task_id
        self._run = ""
        self._offset = offset
        self._size = -1
        self._has_more = False

    async def wait(self, bell: asyncio.Event) -> None:
        """Wait until there may be more: not at all, if more is there already."""
        if not self._has_more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), _LOOK_AGAIN)

    async def new(self, task: TaskSeen | None) -> AsyncIterator[ServerSentEvent]:
        """Yield what it has said since, or the first of that.

        Args:
            task: the task; None if it is not among those that are watched: its run is of before, or has just begun.
        """
        if self.is_over or not (self._has_more or task is None or task.ended or task.output_size != self._size):
            return
        self._size = task.output_size if task is not None else -1
        self._has_more = True
        for _ in range(_AT_ONCE):
            try:
                piece, ended = await asyncio.to_thread(self._read, task)
            except (UnknownTaskError, StateError) as error:
                yield ServerSentEvent(event="warning", data=encoded({"text": str(error)}))
                self.is_over = True
                return
            data = piece.data
            cut = incomplete(data)
            if cut < len(data) and not (ended and not piece.more):  # the rest of it comes with the next piece
                data = data[: len(data) - cut]
            self._offset = piece.end - len(piece.data) + len(data)
            if data or piece.missed:
                told = {"id": self._id, "text": data.decode("utf-8", "replace"), "missed": piece.missed}
                yield ServerSentEvent(event="output", data=encoded({**told, "end": self._offset}))
            if not piece.more:
                self._has_more = False
                self.is_over = ended
                break
        if self.is_over:
            yield ServerSentEvent(event="ended", data=encoded({"id": self._id, "end": self._offset}))

    def _read(self, task: TaskSeen | None) -> tuple[Piece, bool]:
        """Return what comes next, and whether nothing comes after it; in a thread."""
        with details.foreign(self._root, task.run if task is not None else self._run, self._id) as found:
            self._run = found.run.name
            # First, so that all is there then.
            ended = task.ended if task is not None else found.host_pid is None or found.view(peek=True).ended
            return details.output(found, self._offset, _PIECE), ended
