"""Tasks of other processes' runtimes, found by way of the state folder: a host that lives is asked, else its journal.

It only looks, and stops a task where its host is asked to. One bad folder never hides the others.
"""

from __future__ import annotations

import contextlib
import difflib
import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from ._control_client import ControlClient
from ._errors import RuntimeClosedError, StateError, SubactorsError, UnknownTaskError
from ._journal_reader import JournalReader
from ._messages import ListTasks, StopTask, TaskRequest, ViewTask
from ._output import TaskOutput
from ._past_runs import mark_read
from ._state import RunFiles, host_pid, is_live, runs
from ._views import TaskView

__all__ = ["ListedTask", "Survey", "TaskElsewhere", "find", "tasks_of"]

PATIENCE: Final = 2.0
"""Seconds that a host has to answer what it can answer at once."""

_INTERVAL: Final = 0.1
"""Seconds between two looks at a task that is followed."""

_PREFIX: Final = "agent_task_"


@dataclass(frozen=True)
class ListedTask:
    """A task, and where it is.

    Attributes:
        view: the task; of its output there is no more than the end, and of a past run nothing.
        run: its run's folder.
        host_pid: process id of its host; None if that is gone.
    """

    view: TaskView
    run: Path
    host_pid: int | None


@dataclass(frozen=True)
class Survey:
    """The tasks of a state folder, the newest last, and sentences about what could not be read."""

    tasks: list[ListedTask]
    warnings: list[str]


def tasks_of(root: Path, *, past: bool = True, at_most: int | None = None) -> Survey:
    """Return the tasks of all runs.

    Hosts that live are asked, all at the same time; what one does not answer soon is taken from its journal.

    Args:
        root: the state folder.
        past: whether runs whose host is gone are wanted, too.
        at_most: about how many tasks are wanted, the newest; past runs beyond that are not looked at.

    Raises:
        StateError: the state folder cannot be read.
    """
    found: dict[Path, list[ListedTask]] = {}
    warnings: list[str] = []
    paths = runs(root)
    answers = _ask_all([path for path in paths if is_live(path)])
    count = 0
    for path in reversed(paths):
        if path in answers:
            found[path] = answers[path]
        # Asked once more: the host may have ended since, which is why it did not answer.
        elif is_live(path):
            warnings.append(
                f"The host of {path.name}{_process(path)} did not answer within {PATIENCE:g} s; "
                "what is shown of it is what its journal says."
            )
            found[path] = _listed(path, warnings, live=True)
        elif past and (at_most is None or count < at_most):
            found[path] = _listed(path, warnings, live=False)
        count += len(found.get(path, []))
    return Survey([task for path in paths for task in found.get(path, [])], warnings)


class TaskElsewhere:
    """One task, wherever it is: its host is asked while there is one, and its journal read afterwards.

    For one thread; to be closed.

    Attributes:
        run: the folder of its run.
        id: the task's id.
        warning: a sentence on why what was last returned is not what the host says; empty if it is, or is final.
    """

    def __init__(self, run: Path, task_id: str) -> None:
        self.run = run
        self.id = task_id
        self.warning = ""
        self._files = RunFiles(run)
        self._client: ControlClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    @property
    def output(self) -> TaskOutput:
        """What it has said until now."""
        return TaskOutput.open(self._files.output, self.id)

    @property
    def log(self) -> Path:
        """The file with what its processes wrote to standard output and error; it need not be there."""
        return self._files.log / f"{self.id}.log"

    @property
    def host_pid(self) -> int | None:
        """Process id of its host; None if that is gone."""
        return host_pid(self.run) if is_live(self.run) else None

    def view(self) -> TaskView:
        """Return the task without its output. If it has ended, that counts as having read its result.

        Raises:
            UnknownTaskError: it has been forgotten, or its run has been removed.
            StateError: the journal cannot be read.
        """
        try:
            view: TaskView = self._ask(ViewTask(self.id, limit=1), PATIENCE)
        except UnknownTaskError:  # the host has forgotten it, its journal has not
            view = self.view_by_journal()
            self.warning = ""
            return view
        except (RuntimeClosedError, OSError):
            return self.view_by_journal()
        self.warning = ""
        return msgspec.structs.replace(view, output="")

    def view_by_journal(self) -> TaskView:
        """Return what the journal says, without asking the host; else as `view`."""
        live = is_live(self.run)
        self.warning = f"The host{_process(self.run)} does not answer; this is what its journal says." if live else ""
        try:
            with JournalReader(self._files.journal, live=live) as reader:
                view = reader.task(self.id)
        except sqlite3.Error as error:
            raise StateError(f"The journal {self._files.journal} cannot be read: {error}.") from error
        if view is None:
            raise UnknownTaskError(f"There is no task {self.id!r} in {self.run} any more.")
        if view.ended and not live:
            mark_read(self.run, [self.id])
        return view

    def follow(self, take: Callable[[bytes, int], None], idle: Callable[[], None] = lambda: None) -> TaskView:
        """Hand over what the task says, from its beginning and as it comes, until it has ended; return how.

        Args:
            take: is called with bytes, and with how many right before them were not kept.
            idle: is called each time when there was nothing more for now; what it raises ends the following.

        Raises:
            UnknownTaskError, StateError: see `view`.
        """
        offset = 0
        while True:
            view = self.view()
            output = self.output
            more = True
            while more:
                piece = output.read_from(offset)
                offset, more = piece.end, piece.more
                if piece.data:
                    take(piece.data, piece.missed)
            if view.ended:
                return view
            idle()
            time.sleep(_INTERVAL)

    def stop(self) -> list[TaskView]:
        """Have its host stop it, and return it and what it owned when all that is gone.

        Raises:
            TaskEndedError: it had ended before.
            RuntimeClosedError: the host is just ending, and stops it anyway.
            OSError: the host is gone, or does not answer.
        """
        # Whoever answers this is well; how long the stop itself may take is a matter of the team's settings.
        self._ask(ListTasks(), PATIENCE)
        stopped: list[TaskView] = self._ask(StopTask(self.id, limit=1, refuse_ended=True), None).tasks
        return stopped

    def _ask(self, request: TaskRequest, timeout: float | None) -> Any:
        if self._client is None:
            if not is_live(self.run):
                raise ConnectionError(f"The host of {self.run} is gone.")
            self._client = ControlClient(self._files.control, PATIENCE)
        try:
            return self._client.ask(request, timeout)
        except OSError:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def find(root: Path, part: str) -> TaskElsewhere:
    """Return the task of that id, or the only one whose id has that part.

    Raises:
        UnknownTaskError: there is none, or there are several; the message says which are near.
        StateError: the state folder cannot be read.
    """
    part = part.strip()
    where: dict[str, Path] = {}
    unreadable: list[str] = []
    for path in reversed(runs(root)):
        try:
            with JournalReader(RunFiles(path).journal, live=True) as reader:
                where = {**dict.fromkeys(reader.ids(), path), **where}
        except sqlite3.Error:
            unreadable.append(path.name)
    fitting = _fitting(part, where)
    if not fitting:
        # A host whose journal cannot be written knows tasks that nobody else does.
        where |= {task.view.id: task.run for task in tasks_of(root, past=False).tasks}
        fitting = _fitting(part, where)
    if part and len(fitting) == 1:
        return TaskElsewhere(where[fitting[0]], fitting[0])
    if fitting:
        raise UnknownTaskError(f"{len(fitting)} tasks fit {part!r}: {_some(fitting)}. Give more of the id.")
    near = difflib.get_close_matches(
        part.removeprefix(_PREFIX), [task_id.removeprefix(_PREFIX) for task_id in where], n=3, cutoff=0.5
    )
    hint = (
        f"Near it: {', '.join(_PREFIX + name for name in near)}." if near else "`subactors ps --all` lists the tasks."
    )
    damage = f" The journals of these runs cannot be read: {_some(unreadable)}." if unreadable else ""
    raise UnknownTaskError(f"There is no task {part!r} in {root}. {hint}{damage}")


def _fitting(part: str, ids: Collection[str]) -> list[str]:
    return [task_id for task_id in ids if part == task_id] or [task_id for task_id in ids if part in task_id]


def _ask_all(paths: list[Path]) -> dict[Path, list[ListedTask]]:
    """Return the tasks of those hosts that answer in time."""
    answers: dict[Path, list[ListedTask]] = {}
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as clients:
        asked: list[tuple[Path, ControlClient, int]] = []
        for path in paths:
            with contextlib.suppress(OSError):
                client = clients.enter_context(ControlClient(RunFiles(path).control, PATIENCE))
                asked.append((path, client, client.send(ListTasks())))
        for path, client, number in asked:
            with contextlib.suppress(OSError, SubactorsError):
                # One that has answered long ago is heard, however slow those before it were.
                reply = client.receive(number, ListTasks, max(0.01, deadline - time.monotonic()))
                answers[path] = [ListedTask(view, path, client.host_pid) for view in reply.tasks]
    return answers


def _listed(path: Path, warnings: list[str], *, live: bool) -> list[ListedTask]:
    """Return the tasks of a run by its journal, or none and a warning."""
    try:
        with JournalReader(RunFiles(path).journal, live=live) as reader:
            return [ListedTask(view, path, host_pid(path) if live else None) for view in reader.tasks()]
    except sqlite3.Error as error:
        warnings.append(f"The journal of {path} cannot be read: {error}.")
        return []


def _process(run: Path) -> str:
    pid = host_pid(run)
    return f" (process {pid})" if pid is not None else ""


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"  # noqa: PLR2004 - a line of them
