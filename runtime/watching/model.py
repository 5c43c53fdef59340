"""Model: all runs and tasks that are watched, as they are known now, and what has changed of them since when.

It joins what living hosts tell with what the journals of others say, and asks nobody itself: see `watcher`. It is
bounded: of tasks that have ended, the oldest are let go.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..tasks.changes import ChangeLog, Row
from ..tasks.watching import Sample, TaskChanges, TaskRow
from ..vitals.ring import MOST_SAMPLES, Ring

__all__ = ["Model", "RunSeen", "Seen", "TaskSeen"]

_ENDED: Final = 5000
"""Tasks that have ended which are kept; beyond that the oldest are let go."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What a task's id looks like. It is part of names of files."""

_FIELDS: Final = TaskRow.__struct_fields__


class TaskSeen(TaskRow, frozen=True, kw_only=True):
    """A task, wherever it is.

    Attributes:
        run: the name of its run's folder.
        live: whether its host lives.
    """

    run: str
    live: bool


class RunSeen(Row, frozen=True, kw_only=True):
    """A run.

    Attributes:
        id: the name of its folder.
        path: the folder.
        live: whether its host lives.
        is_former: whether its host was gone before anybody watched.
        host_pid: process id of its host; None if that is gone.
        started_at: when it started; None if nobody knows.
        ended_at: when it was last heard of; None while its host lives.
        command: the program that was, or is, the host.
        team: the team file, or what else the team was made of.
        working_dir: where its agents worked.
        running: tasks that have started and not ended.
        max_running: how many may be; 0 where only the journal can be asked.
        warning: why what is shown of it may not be so; empty if it is.
    """

    path: str
    live: bool
    is_former: bool = False
    host_pid: int | None = None
    started_at: str | None = None
    ended_at: str | None = None
    command: str = ""
    team: str = ""
    working_dir: str = ""
    running: int = 0
    max_running: int = 0
    warning: str = ""


class Seen(NamedTuple):
    """What has changed since a cursor.

    Attributes:
        cursor: the place behind it.
        reset: whether this is all there is, in place of all that was told before.
        runs: of each run its id, and the fields that have changed.
        tasks: the same of tasks; one that is new comes after what had started it.
        runs_gone: ids of runs that are not there any more.
        gone: the same of tasks.
    """

    cursor: str
    reset: bool
    runs: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    runs_gone: list[str]
    gone: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has."""
        return not (self.reset or self.runs or self.tasks or self.runs_gone or self.gone)


class Model:
    """See the module. Any thread may call every method.

    Args:
        changed: is called in the thread that has changed something, after that, and must not wait.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.RLock()
        self._changed = changed
        self._runs: ChangeLog[RunSeen] = ChangeLog()
        self._tasks: ChangeLog[TaskSeen] = ChangeLog()
        self._ended: dict[str, None] = {}  # the first to end first
        self._rings: dict[str, Ring] = {}

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> str:
        """The place behind all changes."""
        with self._lock:
            return f"{self._runs.cursor}.{self._tasks.cursor}"

    def since(self, cursor: str) -> Seen:
        """Return what has changed since a cursor; all there is, where it is empty, of another model, or too old."""
        of_runs, _, of_tasks = cursor.partition(".")
        with self._lock:
            runs, tasks = self._runs.since(of_runs), self._tasks.since(of_tasks)
            if runs.reset != tasks.reset:
                runs, tasks = self._runs.since(""), self._tasks.since("")
            return Seen(
                cursor=f"{runs.cursor}.{tasks.cursor}",
                reset=runs.reset,
                runs=runs.changed,
                tasks=tasks.changed,
                runs_gone=runs.gone,
                gone=tasks.gone,
            )

    def run(self, name: str) -> RunSeen | None:
        """Return a run; None if it is not known."""
        with self._lock:
            return self._runs.get(name)

    def runs(self) -> list[RunSeen]:
        """Return all runs, in the order in which they were found."""
        with self._lock:
            return list(self._runs)

    def task(self, task_id: str) -> TaskSeen | None:
        """Return a task; None if it is not known."""
        with self._lock:
            return self._tasks.get(task_id)

    def tasks(self) -> list[TaskSeen]:
        """Return all tasks; one comes after what had started it."""
        with self._lock:
            return list(self._tasks)

    def falls_with(self, task_id: str) -> list[TaskSeen]:
        """Return the tasks that have not ended which a stop of a task takes along, in the order of their starts."""
        below = {task_id}
        found = []
        for task in self.tasks():
            if task.parent in below:
                below.add(task.id)
                if not task.ended:
                    found.append(task)
        return found

    def samples(self, task_id: str, most: int = MOST_SAMPLES) -> list[Sample]:
        """Return the latest samples of a task, oldest first."""
        with self._lock:
            ring = self._rings.get(task_id)
            return ring.samples(most) if ring is not None else []

    # --- what is told -----------------------------------------------------------------------------------------------

    def put_run(self, run: RunSeen) -> None:
        """Take a run as it is now."""
        with self._lock:
            is_new = self._runs.put(run)
        if is_new:
            self._changed()

    def drop_run(self, name: str) -> None:
        """Forget a run that has been removed, and its tasks."""
        with self._lock:
            if name not in self._runs:
                return
            self._runs.drop(name)
            for task in list(self._tasks):
                if task.run == name:
                    self._drop(task.id)
        self._changed()

    def merge(self, name: str, changes: TaskChanges) -> None:
        """Take what a living host has told.

        Raises:
            ValueError: it makes no sense, so all that was told before it is needed again.
        """
        with self._lock:
            told = set()
            for change in changes.changed:
                fields = zip(_FIELDS, msgspec.structs.astuple(change), strict=True)
                values = {field: value for field, value in fields if value is not msgspec.UNSET}
                told.add(change.id)
                self._take(name, change.id, values)
            for task_id, samples in changes.samples.items():
                if (task := self._tasks.get(task_id)) is not None and task.run == name:
                    self._rings[task_id] = ring = Ring()
                    for sample in samples[-MOST_SAMPLES:]:
                        ring.add(*sample)
            gone = changes.gone
            if changes.reset:
                gone = [task.id for task in self._tasks if task.run == name and task.id not in told]
            for task_id in gone:
                # What has ended is still in the journal, though its host does not remember it.
                if (task := self._tasks.get(task_id)) is not None and task.run == name and not task.ended:
                    self._drop(task_id)
            run = self._runs.get(name)
            if run is not None:
                self._runs.put(
                    msgspec.structs.replace(
                        run, live=True, running=changes.running, max_running=changes.max_running, warning=""
                    )
                )
            self._bound()
        self._changed()

    def take_journal(self, name: str, rows: Iterable[TaskRow], *, live: bool) -> None:
        """Take what the journal of a run says, whose host is gone or does not answer."""
        with self._lock:
            found = set()
            for row in rows:
                found.add(row.id)
                before = self._tasks.get(row.id)
                if before is not None and before.run == name:
                    row = msgspec.structs.replace(row, words=before.words or row.words)  # noqa: PLW2901 - the same, and more
                self._take(name, row.id, msgspec.structs.asdict(row), live=live)
            for task in list(self._tasks):
                if task.run == name and task.id not in found:
                    # A journal lags behind a host that lives, and who goes and comes again would lose its place.
                    self._take(name, task.id, {}, live=live) if task.ended or live else self._drop(task.id)
            self._bound()
        self._changed()

    def _take(self, name: str, task_id: str, values: Mapping[str, Any], *, live: bool = True) -> None:
        before = self._tasks.get(task_id)
        if before is None:
            if not _NAME.fullmatch(task_id):
                return
            try:
                task = TaskSeen(**values, run=name, live=live)
            except TypeError as error:
                raise ValueError(f"Nothing is known of {task_id} but a change.") from error
            self._tasks.put(task)
        elif before.run == name:
            task = self._tasks.change(task_id, {**values, "live": live})
        else:
            return  # of another run, which had it first
        if task.ended:
            self._ended.setdefault(task_id)
        vitals = values.get("vitals")
        if vitals is not None and live and task.ended_at is None and vitals.cpu_percent is not None:
            self._sample(task, vitals.cpu_percent, vitals.memory_bytes)

    def _sample(self, task: TaskSeen, cpu_percent: float, memory_bytes: int) -> None:
        self._rings.setdefault(task.id, Ring()).add(time.time(), cpu_percent, memory_bytes)

    def _drop(self, task_id: str) -> None:
        self._tasks.drop(task_id)
        self._ended.pop(task_id, None)
        self._rings.pop(task_id, None)

    def _bound(self) -> None:
        while len(self._ended) > _ENDED:
            self._drop(next(iter(self._ended)))
