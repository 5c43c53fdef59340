"""Fan-out: runs an agent on many items, in a task of its own: the group of the tasks that do the items.

The group's file has a line of JSON for each item. Lines are written as the items end, and put in the order of the items
at the end; until then, the last line of an item counts. So no result is lost with the group's process, and what has
failed can be run again. The file is as large as the results need, each of which is within `max_result`. Of the results
themselves, only the beginnings of some are kept in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...actors.regular_files import make, open_to_read
from ..errors import CapacityError, StateError, SubactorsError
from ..text import one_line
from .current import current_task

if TYPE_CHECKING:
    from ..tasks.views import TaskView
    from ..verbs.awaited import AsyncTask
    from .entrypoint import EntrypointTask

__all__ = ["GroupWork", "run_group"]

_HEADS: Final = 10
_LONGEST_HEAD: Final = 400
"""Items whose results begin in the group's own result, and characters of each."""

_FAILURES: Final = 20
_LONGEST_REASON: Final = 300
"""Items that it names as failed, and characters of each reason."""

_LONGEST_ITEM: Final = 100

_COMPLETED: Final = "completed"
_NOT_STARTED: Final = "not started"
_STOPPED: Final = "stopped"


class GroupWork(msgspec.Struct, frozen=True):
    """What a group is to do.

    Attributes:
        agent: who does the items.
        task: what is to be done with each; `{item}` in it stands for the item.
        items: what there is to do; of a group that runs others' failed items again, empty.
        file: the group's.
        concurrency: items at work at a time.
        expected_output: of each item.
        output_schema: of each item, as JSON text.
        turns: that each item may take; None: as many as its agent may.
        earlier: the file of the group whose items are run again where they have failed; empty: there is none.
    """

    agent: str
    task: str
    items: tuple[str, ...]
    file: str
    concurrency: int
    expected_output: str | None = None
    output_schema: str | None = None
    turns: int | None = None
    earlier: str = ""


class Line(msgspec.Struct, omit_defaults=True):
    """The state of one item: a line of the file.

    Attributes:
        index: its number, from 0.
        item: the item.
        status: `completed`, `failed`, `stopped` or `not started`.
        task_id: of the task that did it last.
        reason: why it is not completed.
        result: its result; not there if it is in `result_file`.
        result_file: the file with its result, where that is large.
    """

    index: int
    item: str
    status: str
    task_id: str = ""
    reason: str = ""
    result: Any = None
    result_file: str = ""


async def run_group(work: GroupWork) -> dict[str, Any]:
    """Do all items, and return how it went. Runs in the group's process; cancelled, it returns what there is.

    Raises:
        StateError: the file cannot be written, or that of the earlier group not be read.
    """
    task = current_task()
    assert task is not None  # noqa: S101 - this is its function
    book = _Book(work)
    try:
        group = _Group(task, work, book)
        try:
            await group.run()
        except asyncio.CancelledError:
            group.note_stop()
        book.finish()
        return book.summary(work)
    finally:
        book.close()


class _Group:
    """A group at work, in the event loop of its process."""

    def __init__(self, task: EntrypointTask, work: GroupWork, book: _Book) -> None:
        self._task = task
        self._work = work
        self._book = book
        self._waiting = [line.index for line in book.lines if line.status != _COMPLETED]
        self._waiting.reverse()
        self._at_work: dict[int, AsyncTask | None] = {}
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Do the items, some at a time."""
        self._tell()
        workers = min(self._work.concurrency, len(self._waiting))
        running = [asyncio.create_task(self._do_some()) for _ in range(workers)]
        try:
            await asyncio.gather(*running)
        except BaseException:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    def note_stop(self) -> None:
        """Note what was at work, and what was not, when the group was stopped."""
        for index, started in self._at_work.items():
            self._book.note(index, _STOPPED, started.id if started else "", "Stopped together with its group.")
        for index in self._waiting:
            self._book.note(index, _NOT_STARTED, "", "Its group was ended before.")

    async def _do_some(self) -> None:
        while self._waiting:
            index = self._waiting.pop()
            self._at_work[index] = None
            await self._do(index)
            del self._at_work[index]
            self._ended.set()
            self._tell()

    async def _do(self, index: int) -> None:
        try:
            started = self._at_work[index] = await self._start(self._book.lines[index].item)
            (view,) = await self._task.async_runtime.wait([started])
        except SubactorsError as error:
            at_work = self._at_work[index]
            self._book.note(index, "failed" if at_work else _NOT_STARTED, at_work.id if at_work else "", str(error))
        else:
            self._book.note_end(index, view)
        line = self._book.lines[index]
        if line.status != _COMPLETED:
            reason = one_line(line.reason, _LONGEST_REASON)
            self._task.emit(f"Item {index} ({one_line(line.item, _LONGEST_ITEM)}): {line.status}. {reason}\n")

    async def _start(self, item: str) -> AsyncTask:
        """Start the task of an item; where there is no room, when another item has ended."""
        from ..team.config import Limits  # noqa: PLC0415 - the host, which only names this module, has it anyway

        work = self._work
        schema = work.output_schema
        while True:
            self._ended.clear()
            try:
                return await self._task.async_runtime.run(
                    work.agent,
                    work.task.replace("{item}", item),
                    expected_output=work.expected_output,
                    output_schema=msgspec.json.decode(schema) if schema is not None else None,
                    limits=Limits(iterations=work.turns) if work.turns is not None else None,
                )
            except CapacityError:
                if not any(self._at_work.values()):
                    raise
                await self._ended.wait()

    def _tell(self) -> None:
        counts = self._book.counts
        ended = len(self._book.lines) - len(self._waiting) - len(self._at_work)
        bad = ended - counts.get(_COMPLETED, 0)
        self._task.progress(ended, len(self._book.lines), f"{bad} failed" if bad else "")


class _Book:
    """The group's file, and what is known of each item. Of a line in memory, the result is left out.

    Raises:
        StateError: as `run_group`.
    """

    def __init__(self, work: GroupWork) -> None:
        self._path = work.file
        self._heads: dict[int, str] = {}
        self._places: list[tuple[int, int]] = []
        self._length = 0
        self._descriptor = -1
        self.lines: list[Line] = []
        lines = _lines_of(work.earlier) if work.earlier else _new_lines(work.items)
        try:
            Path(self._path).parent.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = make(self._path)
            for line in lines:
                if line.status != _COMPLETED:
                    line = Line(line.index, line.item, _NOT_STARTED)  # noqa: PLW2901 - it is to be done again
                self._places.append((0, 0))
                self.lines.append(line)
                self._write(line)
        except OSError as error:
            self.close()
            raise _failed("written to", self._path, error) from error

    @property
    def counts(self) -> dict[str, int]:
        """How many items there are of each status."""
        counts: dict[str, int] = {}
        for line in self.lines:
            counts[line.status] = counts.get(line.status, 0) + 1
        return counts

    def note(self, index: int, status: str, task_id: str, reason: str) -> None:
        """Note that an item is not completed."""
        self._note(Line(index, self.lines[index].item, status, task_id, reason))

    def note_end(self, index: int, view: TaskView) -> None:
        """Note how the task of an item has ended."""
        line = Line(index, self.lines[index].item, view.status, view.id, view.reason)
        if view.status == _COMPLETED and not view.result_file:
            line.result = view.result
        line.result_file = view.result_file
        self._note(line)

    def _note(self, line: Line) -> None:
        self.lines[line.index] = line
        try:
            self._write(line)
        except OSError as error:
            raise _failed("written to", self._path, error) from error

    def _write(self, line: Line) -> None:
        data = msgspec.json.encode(line) + b"\n"
        if line.status == _COMPLETED and line.index < _HEADS:
            self._heads[line.index] = _beginning(line)
        _write_all(self._descriptor, data)
        self._places[line.index] = self._length, len(data)
        self._length += len(data)
        line.result = None

    def finish(self) -> None:
        """Put the lines in their order, in a new file that takes the place of this one."""
        part = f"{self._path}.part"
        try:
            descriptor = make(part)
            try:
                for place, length in self._places:
                    _write_all(descriptor, os.pread(self._descriptor, length, place))
            finally:
                os.close(descriptor)
            Path(part).replace(self._path)
        except OSError as error:
            raise _failed("written to", self._path, error) from error

    def summary(self, work: GroupWork) -> dict[str, Any]:
        """Return how it went: what failed, how the first results begin, and where all of them are."""
        failures = [line for line in self.lines if line.status != _COMPLETED]
        told = [
            {
                "index": line.index,
                "item": one_line(line.item, _LONGEST_ITEM),
                "status": line.status,
                "reason": one_line(line.reason, _LONGEST_REASON),
                **({"task_id": line.task_id} if line.task_id else {}),
            }
            for line in failures[:_FAILURES]
        ]
        return {
            "agent": work.agent,
            "items": len(self.lines),
            "completed": len(self.lines) - len(failures),
            "failed": len(failures),
            "file": self._path,
            "failures": told,
            "failures_left_out": len(failures) - len(told),
            "first_results": {str(index): head for index, head in sorted(self._heads.items())},
        }

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _new_lines(items: Iterable[str]) -> Iterator[Line]:
    return (Line(index, item, _NOT_STARTED) for index, item in enumerate(items))


def _beginning(line: Line) -> str:
    if line.result_file:
        return f"(in {line.result_file})"
    text = line.result if isinstance(line.result, str) else msgspec.json.encode(line.result).decode()
    return one_line(text, _LONGEST_HEAD)


def _lines_of(path: str) -> Iterator[Line]:
    """Yield the last line of each item of a group's file, in the order of the items.

    Raises:
        StateError: it cannot be read.
    """
    decoder = msgspec.json.Decoder(Line)
    places: dict[int, tuple[int, int]] = {}
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            place = 0
            for text in file:
                # The last line of a group whose process was killed may be half a line.
                if text.endswith(b"\n"):
                    places[decoder.decode(text).index] = place, len(text)
                place += len(text)
            for number, index in enumerate(sorted(places)):
                start, length = places[index]
                line = decoder.decode(os.pread(file.fileno(), length, start))
                line.index = number
                yield line
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise _failed("read from", path, error) from error


def _failed(what: str, path: str, error: Exception) -> StateError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return StateError(f"The results of the group cannot be {what} {path}: {reason}.")
