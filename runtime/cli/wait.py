"""Waiting command: `wait`, for tasks that another process runs, or ran. Imported when it is called.

A host is asked to answer when one of its tasks has ended, and its journal is read when it is gone. Nothing counts as
read: the results are not shown.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ..control.client import ControlClient
from ..control.last_lines import with_last_lines
from ..control.other_hosts import ForeignTask, client_of
from ..errors import RunError, RuntimeClosedError, UnknownTaskError
from ..tasks.messages import WaitTasks
from ..tasks.views import TaskView
from ..terminal.streams import out, warn
from ..text import duration
from .exit_status import INTERRUPTED
from .json_style import print_json, task_data
from .manner import manner
from .named_tasks import named_tasks

__all__ = ["wait_for"]

_FAILED: Final = 1
_ASKED_FOR: Final = 30.0
"""Seconds after which a host is asked again."""

_TURN: Final = 0.1
"""Seconds that one host of several is listened to at a time."""


def wait_for(root: Path, parts: Sequence[str], *, for_any: bool, timeout: float | None, as_json: bool) -> int:
    """Wait until tasks have ended, and print how each did; return the exit status.

    It is 1 if one of them is unknown, did not complete, or has not ended in time.

    Args:
        root: the state folder.
        parts: parts of their ids.
        for_any: whether to wait for the first of them only.
        timeout: seconds; None: without end.
        as_json: whether to print one task a line, as JSON.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        tasks, are_all_known = named_tasks(root, parts, stack)
        status = 0 if are_all_known else _FAILED
        try:
            for task, view in _ends(tasks, deadline):
                del tasks[task.id]
                _tell(task, view, as_json=as_json)
                status = status if view.status == "completed" else _FAILED
                if for_any:
                    return status
        except KeyboardInterrupt:
            return INTERRUPTED
        if tasks:
            shown = ", ".join(f"{task.id} is {task.view_by_journal(peek=True).status}" for task in tasks.values())
            warn(f"Time is over after {duration(timeout or 0)}: {shown}.")
            status = _FAILED
    return status


def _tell(task: ForeignTask, view: TaskView, *, as_json: bool) -> None:
    if as_json:
        (view,) = with_last_lines(task.run, [view])
        print_json(task_data(view, task.run, task.host_pid, whole=True))
    elif not manner.quiet:
        reason = f" {view.reason}" if view.reason else ""
        ran = f" after {duration(view.runtime)}" if view.started_at else ""
        out.sentence(f"{view.id} ({view.agent}) has ended{ran}: {view.status}.{reason}")


def _ends(tasks: dict[str, ForeignTask], deadline: float | None) -> Iterator[tuple[ForeignTask, TaskView]]:
    """Yield tasks as they end, until none is left or the time is over. Who takes one removes it from the tasks."""
    with contextlib.ExitStack() as stack:
        hosts = {run: stack.enter_context(_Host(run)) for run in {task.run for task in tasks.values()}}
        unsure = set(hosts)
        while tasks:
            for task in [task for task in tasks.values() if task.run in unsure]:
                with contextlib.suppress(UnknownTaskError):
                    view = task.view_by_journal(peek=True)
                    if view.ended:
                        yield task, view
            unsure = set()
            groups: dict[Path, list[str]] = {}
            for task in tasks.values():
                groups.setdefault(task.run, []).append(task.id)
            for run, task_ids in groups.items():
                left = _ASKED_FOR if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return
                ended = hosts[run].listen(task_ids, min(left, _ASKED_FOR if len(groups) == 1 else _TURN))
                if ended is None:
                    unsure.add(run)
                for view in ended or ():
                    yield tasks[view.id], view


class _Host(contextlib.ExitStack):
    """A host that says when one of some tasks has ended.

    Args:
        run: the folder of its run.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._run = run
        self._client: ControlClient | None = None
        self._asked: int | None = None

    def listen(self, task_ids: Sequence[str], seconds: float) -> list[TaskView] | None:
        """Return those that have ended, after so many seconds at most; None where its journal is to be looked at."""
        try:
            if self._client is None:
                self._client = self.enter_context(client_of(self._run))
            if self._asked is None:
                request = WaitTasks(list(task_ids), "any", _ASKED_FOR, limit=1, known_only=True, peek=True)
                self._asked = self._client.send(request)
            reply = self._client.receive(self._asked, WaitTasks, seconds)
        except TimeoutError:
            return []
        except (OSError, RunError, RuntimeClosedError):
            self.close()
            self._client = self._asked = None
            time.sleep(min(seconds, _TURN))
            return None
        self._asked = None
        if not reply.tasks:
            time.sleep(min(seconds, _TURN))
        return reply.tasks or None
