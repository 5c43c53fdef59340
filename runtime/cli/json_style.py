"""JSON style: what `--json` prints of tasks, events and runs. The same thing has the same keys in every command.

A time is text as ISO 8601 has it, in UTC and with milliseconds, under a key that ends with `_at`, or `time` in an
event; null where there is none. A duration is in seconds. `json_schemas` says all of it as JSON schemas.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..tasks.views import TaskView, iso_time
from ..terminal.streams import out
from ..text import json_line

__all__ = ["print_json", "task_data", "task_event", "task_fields"]


def task_data(view: TaskView, run: Path, host_pid: int | None, *, whole: bool = False) -> dict[str, Any]:
    """Return a task.

    Args:
        view: the task.
        run: the folder of its run.
        host_pid: process id of its host; None if that is gone.
        whole: whether a result that is in a file is read, too.
    """
    return task_fields(view.as_data(whole=whole), run, host_pid)


def task_fields(data: dict[str, Any], run: Path, host_pid: int | None) -> dict[str, Any]:
    """Return the same of `TaskView.as_data`: null for what is not there yet, or never will be."""
    absent = {name: data[name] or None for name in ("started_at", "continues")}
    return {**data, **absent, "run": str(run), "host_pid": host_pid}


def task_event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event of now, which has no place in a stream."""
    return {"event": kind, "time": iso_time(time.time()), "cursor": "", **fields}


def print_json(data: dict[str, Any]) -> None:
    """Print one object on a line of its own."""
    out.line(json_line(data))
