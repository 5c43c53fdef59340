"""What `ps`, `view`, `stop` and `prune` do: the commands for tasks that another process runs, or ran.

Imported by `cli` when one of them runs; it must not bring what only a process that runs tasks needs.
"""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ._elsewhere import ListedTask, TaskElsewhere, find, tasks_of
from ._errors import RuntimeClosedError
from ._past_runs import prune
from ._report import dollars, duration, result_text, size, usage_text, working_directory
from ._terminal import out, warn
from ._text import json_line, one_line
from ._views import TaskView

__all__ = ["list_tasks", "prune_runs", "stop_task", "view_task"]

_FAILED: Final = 1
_INTERRUPTED: Final = 130
"""What shells call a program that Ctrl-C has ended."""

_ROWS: Final = 200
"""Ended tasks that `ps --all` shows at most, more or less."""

_TASK_WIDTH: Final = 80
"""Characters of a task's text in a table that no terminal bounds."""

_HEAD: Final = ("ID", "AGENT", "STATUS", "RUNTIME", "CPU", "MEMORY", "TOKENS", "HOST", "TASK")
_NUMBERS: Final = frozenset({"RUNTIME", "CPU", "MEMORY", "TOKENS", "HOST"})


def list_tasks(root: Path, *, everything: bool, as_json: bool) -> int:
    """Print a table of the tasks that run, or of all there are, the newest last; return the exit status."""
    survey = tasks_of(root, past=everything, at_most=_ROWS)
    for warning in survey.warnings:
        warn(warning)
    tasks = [task for task in survey.tasks if everything or not task.view.ended]
    if as_json:
        for task in tasks:
            out.line(json_line(_plain(task.view, task.run, task.host_pid)))
    elif tasks:
        _print_table([_HEAD, *(_row(task) for task in tasks)])
    else:
        warn(f"{'There are no tasks' if everything else 'No tasks are running'} in {root}.")
    return 0


def view_task(root: Path, part: str, *, follow: bool, as_json: bool) -> int:
    """Print everything about a task, or what it says until it has ended and then how; return the exit status."""
    with find(root, part) as task:
        try:
            return _follow(task, as_json=as_json) if follow else _view(task, as_json=as_json)
        except KeyboardInterrupt:
            return _INTERRUPTED


def stop_task(root: Path, part: str) -> int:
    """Stop a task of a runtime that is alive, and print how it ended; return the exit status."""
    with find(root, part) as task:
        try:
            target, *owned = task.stop()
        except KeyboardInterrupt:
            return _INTERRUPTED
        except (OSError, RuntimeClosedError):
            view = task.view_by_journal()
            if task.warning or not view.ended:
                warn(f"{view.id} is {view.status}. {task.warning or 'Its host is just ending.'}")
            else:
                warn(f"Task {view.id} has ended already: {view.status}. {view.reason}".rstrip())
            return _FAILED
    out.line(f"{target.id} ({target.agent}) has ended after {duration(target.runtime)}: {target.status}.")
    if target.reason:
        out.line(target.reason)
    for view in owned:
        out.line(f"With it ended {view.id} ({view.agent}): {view.status}. {view.reason}".rstrip())
    return 0


def prune_runs(root: Path, *, keep: float, unread: bool) -> int:
    """Remove old runs and print which; return the exit status."""
    pruned = prune(root, keep, unread=unread)
    for path, tasks in pruned.removed.items():
        out.line(f"Removed {path.name}, with {tasks} task{'' if tasks == 1 else 's'}.")
    for path, why in pruned.kept.items():
        out.line(f"Kept {path.name}: {why}.")
    if not pruned.removed and not pruned.kept:
        out.line(f"No run in {root} is old enough.")
    elif pruned.kept and not unread:
        warn("`subactors prune --unread` removes those, too.")
    return 0


def _view(task: TaskElsewhere, *, as_json: bool) -> int:
    view = task.view()
    if task.warning:
        warn(task.warning)
    output = task.output
    view = msgspec.structs.replace(view, output=output.text(), output_size=max(view.output_size, output.size))
    if as_json:
        out.line(json_line(_plain(view, task.run, task.host_pid)))
        return 0
    _print_facts(view, task)
    out.line("\n--- Output ---")
    out.line(view.output or "(nothing)")
    _print_traceback(view)
    _print_result(view)
    return 0


def _follow(task: TaskElsewhere, *, as_json: bool) -> int:
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
        out.line(json_line({"event": "ended", "task": _plain(view, task.run, task.host_pid)}))
    else:
        out.live(decoder.decode(b"", final=True), last=True)
        if not ends_line:
            out.line()
        _print_traceback(view)
        _print_result(view)
        out.line(f"\n{view.id} ({view.agent}) has ended after {duration(view.runtime)}: {view.status}.")
        if view.reason:
            out.line(view.reason)
    return 0 if view.status == "completed" else _FAILED


def _print_facts(view: TaskView, task: TaskElsewhere) -> None:
    host_pid = task.host_pid
    facts = {
        "Task": view.id,
        "Agent": view.agent,
        "Status": view.status,
        "Reason": view.reason,
        "Runtime": duration(view.runtime),
        "Attempts": str(view.attempts) if view.attempts > 1 else "",
        "Started by": view.parent or "",
        "Process": str(view.pid or ""),
        "Host": f"process {host_pid}" if host_pid is not None else "gone",
        "CPU": _cpu(view, both=True),
        "Memory": _memory(view) + (" at its peak" if view.ended and _memory(view) else ""),
        "Processes": str(view.vitals.processes) if view.vitals is not None and view.vitals.processes else "",
        "Usage": f"{usage_text(view.usage)}, {view.usage.requests:,} requests" if view.usage.requests else "",
        "In all": f"{usage_text(view.total_usage)}, with the tasks it started"
        if view.total_usage != view.usage
        else "",
        "Works in": working_directory(view),
        "Run": str(task.run),
        "Log": str(task.log) if task.log.exists() and task.log.stat().st_size else "",
        "Work": view.task,
    }
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        if value:
            out.line(f"{name + ':':{width}}{value.replace(chr(10), chr(10) + ' ' * width)}")


def _print_traceback(view: TaskView) -> None:
    if view.traceback:
        out.line("\n--- Traceback ---")
        out.line(view.traceback)


def _print_result(view: TaskView) -> None:
    if view.result is not None:
        out.line("\n--- Result ---")
        out.line(result_text(view.result))


def _row(task: ListedTask) -> tuple[str, ...]:
    view = task.view
    host = str(task.host_pid) if task.host_pid is not None else "-"
    tokens = view.usage.input_tokens + view.usage.output_tokens
    used = " ".join([*([f"{tokens:,}"] * (tokens > 0)), *([dollars(view.usage.cost)] * (view.usage.cost > 0))])
    vitals = (duration(view.runtime), _cpu(view), _memory(view))
    cells = (view.id, view.agent, view.status, *vitals, used, host, view.task)
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


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the last column is cut to what is left of the line."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    aligned: list[Callable[[str, int], str]] = [str.rjust if name in _NUMBERS else str.ljust for name in _HEAD]
    room = _TASK_WIDTH
    if out.is_terminal:
        room = max(10, shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths))
    for row in rows:
        cells = [align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=False)]
        out.line("  ".join([*cells, one_line(row[-1], room)]))


def _plain(view: TaskView, run: Path, host_pid: int | None) -> dict[str, Any]:
    return {**view.as_data(), "run": str(run), "host_pid": host_pid}
