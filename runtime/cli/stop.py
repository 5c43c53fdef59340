"""Stopping command: `stop`, for tasks that another process runs. Imported when it is called."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..control.finding import find_run
from ..control.last_lines import with_last_lines
from ..control.other_hosts import ForeignTask, stop_together, tasks_of
from ..errors import RuntimeClosedError, TaskEndedError
from ..tasks.views import TaskView
from ..terminal.streams import out, warn
from ..text import duration
from .exit_status import INTERRUPTED
from .json_style import print_json, task_data
from .manner import manner
from .named_tasks import named_tasks

__all__ = ["stop_all", "stop_tasks"]

_FAILED: Final = 1


def stop_tasks(root: Path, parts: Sequence[str], *, as_json: bool) -> int:
    """Stop tasks of runtimes that are alive, all at the same time, and print how each ended; return the exit status.

    It is 1 if one of them is unknown, had ended before, or could not be stopped; the others are stopped all the same.
    """
    with contextlib.ExitStack() as stack:
        tasks, are_all_known = named_tasks(root, parts, stack)
        status = _stop(list(tasks.values()), as_json=as_json, all_meant=False)
    return status if are_all_known else max(status, _FAILED)


def stop_all(root: Path, run: str | None, *, as_json: bool) -> int:
    """Stop all tasks of all runtimes that are alive, or of one run; else as `stop_tasks`.

    A task that ends by itself meanwhile is not a fault.

    Args:
        root: the state folder.
        run: a part of the name of the run; None: all runs.
        as_json: whether to print one task a line, as JSON.

    Raises:
        RunError: there is no such run.
    """
    folder = find_run(root, run) if run is not None else None
    survey = tasks_of(root, past=False, wanted=lambda view: not view.ended, run=folder)
    for warning in survey.warnings:
        warn(warning)
    ids = {task.view.id for task in survey.tasks}
    # What a task has started ends with it.
    roots = [task for task in survey.tasks if task.view.parent not in ids]
    if not roots and not manner.quiet:
        warn(f"No tasks are running in {folder or root}.")
    with contextlib.ExitStack() as stack:
        tasks = [stack.enter_context(ForeignTask(task.run, task.view.id)) for task in roots]
        return _stop(tasks, as_json=as_json, all_meant=True)


def _stop(tasks: Sequence[ForeignTask], *, as_json: bool, all_meant: bool) -> int:
    try:
        outcomes = stop_together(tasks)
    except KeyboardInterrupt:
        return INTERRUPTED
    status = 0
    fell = {view.id for outcome in outcomes.values() if isinstance(outcome, list) for view in outcome[1:]}
    for task in tasks:
        outcome = outcomes[task.id]
        if task.id in fell or (all_meant and isinstance(outcome, TaskEndedError)):
            continue
        if not isinstance(outcome, list):
            _say_why_not(task, outcome)
            status = _FAILED
        elif as_json:
            for view in with_last_lines(task.run, outcome):
                print_json(task_data(view, task.run, task.host_pid))
        elif not manner.quiet:
            _print_stopped(outcome)
    return status


def _print_stopped(stopped: Sequence[TaskView]) -> None:
    target, *owned = stopped
    out.sentence(f"{target.id} ({target.agent}) has ended after {duration(target.runtime)}: {target.status}.")
    if target.reason:
        out.sentence(target.reason)
    for view in owned:
        out.sentence(f"With it ended {view.id} ({view.agent}): {view.status}. {view.reason}".rstrip())


def _say_why_not(task: ForeignTask, error: Exception) -> None:
    """Say why a task could not be stopped."""
    if not isinstance(error, OSError | RuntimeClosedError):
        warn(str(error))
        return
    view = task.view_by_journal()
    if task.warning or not view.ended:
        warn(f"{view.id} is {view.status}. {task.warning or 'Its host is just ending.'}")
    else:
        warn(f"Task {view.id} has ended already: {view.status}. {view.reason}".rstrip())
