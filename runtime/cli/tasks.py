"""Task commands: `ps`, `view`, `logs` and `stop`, for tasks that another process runs, or ran.

Imported when one of them is called; it must not bring what only a process that runs tasks needs.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ...actors.regular_files import has_content, open_to_read
from ..control.other_hosts import Finder, ForeignTask, ListedTask, find, stop_together, tasks_of
from ..errors import RuntimeClosedError, UnknownTaskError
from ..tasks.views import ID_PREFIX, TERMINAL, TaskView
from ..tasks.wording import (
    budget_left_text,
    dollars,
    progress_text,
    result_text,
    said_before,
    silence_text,
    size,
    usage_text,
    working_directory,
)
from ..terminal.streams import out, warn
from ..text import duration, json_line, one_line
from .shown import all_of

__all__ = ["list_tasks", "show_log", "stop_tasks", "view_task"]

_FAILED: Final = 1
_INTERRUPTED: Final = 130
"""What shells call a program that Ctrl-C has ended."""

_PIECE: Final = 1_000_000
"""Bytes of a log that are read at a time."""

_ROWS: Final = 200
"""Ended tasks that `ps --all` shows at most, more or less."""

_TASK_ROOM: Final = 20
"""Characters of a task's text for which `ps` shortens other columns, on a narrow screen."""

_LEFT_OUT: Final = ("HOST", "MEMORY", "CPU", "TOKENS")
"""Columns that `ps` leaves out where the shortened ones still have no room, in this order; `view` has them all."""

_TASK_WIDTH: Final = 80
"""Characters of a task's text in a table that no terminal bounds."""

_HEAD: Final = ("ID", "AGENT", "STATUS", "STARTED", "ENDED", "RUNTIME", "CPU", "MEMORY", "TOKENS", "HOST", "TASK")
_NUMBERS: Final = frozenset({"RUNTIME", "CPU", "MEMORY", "TOKENS", "HOST"})


def list_tasks(
    root: Path,
    *,
    everything: bool,
    as_json: bool,
    at_most: int | None = None,
    statuses: Collection[str] = (),
    agents: Collection[str] = (),
    run: str | None = None,
) -> int:
    """Print a table of tasks, the newest last; return the exit status.

    Args:
        root: the state folder.
        everything: whether tasks that have ended are wanted, too.
        as_json: whether to print one task a line, as JSON.
        at_most: how many are wanted, the newest; None: about 200.
        statuses: those wanted, if any is given. One that is final says that tasks which have ended are wanted.
        agents: those wanted, if any is given.
        run: the folder of the run that is wanted, or any part of its name.
    """
    everything = everything or not TERMINAL.isdisjoint(statuses)

    def wanted(view: TaskView) -> bool:
        is_listed = everything or not view.ended
        return is_listed and (not statuses or view.status in statuses) and (not agents or view.agent in agents)

    name = Path(run).name if run is not None else ""
    survey = tasks_of(root, past=everything, at_most=at_most or _ROWS, wanted=wanted, run=name)
    for warning in survey.warnings:
        warn(warning)
    tasks = survey.tasks[-at_most:] if at_most is not None else survey.tasks
    if as_json:
        for task in tasks:
            out.line(json_line(_plain(task.view, task.run, task.host_pid)))
    elif tasks:
        _print_table(tasks)
    else:
        which = " of that kind" if statuses or agents or run else ""
        ended = "" if everything else " `--all` lists those that have ended, too." if which else ""
        warn(f"{f'There are no tasks{which}' if everything else f'No tasks{which} are running'} in {root}.{ended}")
    return 0


def view_task(root: Path, part: str, *, follow: bool, as_json: bool) -> int:
    """Print everything about a task, or what it says until it has ended and then how; return the exit status."""
    with find(root, part) as task:
        try:
            return _follow(task, as_json=as_json) if follow else _view(task, as_json=as_json)
        except KeyboardInterrupt:
            return _INTERRUPTED


def show_log(root: Path, part: str) -> int:
    """Print what a task's processes have written to descriptors 1 and 2, past Python; return the exit status."""
    with find(root, part) as task:
        try:
            log = open_to_read(task.log)
        except FileNotFoundError:  # it had no process yet
            log = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # not a task's to replace
        except OSError as error:
            warn(f"The log {task.log} cannot be read: {error.strerror or error}.")
            return _FAILED
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        is_empty = True
        with os.fdopen(log, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                is_empty = False
                out.live(decoder.decode(piece))
            out.live(decoder.decode(b"", final=True), last=True)
        if is_empty:
            warn(
                f"The log of {task.id} is empty. What its Python code prints is its output: `subactors view {task.id}`."
            )
    return 0


def stop_tasks(root: Path, parts: Sequence[str]) -> int:
    """Stop tasks of runtimes that are alive, all at the same time, and print how each ended; return the exit status.

    It is 1 if one of them is unknown, had ended before, or could not be stopped; the others are stopped all the same.
    """
    status = 0
    finder = Finder(root)
    tasks: dict[str, ForeignTask] = {}
    with contextlib.ExitStack() as stack:
        for part in parts:
            try:
                task = stack.enter_context(finder.find(part))
            except UnknownTaskError as error:
                warn(str(error))
                status = _FAILED
            else:
                tasks.setdefault(task.id, task)
        try:
            outcomes = stop_together(list(tasks.values()))
        except KeyboardInterrupt:
            return _INTERRUPTED
        fell = {view.id for outcome in outcomes.values() if isinstance(outcome, list) for view in outcome[1:]}
        for task in tasks.values():
            outcome = outcomes[task.id]
            if isinstance(outcome, list):
                if task.id not in fell:
                    _print_stopped(outcome)
            elif task.id not in fell:
                _say_why_not(task, outcome)
                status = _FAILED
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


def _view(task: ForeignTask, *, as_json: bool) -> int:
    view = task.view(closely=True)
    if task.warning:
        warn(task.warning)
    output = task.output
    view = msgspec.structs.replace(view, output=output.text(), output_size=max(view.output_size, output.size))
    if as_json:
        out.line(json_line(_plain(view, task.run, task.host_pid, whole=True)))
        return 0
    _print_facts(view, task)
    said = said_before(view.output, result_text(view))
    if said or not view.has_result:
        out.line("\n--- Output ---")
        out.line(said or "(nothing)")
    _print_traceback(view)
    _print_result(view)
    return 0


def _follow(task: ForeignTask, *, as_json: bool) -> int:
    # What is cut inside a character by one read is made whole by the next.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    ends_line = True

    def show(data: bytes, missed: int) -> None:
        nonlocal ends_line
        text = decoder.decode(data)
        if as_json:
            out.line(json_line({"event": "output", "task_id": task.id, "text": text, "missed": missed}))
            return
        if missed:
            out.live("", last=True)
            out.line(f"\n[{missed:,} bytes left out here.]")
        out.live(text)
        ends_line = text.endswith("\n") if text else ends_line

    view = task.follow(show, out.check)
    if task.warning:
        warn(task.warning)
    if as_json:
        out.line(json_line({"event": "ended", "task": _plain(view, task.run, task.host_pid, whole=True)}))
    else:
        out.live(decoder.decode(b"", final=True), last=True)
        if not ends_line:
            out.line()
        _print_traceback(view)
        # An agent's output ends with its answer, which has just been printed.
        answer = result_text(view)
        end = task.output.text(2 * len(answer.encode()) + 1000)
        if said_before(end, answer) == end:
            _print_result(view)
        out.sentence(f"\n{view.id} ({view.agent}) has ended after {duration(view.runtime)}: {view.status}.")
        if view.reason:
            out.sentence(view.reason)
    return 0 if view.status == "completed" else _FAILED


def _print_facts(view: TaskView, task: ForeignTask) -> None:
    host_pid = task.host_pid
    facts = {
        "Task": view.id,
        "Agent": view.agent,
        "Status": view.status,
        "Reason": view.reason,
        "Doing": view.doing,
        "Silence": silence_text(view.silence) if view.silence is not None else "",
        "Asks": "\n".join(line for each in view.questions for line in all_of(each, out.columns)),
        "Progress": progress_text(view.progress) if view.progress is not None else "",
        "Queued": view.queued_at or "",
        "Place": f"{view.queue_place} in the queue" if view.queue_place else "",
        "Started": view.started_at,
        "Ended": view.ended_at or "",
        "Runtime": duration(view.runtime) if view.started_at else "",
        "Attempts": str(view.attempts) if view.attempts > 1 else "",
        "Started by": view.parent or "",
        "Continues": view.continues,
        "Process": str(view.pid or ""),
        "Host": f"process {host_pid}" if host_pid is not None else "gone",
        "CPU": _cpu(view, both=True),
        "Memory": _memory(view) + (" at its peak" if view.ended and _memory(view) else ""),
        "Processes": str(view.vitals.processes) if view.vitals is not None and view.vitals.processes else "",
        "Looks": view.vitals.note if view.vitals is not None else "",
        "Usage": f"{usage_text(view.usage)}, {view.usage.requests:,} requests" if view.usage.requests else "",
        "In all": f"{usage_text(view.total_usage)}, with the tasks it started"
        if view.total_usage != view.usage
        else "",
        "Left": budget_left_text(view.budget) if view.budget is not None else "",
        "Works in": working_directory(view),
        "Run": str(task.run),
        "Log": str(task.log) if has_content(task.log) else "",
        "Work": view.task,
    }
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        if value:
            first, *others = value.split("\n")
            out.sentence(f"{name + ':':{width}}{first}", hang=width)
            for line in others:
                out.sentence(" " * width + line, hang=0)


def _print_traceback(view: TaskView) -> None:
    if view.traceback:
        out.line("\n--- Traceback ---")
        out.line(view.traceback)


def _print_result(view: TaskView) -> None:
    if view.has_result:
        out.line("\n--- Result ---")
        out.prose(result_text(view))


def _row(task: ListedTask) -> tuple[str, ...]:
    view = task.view
    host = str(task.host_pid) if task.host_pid is not None else "-"
    tokens = view.usage.input_tokens + view.usage.output_tokens
    used = " ".join([*([f"{tokens:,}"] * (tokens > 0)), *([dollars(view.usage.cost)] * (view.usage.cost > 0))])
    vitals = (duration(view.runtime) if view.started_at else "", _cpu(view), _memory(view))
    times = (_to_the_second(view.started_at), _to_the_second(view.ended_at or ""))
    state = view.rate_wait or (f"place {view.queue_place} in the queue" if view.queue_place else "")
    if view.questions:
        state = f"asks: {one_line(view.questions[0].text, 200)}"
    work = f"({state}) {view.task}" if state else view.task
    cells = (view.id, view.agent, view.status, *times, *vitals, used, host, work)
    return tuple(one_line(out.shown(cell), 1000) or "-" for cell in cells)


def _cpu(view: TaskView, *, both: bool = False) -> str:
    if view.vitals is None:
        return ""
    seconds = f"{view.vitals.cpu_seconds:.2f} s"
    if view.vitals.cpu_percent is None:
        return seconds
    percent = f"{view.vitals.cpu_percent:.0f} %"
    return f"{seconds} ({percent})" if both else percent


def _memory(view: TaskView) -> str:
    return size(view.vitals.memory_bytes) if view.vitals is not None and view.vitals.memory_bytes else ""


def _to_the_second(moment: str) -> str:
    return f"{moment.partition('.')[0]}Z" if moment else ""


def _print_table(tasks: Sequence[ListedTask]) -> None:
    """Print tasks in columns; the last is cut to what is left of the line. ENDED is there if one of them has."""
    columns = list(zip(_HEAD, *map(_row, tasks), strict=True))
    if not any(task.view.ended_at for task in tasks):
        del columns[_HEAD.index("ENDED")]
    room = _TASK_WIDTH
    if out.is_terminal:
        screen = shutil.get_terminal_size().columns
        if _room(columns, screen) < _TASK_ROOM:
            columns = _narrowed(columns, screen)
        room = max(10, _room(columns, screen))
    widths = _widths(columns)
    for row in zip(*columns, strict=True):
        cells = [
            cell.rjust(width) if column[0] in _NUMBERS else cell.ljust(width)
            for cell, width, column in zip(row[:-1], widths, columns[:-1], strict=True)
        ]
        out.line("  ".join([*cells, one_line(row[-1], room)]))


def _widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is, but the last."""
    return [max(map(len, column)) for column in columns[:-1]]


def _room(columns: Sequence[Sequence[str]], screen: int) -> int:
    """Return how much of a line of the screen is left for the last column."""
    return screen - sum(width + 2 for width in _widths(columns))


def _narrowed(columns: Sequence[tuple[str, ...]], screen: int) -> list[tuple[str, ...]]:
    """Return columns for a narrow screen: without what is plain, what is empty, and what matters least."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    shortened: dict[str, Callable[[str], str]] = {
        "ID": lambda cell: cell.removeprefix(ID_PREFIX),
        **dict.fromkeys(("STARTED", "ENDED"), lambda cell: _short_time(cell, today)),
    }
    short = [tuple(map(shortened.get(column[0], str), column)) for column in columns]
    kept = [column for column in short if column[0] == _HEAD[-1] or any(cell != "-" for cell in column[1:])]
    for name in _LEFT_OUT:
        if _room(kept, screen) < _TASK_ROOM:
            kept = [column for column in kept if column[0] != name]
    return kept


def _short_time(cell: str, today: str) -> str:
    """Return the time of day of a time that is of today, and the date of another."""
    date, is_time, of_day = cell.partition("T")
    return cell if not is_time or not of_day.endswith("Z") else of_day if date == today else date


def _plain(view: TaskView, run: Path, host_pid: int | None, *, whole: bool = False) -> dict[str, Any]:
    return {**view.as_data(whole=whole), "run": str(run), "host_pid": host_pid}
