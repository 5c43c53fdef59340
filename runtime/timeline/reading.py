"""Reading: what a run's journal has of when its tasks did what."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from ..errors import StateError
from ..runs.folder import RunFiles, is_live
from ..runs.reader import JournalReader
from ..runs.steps import Step, Transition
from ..tasks.views import Status, TaskView

__all__ = ["NoTasksError", "Part", "PartKind", "Row", "Timeline", "read_timeline"]

PartKind: TypeAlias = Literal["queued", "starting", "running", "waiting", "pause", "turn", "tool"]

Dated = TypeVar("Dated")

_KINDS: Final[Mapping[Status, PartKind]] = {
    "queued": "queued",
    "starting": "starting",
    "running": "running",
    "stopping": "running",
    "waiting": "waiting",
    "restarting": "pause",
}
"""What a task does while it has a status."""


class NoTasksError(StateError):
    """A run has no tasks, such as that of a program that has not started any yet."""


@dataclass(frozen=True)
class Part:
    """A stretch of a task's time, in seconds since the timeline's beginning.

    Attributes:
        kind: `queued` for a slot; `starting`; `running`, a process at work; `waiting` for the answer to a question;
            `pause` between two attempts; or a `turn` of its model, or a `tool`, while it is running.
        began: when it began.
        ended: when it ended.
        name: of the model, or the tool.
        error: the kind of error that it ended with; empty if with none.
        attempt: of the task, from 1.
        tokens: that a turn has used.
    """

    kind: PartKind
    began: float
    ended: float
    name: str = ""
    error: str = ""
    attempt: int = 1
    tokens: tuple[int, int] = (0, 0)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.ended - self.began


@dataclass
class Row:
    """A task.

    Attributes:
        view: the task.
        depth: how many of the tasks shown own it.
        began: when it was accepted, in seconds since the timeline's beginning.
        ended: when it ended, or now.
        parts: what it did, in order; turns and tools after what they are in.
        crashes: the ends of attempts that have failed: when, and why.
    """

    view: TaskView
    depth: int
    began: float
    ended: float
    parts: list[Part] = field(default_factory=list)
    crashes: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Timeline:
    """Timeline of a run, or of a part of it.

    Attributes:
        title: what it is of.
        run: the name of the run's folder.
        began: when it begins, in seconds since the epoch.
        seconds: how long it is.
        rows: the tasks; each after what has started it.
        damaged: sentences about what could not be read.
    """

    title: str
    run: str
    began: float
    seconds: float
    rows: list[Row]
    damaged: list[str]


def read_timeline(run: Path, task_id: str | None = None) -> Timeline:
    """Return the timeline of a run, or of a task of it and all that it has started.

    Raises:
        NoTasksError: there is no task in it.
        StateError: its journal cannot be read.
    """
    live = is_live(run)
    try:
        with JournalReader(RunFiles(run).journal, live=live) as reader:
            views, damaged = reader.tasks(), reader.damaged
            transitions, steps = _by_task(reader.transitions()), _by_task(reader.steps())
            until = time.time() if live else reader.died()
    except sqlite3.Error as error:
        raise StateError(f"The journal of {run.name} cannot be read: {error}.") from error
    ordered = _in_tree(views, task_id)
    if not ordered:
        raise NoTasksError(f"There are no tasks in {run.name}.")
    starts = {view.id: _seconds(view.queued_at or view.started_at, until) for view, _ in ordered}
    zero = min(starts.values())
    rows = []
    for view, depth in ordered:
        ended = max(_seconds(view.ended_at, until), starts[view.id])
        row = Row(view, depth, starts[view.id] - zero, ended - zero)
        _lay_out(row, transitions.get(view.id, []), zero)
        row.parts += [_part(step, zero, row) for step in steps.get(view.id, [])]
        rows.append(row)
    first = ordered[0][0]
    title = run.name if task_id is None else f"{first.id} ({first.agent})"
    return Timeline(title, run.name, zero, max(*(row.ended for row in rows), 0.001), rows, damaged)


def _by_task(rows: Iterable[tuple[str, Dated]]) -> dict[str, list[Dated]]:
    found: dict[str, list[Dated]] = {}
    for task_id, what in rows:
        found.setdefault(task_id, []).append(what)
    return found


def _in_tree(views: list[TaskView], task_id: str | None) -> list[tuple[TaskView, int]]:
    """Return the tasks, each after what has started it, and how deep it is; only those below a task, with it."""
    known = {view.id for view in views}
    below: dict[str, list[TaskView]] = {}
    roots = []
    for view in views:
        if view.id == task_id or (task_id is None and view.parent not in known):
            roots.append(view)
        elif view.parent is not None:
            below.setdefault(view.parent, []).append(view)
    ordered = []
    waiting = [(view, 0) for view in reversed(roots)]
    while waiting:
        view, depth = waiting.pop()
        ordered.append((view, depth))
        waiting += [(child, depth + 1) for child in reversed(below.pop(view.id, []))]
    return ordered


def _seconds(moment: str | None, instead: float) -> float:
    if not moment:
        return instead
    seconds = datetime.fromisoformat(moment).timestamp()
    return seconds if math.isfinite(seconds) else instead


def _lay_out(row: Row, transitions: Sequence[Transition], zero: float) -> None:
    """Put the stretches between changes of status into a row, and the ends of attempts that have failed."""
    for change, following in zip(transitions, [*transitions[1:], None], strict=True):
        at = min(max(change.at - zero, row.began), row.ended)
        until = row.ended if following is None else min(max(following.at - zero, at), row.ended)
        if change.status in {"restarting", "failed"}:
            row.crashes.append((at, change.reason))
        if change.status in _KINDS:
            _add(row, Part(_KINDS[change.status], at, until, attempt=max(change.attempt, 1)))


def _add(row: Row, part: Part) -> None:
    """Add a stretch, or make the last one longer."""
    last = row.parts[-1] if row.parts else None
    if last is not None and (last.kind, last.attempt) == (part.kind, part.attempt):
        row.parts[-1] = replace(last, ended=part.ended)
    elif part.seconds > 0:
        row.parts.append(part)


def _part(step: Step, zero: float, row: Row) -> Part:
    began = min(max(step.began - zero, row.began), row.ended)
    ended = min(max(step.ended - zero, began), row.ended)
    return Part(step.kind, began, ended, step.name, step.error, step.attempt, (step.input_tokens, step.output_tokens))
