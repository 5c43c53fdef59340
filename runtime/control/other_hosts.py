"""Other hosts: finds tasks of other processes' runtimes by the state folder, and asks a living host, else its journal.

It only looks, and stops a task by asking its host. One bad folder never hides the others.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from ..errors import RuntimeClosedError, StateError, SubactorsError, UnknownTaskError
from ..runs.folder import RunFiles, host_pid, is_live, runs
from ..runs.output import OutputFiles
from ..runs.reader import JournalReader
from ..runs.upkeep import mark_read
from ..tasks.messages import ListTasks, Request, StopTasks, ViewTask
from ..tasks.views import TaskView
from .client import ControlClient
from .wire import Face

__all__ = [
    "PATIENCE",
    "ForeignTask",
    "ListedTask",
    "Survey",
    "ask_all",
    "client_of",
    "past_view",
    "stop_together",
    "tasks_of",
]

logger = logging.getLogger("subactors.runtime")

Reply = TypeVar("Reply")

PATIENCE: Final = 2.0
"""Seconds that a host has to answer what it can answer at once."""

_INTERVAL: Final = 0.1
"""Seconds between two looks at a task that is followed."""

_ON_ONE_CONNECTION: Final = 16
"""Requests that a host hears on one connection while it has answered none of them."""

_AT_ONCE: Final = 256
"""Stops that are asked for together; a host has twice as many connections as one such lot may need."""


@dataclass(frozen=True)
class ListedTask:
    """A task, and where it is.

    Attributes:
        view: the task; of its output there is no more than the last lines, and of a past run nothing; see `last_lines`.
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


def tasks_of(
    root: Path,
    *,
    past: bool = True,
    at_most: int | None = None,
    wanted: Callable[[TaskView], bool] = lambda _: True,
    run: Path | None = None,
) -> Survey:
    """Return the tasks of all runs.

    Hosts that live are asked, all at the same time; what one does not answer soon is taken from its journal.

    Args:
        root: the state folder.
        past: whether runs whose host is gone are wanted, too.
        at_most: about how many tasks are wanted, the newest; past runs beyond that are not looked at.
        wanted: whether a task is wanted.
        run: the folder of the only run that is wanted.

    Raises:
        StateError: the state folder cannot be read.
    """
    found: dict[Path, list[ListedTask]] = {}
    warnings: list[str] = []
    paths = [path for path in runs(root) if run in (None, path)]
    replies = ask_all([path for path in paths if is_live(path)], ListTasks())
    answers = {
        path: [ListedTask(view, path, host_pid) for view in reply.tasks] for path, (host_pid, reply) in replies.items()
    }
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
        found[path] = [task for task in found.get(path, []) if wanted(task.view)]
        count += len(found[path])
    return Survey([task for path in paths for task in found[path]], warnings)


class ForeignTask:
    """One task, wherever it is: its host is asked while there is one, and its journal read afterwards.

    For one thread; to be closed.

    Attributes:
        run: the folder of its run.
        id: the task's id.
        warning: a sentence on why what was last returned is not what the host says; empty if it is, or is final.
    """

    def __init__(self, run: Path, task_id: str, face: Face = "command line") -> None:
        self._face = face
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
    def output(self) -> OutputFiles:
        """Its output so far."""
        return OutputFiles.open(self._files.output, self.id)

    @property
    def log(self) -> Path:
        """The file with what its processes wrote to standard output and error; it need not be there."""
        return self._files.log / f"{self.id}.log"

    @property
    def host_pid(self) -> int | None:
        """Process id of its host; None if that is gone."""
        return host_pid(self.run) if is_live(self.run) else None

    def view(self, *, closely: bool = False, peek: bool = False) -> TaskView:
        """Return the task without its output. If it has ended, that counts as having read its result.

        Args:
            closely: see `ViewTask`.
            peek: whether it does not count.

        Raises:
            UnknownTaskError: it has been forgotten, or its run has been removed.
            StateError: the journal cannot be read.
        """
        try:
            view = self.ask(ViewTask(self.id, limit=1, closely=closely, peek=peek))
        except UnknownTaskError:  # the host has forgotten it, its journal has not
            view = self.view_by_journal(peek=peek)
            self.warning = ""
            return view
        except (RuntimeClosedError, OSError):
            return self.view_by_journal(peek=peek)
        self.warning = ""
        return msgspec.structs.replace(view, output="")

    def view_by_journal(self, *, peek: bool = False) -> TaskView:
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
        if view.ended and not live and not peek:
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

    def ask(self, request: Request[Reply], timeout: float | None = PATIENCE) -> Reply:
        """Ask the host of the task something that it can answer at once, or within a time.

        Raises:
            RunError: it refuses.
            RuntimeClosedError: it is just ending.
            OSError: it is gone, or does not answer.
        """
        if self._client is None:
            if not is_live(self.run):
                raise ConnectionError(f"The host of {self.run} is gone.")
            self._client = ControlClient(self._files.control, PATIENCE, self._face)
        try:
            return self._client.ask(request, timeout)
        except OSError:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def past_view(root: Path, task_id: str) -> TaskView | None:
    """Return a task of an earlier run, with its output; None if there is none with that id, or its host lives."""
    with contextlib.suppress(StateError):
        for path in reversed(runs(root)):
            if is_live(path):
                continue  # nor is its journal touched: this process may be its host
            with contextlib.suppress(UnknownTaskError, StateError), ForeignTask(path, task_id) as task:
                return msgspec.structs.replace(task.view_by_journal(), output=task.output.text())
    return None


def stop_together(tasks: Sequence[ForeignTask]) -> dict[str, list[TaskView] | Exception]:
    """Have the hosts of tasks stop them, all at the same time, and wait until all that is gone.

    Returns:
        For each task's id, the task and what it owned; or a TaskEndedError if it had ended before, a RuntimeClosedError
        if its host is just ending, and stops it anyway, or an OSError if its host is gone, or does not answer.
    """
    outcomes: dict[str, list[TaskView] | Exception] = {}
    for start in range(0, len(tasks), _AT_ONCE):
        with contextlib.ExitStack() as clients:
            asked: list[tuple[str, ControlClient, int]] = []
            for group in _groups(tasks[start : start + _AT_ONCE]):
                try:
                    client = clients.enter_context(client_of(group[0].run))
                    numbers = [client.send(StopTasks([task.id], limit=1, refuse_ended=True)) for task in group]
                    asked += [(task.id, client, number) for task, number in zip(group, numbers, strict=True)]
                except (OSError, SubactorsError) as error:
                    outcomes |= dict.fromkeys((task.id for task in group), error)
            for task_id, client, number in asked:
                try:
                    outcomes[task_id] = client.receive(number, StopTasks, None).tasks
                except (OSError, SubactorsError) as error:
                    outcomes[task_id] = error
    return outcomes


def _groups(tasks: Sequence[ForeignTask]) -> Iterator[list[ForeignTask]]:
    """Yield the tasks, those of one host together, as many as it hears of on one connection."""
    by_run: dict[Path, list[ForeignTask]] = {}
    for task in tasks:
        by_run.setdefault(task.run, []).append(task)
    for group in by_run.values():
        for start in range(0, len(group), _ON_ONE_CONNECTION):
            yield group[start : start + _ON_ONE_CONNECTION]


def client_of(run: Path) -> ControlClient:
    """Return a connection to the host of a run.

    Raises:
        OSError: the host is gone, or does not answer.
        RuntimeClosedError: it is just ending.
    """
    if not is_live(run):
        raise ConnectionError(f"The host of {run} is gone.")
    client = ControlClient(RunFiles(run).control, PATIENCE)
    try:
        # A host that answers this is healthy. A stop itself may take as long as the team's settings allow.
        client.ask(ListTasks(), PATIENCE)
    except BaseException:
        client.close()
        raise
    return client


def ask_all(paths: Sequence[Path], request: Request[Reply]) -> dict[Path, tuple[int, Reply]]:
    """Ask the hosts of runs at the same time; return process id and reply of each that answers in time."""
    answers: dict[Path, tuple[int, Reply]] = {}
    began = time.monotonic()
    deadline = began + PATIENCE
    with contextlib.ExitStack() as clients:
        asked: list[tuple[Path, ControlClient, int]] = []
        for path in paths:
            with contextlib.suppress(OSError):
                client = clients.enter_context(ControlClient(RunFiles(path).control, PATIENCE))
                asked.append((path, client, client.send(request)))
        for path, client, number in asked:
            with contextlib.suppress(OSError, SubactorsError):
                # One that has answered long ago is heard, however slow those before it were.
                reply = client.receive(number, type(request), max(0.01, deadline - time.monotonic()))
                answers[path] = (client.host_pid, reply)
                taken = (time.monotonic() - began) * 1000
                name = f"{path.name}{_process(path)}"
                logger.debug("The host of %s answered after %.0f ms.", name, taken)
    return answers


def _listed(path: Path, warnings: list[str], *, live: bool) -> list[ListedTask]:
    """Return the tasks of a run by its journal, or none and a warning."""
    try:
        with JournalReader(RunFiles(path).journal, live=live) as reader:
            listed = [ListedTask(view, path, host_pid(path) if live else None) for view in reader.tasks()]
            warnings += reader.damaged
            return listed
    except sqlite3.Error as error:
        warnings.append(f"The journal of {path} cannot be read: {error}.")
        return []


def _process(run: Path) -> str:
    pid = host_pid(run)
    return f" (process {pid})" if pid is not None else ""
