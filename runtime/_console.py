"""What the command line shows while tasks run: a live table, plain lines, or one JSON object a line.

A display only looks: it asks the runtime and follows its events. Nothing that a task says reaches a terminal with its
control characters.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

import msgspec

from ._events import Event, TaskEnded, TaskOutput, TaskRestarting, TaskStarted
from ._report import dollars, duration, result_text, size
from ._text import one_line
from ._views import TaskView

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from ._runtime import Runtime

__all__ = ["Display", "JsonLines", "LiveTable", "PlainLines", "printable"]

_REFRESH_RATE = 8
"""Frames a second of the live table."""

_MARGIN_ROWS = 8
"""Rows of the terminal that the table leaves free."""


def printable(text: str) -> str:
    """Return text without the control characters that could move a terminal's cursor or change its state."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


class Display(Protocol):
    """Shows a runtime at work; a context manager around the time that it works."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Show how it ended, and stop."""
        ...

    def answered(self, agent: str, text: str) -> None:
        """The root of the run gave its final answer."""
        ...

    def failed(self, agent: str, reason: str) -> None:
        """There will be no answer."""
        ...


class _EventFollower:
    """A thread that hands each event to a function."""

    def __init__(self, runtime: Runtime, show: Callable[[Any], None]) -> None:
        self._stream = runtime.events()
        self._show = show
        self._thread = threading.Thread(target=self._run, name="subactors-display", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Show what has been published until now, and end."""
        self._stream.close()
        self._thread.join()

    def _run(self) -> None:
        for event in self._stream:
            self._show(event)


class PlainLines:
    """A line when a task starts and one when it ends: for pipes and logs.

    Args:
        runtime: what to show.
        file: where to.
        has_root: whether the first task is the root of a run, whose end is told otherwise.
    """

    def __init__(self, runtime: Runtime, file: TextIO | None = None, *, has_root: bool = False) -> None:
        self._file = file or sys.stderr
        self._root = None if has_root else ""
        self._follower = _EventFollower(runtime, self._show)

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.stop()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output."""
        del agent
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def failed(self, agent: str, reason: str) -> None:
        """Say why on standard error."""
        print(f"{agent}: {printable(reason)}", file=self._file)

    def _show(self, event: object) -> None:
        match event:
            case TaskStarted(task):
                self._root = task.id if self._root is None else self._root
                line = f"{task.id} {task.agent}: started: {one_line(task.task, 100)}"
            case TaskEnded(task) if task.id != self._root:
                reason = f": {one_line(task.reason, 300)}" if task.reason else ""
                line = f"{task.id} {task.agent}: {task.status} after {duration(task.runtime)}{reason}"
            case _:
                return
        print(printable(line), file=self._file, flush=True)


class JsonLines:
    """Every event as one line of JSON on standard output.

    Args:
        runtime: what to show.
        has_root: whether the first task is the root of a run; what it says is an event `text`.
    """

    def __init__(self, runtime: Runtime, *, has_root: bool = False) -> None:
        self._root = TaskView(id="", agent="", task="", status="starting")
        self._wants_root = has_root
        self._lock = threading.Lock()
        self._follower = _EventFollower(runtime, self._show)

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.stop()

    def answered(self, agent: str, text: str) -> None:
        """An event `answer`."""
        self._write(json.dumps({"event": "answer", "agent": agent, "text": text}).encode())

    def failed(self, agent: str, reason: str) -> None:
        """An event `failed`."""
        self._write(json.dumps({"event": "failed", "agent": agent, "reason": reason}).encode())

    def _show(self, event: Event) -> None:
        if self._wants_root and isinstance(event, TaskStarted):
            self._wants_root, self._root = False, event.task
        fields = msgspec.to_builtins(event)
        if isinstance(event, TaskOutput) and event.task_id == self._root.id:
            fields |= {"event": "text", "agent": self._root.agent}
        if isinstance(event, TaskStarted | TaskEnded | TaskRestarting):
            fields["task"] = event.task.as_data()
        self._write(msgspec.json.encode(fields))

    def _write(self, line: bytes) -> None:
        with self._lock:
            sys.stdout.write(line.decode() + "\n")
            sys.stdout.flush()


class LiveTable:
    """A table of the tasks on standard error, drawn anew several times a second: for terminals.

    Args:
        runtime: what to show.
    """

    def __init__(self, runtime: Runtime) -> None:
        # Imported here: rich is for terminals only.
        from rich.console import Console  # noqa: PLC0415 - see above
        from rich.live import Live  # noqa: PLC0415 - see above

        self._runtime = runtime
        self._console = Console(stderr=True)
        self._live: Live = Live(
            get_renderable=self._table,
            console=self._console,
            refresh_per_second=_REFRESH_RATE,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output, below the table."""
        del agent
        self._live.stop()
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def failed(self, agent: str, reason: str) -> None:
        """Say why, below the table."""
        self._live.stop()
        self._console.print(f"{agent}: {printable(reason)}", markup=False, highlight=False, style="red")

    def _table(self) -> Table:
        from rich import box  # noqa: PLC0415 - rich is for terminals only
        from rich.table import Table  # noqa: PLC0415 - rich is for terminals only
        from rich.text import Text  # noqa: PLC0415 - rich is for terminals only

        rows = self._rows()
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        table.add_column("task", no_wrap=True)
        table.add_column("agent", no_wrap=True)
        table.add_column("status", no_wrap=True)
        table.add_column("runtime", justify="right", no_wrap=True)
        table.add_column("CPU", justify="right", no_wrap=True)
        table.add_column("memory", justify="right", no_wrap=True)
        table.add_column("tokens", justify="right", no_wrap=True)
        costs = any(view.usage.cost for view in rows)
        if costs:
            table.add_column("cost", justify="right", no_wrap=True)
        table.add_column("last said", no_wrap=True, ratio=1, overflow="ellipsis")
        for view in rows:
            table.add_row(
                view.id,
                view.agent,
                Text(view.status, style=_STYLES.get(view.status, "")),
                duration(view.runtime),
                _cpu(view),
                size(view.vitals.memory_bytes) if view.vitals is not None and view.vitals.memory_bytes else "",
                f"{view.usage.input_tokens + view.usage.output_tokens:,}" if view.usage.requests else "",
                *([dollars(view.usage.cost) if view.usage.cost else ""] * costs),
                Text(_telling_line(view)),
            )
        return table

    def _rows(self) -> list[TaskView]:
        """Return the tasks that fit on the screen: those at work, then the latest that have ended."""
        views = self._runtime.list()
        room = max(5, self._console.height - _MARGIN_ROWS)
        if len(views) <= room:
            return views
        shown = {view.id for view in sorted(views, key=lambda view: view.ended)[:room]}
        return [view for view in views if view.id in shown]


_STYLES = {
    "starting": "dim",
    "running": "cyan",
    "stopping": "yellow",
    "restarting": "magenta",
    "completed": "green",
    "failed": "red",
    "stopped": "yellow",
}


def _cpu(view: TaskView) -> str:
    if view.vitals is None:
        return ""
    if view.vitals.cpu_percent is not None:
        return f"{view.vitals.cpu_percent:.0f} %"
    return f"{view.vitals.cpu_seconds:.2f} s"


def _telling_line(view: TaskView) -> str:
    """Return the line that says most about a task: why it failed, how its answer begins, or what it said last."""
    if view.reason:
        return _first_line(view.reason)
    return _first_line(result_text(view.result)) if view.status == "completed" else _last_line(view.output)


def _first_line(text: str) -> str:
    return one_line(printable(text.strip().split("\n", 1)[0]), 300)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return one_line(printable(lines[-1]), 300) if lines else ""
