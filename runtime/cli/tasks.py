"""Task command: `view`, for a task that another process runs, or ran.

Imported when it is called; it must not bring what only a process that runs tasks needs.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

import msgspec

from ...actors.regular_files import has_content
from ..control.finding import find
from ..control.last_lines import with_last_lines
from ..control.other_hosts import ForeignTask
from ..tasks.views import TaskView
from ..tasks.wording import (
    budget_left_text,
    progress_text,
    result_text,
    said_before,
    silence_text,
    usage_text,
    working_directory,
)
from ..terminal.streams import out, warn
from ..text import duration
from .answer import print_answer
from .columns import cpu_share, cpu_time, memory_of
from .exit_status import INTERRUPTED
from .json_style import print_json, task_data, task_event
from .manner import manner
from .shown import all_of

__all__ = ["view_task"]

_FAILED: Final = 1


def view_task(root: Path, part: str, *, follow: bool, as_json: bool) -> int:
    """Print everything about a task, or what it says until it has ended and then how; return the exit status."""
    with find(root, part) as task:
        try:
            return _follow(task, as_json=as_json) if follow else _view(task, as_json=as_json)
        except KeyboardInterrupt:
            return INTERRUPTED


def _view(task: ForeignTask, *, as_json: bool) -> int:
    view = task.view(closely=True)
    if task.warning:
        warn(task.warning)
    output = task.output
    view = msgspec.structs.replace(view, output=output.text(), output_size=max(view.output_size, output.size))
    if as_json:
        print_json(task_data(view, task.run, task.host_pid, whole=True))
        return 0
    if manner.quiet:
        if not view.has_result:
            warn(f"{view.id} has no result. It is {view.status}. {view.reason}".rstrip())
            return _FAILED
        print_answer(result_text(view))
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
            print_json(task_event("output", task_id=task.id, text=text, missed=missed))
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
        (view,) = with_last_lines(task.run, [view])
        print_json(task_event("ended", task=task_data(view, task.run, task.host_pid, whole=True)))
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
        if not manner.quiet:
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
        "Node": view.node,
        "Process": str(view.pid or ""),
        "Host": f"process {host_pid}" if host_pid is not None else "gone",
        "CPU": cpu_time(view) + (f" ({cpu_share(view)})" if cpu_share(view) else ""),
        "Memory": memory_of(view) + (" at its peak" if view.ended and memory_of(view) else ""),
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
        print_answer(result_text(view))
