"""Columns: what `ps` can show of a task, and the forms of its lines: a table, chosen columns, a template."""

from __future__ import annotations

import string
import types
import typing
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

from ..control.other_hosts import ListedTask
from ..tasks.views import TaskView
from ..tasks.wording import dollars, progress_text, question_text, size
from ..text import duration, one_line
from .json_style import task_data
from .words import nearest

__all__ = ["COLUMNS", "IF_ANY", "NUMBERS", "USUAL", "Template", "chosen", "cpu_share", "cpu_time", "memory_of"]

USUAL: Final = (
    "id",
    "agent",
    "status",
    "started",
    "ended",
    "runtime",
    "cpu",
    "cpu%",
    "memory",
    "tokens",
    "cost",
    "node",
    "host",
    "task",
)
"""Columns where none are chosen."""

IF_ANY: Final = frozenset({"ended", "cpu%", "cost", "node"})
"""Those of them that are there only if a task has something to show."""

NUMBERS: Final = frozenset({"runtime", "cpu", "cpu%", "memory", "tokens", "cost", "host", "attempts"})
"""Columns whose cells are at the right."""

_ASKED: Final = 100
"""Characters of a question in front of a task's text."""


def cpu_time(view: TaskView) -> str:
    """Return what CPU time a task has used."""
    return f"{view.vitals.cpu_seconds:.2f} s" if view.vitals is not None else ""


def cpu_share(view: TaskView) -> str:
    """Return what share of a core a task uses; empty for one that has ended."""
    share = view.vitals.cpu_percent if view.vitals is not None else None
    return f"{share:.0f} %" if share is not None else ""


def memory_of(view: TaskView) -> str:
    """Return what memory a task uses, or used at its peak."""
    return size(view.vitals.memory_bytes) if view.vitals is not None and view.vitals.memory_bytes else ""


def _second(moment: str) -> str:
    return f"{moment.partition('.')[0]}Z" if moment else ""


def _tokens(view: TaskView) -> str:
    tokens = view.usage.input_tokens + view.usage.output_tokens
    return f"{tokens:,}" if tokens else ""


def _asks(view: TaskView) -> str:
    return "; ".join(question_text(question) for question in view.questions)


def _work(view: TaskView) -> str:
    waits = view.rate_wait or (view.doing if view.status == "starting" else "")
    state = waits or (f"place {view.queue_place} in the queue" if view.queue_place else "")
    if view.questions:
        state = f"asks: {one_line(view.questions[0].text, _ASKED)}"
    return f"({state}) {view.task}" if state else view.task


COLUMNS: Final[dict[str, Callable[[ListedTask], str]]] = {
    "id": lambda task: task.view.id,
    "agent": lambda task: task.view.agent,
    "status": lambda task: task.view.status,
    "queued": lambda task: _second(task.view.queued_at or ""),
    "started": lambda task: _second(task.view.started_at),
    "ended": lambda task: _second(task.view.ended_at or ""),
    "runtime": lambda task: duration(task.view.runtime) if task.view.started_at else "",
    "cpu": lambda task: cpu_time(task.view),
    "cpu%": lambda task: cpu_share(task.view),
    "memory": lambda task: memory_of(task.view),
    "tokens": lambda task: _tokens(task.view),
    "cost": lambda task: dollars(task.view.usage.cost) if task.view.usage.cost else "",
    "attempts": lambda task: str(task.view.attempts),
    "node": lambda task: task.view.node,
    "host": lambda task: str(task.host_pid) if task.host_pid is not None else "",
    "run": lambda task: task.run.name,
    "parent": lambda task: task.view.parent or "",
    "reason": lambda task: task.view.reason,
    "doing": lambda task: task.view.doing,
    "progress": lambda task: progress_text(task.view.progress) if task.view.progress is not None else "",
    "asks": lambda task: _asks(task.view),
    "said": lambda task: (task.view.output.strip().splitlines() or [""])[-1],
    "task": lambda task: _work(task.view),
}
"""Cells by the names of the columns; empty where there is nothing to tell."""


def chosen(form: str) -> list[str]:
    """Return the columns that a form names; raises click.BadParameter for others."""
    names = [name.strip().lower() for name in form.split(",")]
    for name in names:
        if name not in COLUMNS:
            raise click.BadParameter(
                f"There is no column {name!r}.{nearest(name, COLUMNS)} Columns: {', '.join(COLUMNS)}.",
                param_hint="'--format'",
            )
    return names


class Template:
    r"""A line for each task, such as `{id} {usage.cost:.4f}\t{task}`, with the keys of `--json`.

    Args:
        text: the template; `\t` and `\n` stand for a tab and a line break.

    Raises:
        click.BadParameter: it has a mistake, or there is no such key.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\\t", "\t").replace("\\n", "\n")
        try:
            parts = list(string.Formatter().parse(self._text))
        except ValueError as error:
            raise self._wrong(f"{error}. A brace that is meant is doubled.") from None
        self._parts = [(text, name, spec or "", conversion) for text, name, spec, conversion in parts]
        for name in self._names:
            self._check(name)

    @property
    def keys(self) -> list[str]:
        """The keys that it names."""
        return [name.partition(".")[0] for name in self._names]

    @property
    def _names(self) -> list[str]:
        return [name for _, name, _, _ in self._parts if name is not None]

    def _check(self, name: str) -> None:
        """Raise click.BadParameter if no task has such a key."""
        kind: type[msgspec.Struct] = TaskView
        before = ""
        for key in name.split("."):
            fields = typing.get_type_hints(kind)
            if kind is TaskView:
                fields = {**{each: hint for each, hint in fields.items() if each != "result_json"}, **_MORE}
            if key not in fields:
                known = ", ".join(before + each for each in fields)
                which = f"Keys: {known}." if known else f"{before.removesuffix('.')!r} has no keys of its own."
                raise self._wrong(f"There is no key {before + key!r}.{nearest(key, fields)} {which}")
            before += f"{key}."
            if fields[key] is Any:  # an answer may have any
                return
            hints = typing.get_args(fields[key]) if isinstance(fields[key], types.UnionType) else [fields[key]]
            inner = [hint for hint in hints if isinstance(hint, type) and issubclass(hint, msgspec.Struct)]
            kind = inner[0] if inner else _Plain

    def line(self, task: ListedTask) -> str:
        """Return the line of a task; raises click.BadParameter if a value cannot be written so."""
        data = task_data(task.view, task.run, task.host_pid)
        return "".join(
            text + (self._cell(data, name, spec, conversion) if name is not None else "")
            for text, name, spec, conversion in self._parts
        )

    def _cell(self, data: Any, name: str, spec: str, conversion: str | None) -> str:
        for key in name.split("."):
            data = data.get(key) if isinstance(data, dict) else None
        if data is None:
            return ""
        try:
            return format(repr(data) if conversion == "r" else str(data) if conversion == "s" else data, spec)
        except (ValueError, TypeError) as error:
            raise self._wrong(f"{name} is {data!r}, which cannot be written as {spec!r}: {error}.") from None

    def _wrong(self, what: str) -> click.BadParameter:
        return click.BadParameter(what, param_hint="'--format'")


_MORE: Final[dict[str, Any]] = {"result": Any, "run": str, "host_pid": int}
"""Keys of a task in JSON that are no fields of a view."""


class _Plain(msgspec.Struct):
    """A value without keys."""
