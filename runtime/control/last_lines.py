"""Last lines: what tasks have said, by the files of their runs, where a list or an end is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..runs.folder import RunFiles
from ..runs.output import LAST, OutputFiles
from ..tasks.views import TaskView
from .other_hosts import ListedTask

__all__ = ["listed_with_last_lines", "with_last_lines"]


def with_last_lines(run: Path, views: Sequence[TaskView]) -> list[TaskView]:
    """Return tasks of a run, each with the last lines of what it said, and with how much that was."""
    outputs = OutputFiles.open_all(RunFiles(run).output, [view.id for view in views])
    return [
        msgspec.structs.replace(
            view, output=outputs[view.id].last_lines(LAST), output_size=max(view.output_size, outputs[view.id].size)
        )
        for view in views
    ]


def listed_with_last_lines(tasks: Sequence[ListedTask]) -> list[ListedTask]:
    """Return tasks with the last lines of what they said; those of which a host has told them already as they are."""
    silent: dict[Path, list[TaskView]] = {}
    for task in tasks:
        if not task.view.output:
            silent.setdefault(task.run, []).append(task.view)
    views = {view.id: view for run, found in silent.items() for view in with_last_lines(run, found)}
    return [ListedTask(views.get(task.view.id, task.view), task.run, task.host_pid) for task in tasks]
