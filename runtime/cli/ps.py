"""Listing command: `ps`, for the tasks of all hosts. It must not bring what only a process that runs tasks needs."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from ..control.finding import find_run
from ..control.last_lines import listed_with_last_lines, with_last_lines
from ..control.other_hosts import ForeignTask, ListedTask, Survey, tasks_of
from ..errors import StateError, UnknownTaskError
from ..tasks.views import ID_PREFIX, TERMINAL, Status, TaskView
from ..terminal.colours import STATUS_STYLES
from ..terminal.streams import out, own_stream, warn
from ..text import one_line
from .columns import COLUMNS, IF_ANY, NUMBERS, USUAL, Template, chosen
from .exit_status import INTERRUPTED
from .json_style import print_json, task_data
from .words import nearest

__all__ = ["Listing", "list_tasks", "watch_tasks"]

_ROWS: Final = 200
"""Ended tasks that `ps --all` shows at most, more or less."""

_EVERY: Final = 1.0
"""Seconds between two looks of `ps --watch`."""

_TASK_ROOM: Final = 20
"""Characters of a task's text for which `ps` shortens other columns, on a narrow screen."""

_LEFT_OUT: Final = ("host", "memory", "cpu%", "cpu", "tokens", "cost", "node")
"""Columns that `ps` leaves out where the shortened ones still have no room, in this order; `view` has them all."""

_TIMES_LEFT_OUT: Final = ("ended", "started")
_LEAST_ROOM: Final = 10
"""Columns that it leaves out, too, where a task's text would have less than so many characters."""

_TASK_WIDTH: Final = 80
"""Characters of a task's text in a table that no terminal bounds."""


class Listing:
    """Which tasks are listed, and how.

    Args:
        root: the state folder.
        everything: whether tasks that have ended are wanted, too.
        as_json: whether to print one task a line, as JSON.
        ids_only: whether to print ids alone.
        at_most: how many are wanted, the newest; None: about 200.
        statuses: those wanted, if any is given. One that is final says that tasks which have ended are wanted.
        agents: those wanted, if any is given.
        run: a part of the name of the run that is wanted.
        since: from when on tasks are wanted, in seconds since the epoch; ended ones, too.
        form: columns or a template; None: the usual columns.

    Raises:
        RunError: there is no such run.
        StateError: the state folder cannot be read.
        click.BadParameter: the form has a mistake.
    """

    def __init__(
        self,
        root: Path,
        *,
        everything: bool = False,
        as_json: bool = False,
        ids_only: bool = False,
        at_most: int | None = None,
        statuses: Collection[str] = (),
        agents: Collection[str] = (),
        run: str | None = None,
        since: float | None = None,
        form: str | None = None,
    ) -> None:
        self.root = root
        self.everything = everything or since is not None or not TERMINAL.isdisjoint(statuses)
        self.as_json, self._ids_only = as_json, ids_only
        self._at_most, self._statuses, self._agents, self._since = at_most, statuses, agents, since
        self._run = find_run(root, run) if run is not None else None
        self._template = Template(form) if form is not None and "{" in form else None
        self.is_table = not (as_json or ids_only or self._template)
        self._columns = chosen(form) if form is not None and self._template is None else []
        shown = self._columns if self._template is None else self._template.keys
        self._tells_output = as_json or not {"said", "output", "output_size"}.isdisjoint(shown)

    def look(self) -> Survey:
        """Return the tasks, the newest last."""
        bound = self._at_most or (None if self._since is not None else _ROWS)
        survey = tasks_of(self.root, past=self.everything, at_most=bound, wanted=self._wants, run=self._run)
        tasks = survey.tasks[-self._at_most :] if self._at_most is not None else survey.tasks
        return Survey(listed_with_last_lines(tasks) if self._tells_output else tasks, survey.warnings)

    def _wants(self, view: TaskView) -> bool:
        if view.ended and not self.everything:
            return False
        is_of_kind = (not self._statuses or view.status in self._statuses) and (
            not self._agents or view.agent in self._agents
        )
        return is_of_kind and (self._since is None or _accepted(view) >= self._since)

    def lines(self, tasks: Sequence[ListedTask], *, has_head: bool = True) -> list[str]:
        """Return the lines of a table, of a template or of ids, to be printed as they are."""
        if self._template is not None:
            return [out.shown(self._template.line(task)) for task in tasks]
        if self._ids_only:
            return [task.view.id for task in tasks]
        return _table(tasks, self._columns)[0 if has_head else 1 :] if tasks else []

    def none_word(self) -> str:
        """Return a sentence on that there are no tasks."""
        which = " of that kind" if self._statuses or self._agents or self._run or self._since else ""
        ended = "" if self.everything else " `--all` lists those that have ended, too." if which else ""
        what = f"There are no tasks{which}" if self.everything else f"No tasks{which} are running"
        return f"{what} in {self.root}.{ended}{self._wrong_agents}"

    @functools.cached_property
    def _wrong_agents(self) -> str:
        """Sentences on agents of which there is no task at all."""
        if not self._agents:
            return ""
        known = {task.view.agent for task in tasks_of(self.root, at_most=_ROWS).tasks}
        wrong = [agent for agent in self._agents if agent not in known]
        return "".join(f" No agent {agent!r} has a task.{nearest(agent, known)}" for agent in wrong)


def _accepted(view: TaskView) -> float:
    """Return when a task was accepted, in seconds since the epoch."""
    moment = view.queued_at or view.started_at or view.ended_at
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def list_tasks(listing: Listing) -> int:
    """Print tasks, the newest last; return the exit status."""
    survey = listing.look()
    for warning in survey.warnings:
        warn(warning)
    _print(listing, survey.tasks)
    if not survey.tasks and listing.is_table:
        warn(listing.none_word())
    return 0


def _print(listing: Listing, tasks: Sequence[ListedTask], *, has_head: bool = True) -> None:
    if listing.as_json:
        for task in tasks:
            print_json(task_data(task.view, task.run, task.host_pid))
        return
    for line in listing.lines(tasks, has_head=has_head):
        out.own(f"{line}\n")


def watch_tasks(listing: Listing) -> int:
    """Show tasks until Ctrl-C: on a terminal the table, drawn anew; elsewhere each task when its status has changed."""
    is_drawn = listing.is_table and out.is_terminal and os.environ.get("TERM", "dumb") != "dumb"
    try:
        _draw(listing) if is_drawn else _print_changes(listing)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _draw(listing: Listing) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich is for terminals only
    from rich.live import Live  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    def text() -> Text:
        survey = listing.look()
        head, *rows = listing.lines(survey.tasks) or [""]
        room = max(1, shutil.get_terminal_size().lines - 3 - len(survey.warnings))
        hidden = [f"{len(rows) - room:,} older tasks are not shown."] if len(rows) > room else []
        now = time.strftime("%H:%M:%SZ", time.gmtime())
        count = f"{now}  {len(rows):,} task{'' if len(rows) == 1 else 's'}. Ctrl-C ends this."
        lines = [head, *rows[-room:]] if rows else [out.shown(listing.none_word())]
        return Text.from_ansi("\n".join([*map(out.shown, survey.warnings), *lines, *hidden, count]), no_wrap=True)

    # What is drawn has been cleaned, and painted if there are colors.
    console = Console(file=own_stream(out), force_terminal=True, no_color=not out.is_colored, highlight=False)
    with Live(text(), console=console, auto_refresh=False, transient=False) as live:
        while True:
            time.sleep(_EVERY)
            live.update(text(), refresh=True)
            out.check()


def _print_changes(listing: Listing) -> None:
    told: dict[str, Status] = {}
    living: dict[str, ListedTask] = {}
    warned: set[str] = set()
    has_head = True
    while True:
        survey = listing.look()
        for warning in survey.warnings:
            if warning not in warned:
                warn(warning)
        warned.update(survey.warnings)
        found = {task.view.id: task for task in survey.tasks}
        # What has ended is not listed any more, nor whose host has gone.
        found |= {task_id: _now(task) for task_id, task in living.items() if task_id not in found}
        changed = [task for task_id, task in found.items() if told.get(task_id) != task.view.status]
        _print(listing, changed, has_head=has_head)
        has_head = has_head and not changed
        told = {task_id: task.view.status for task_id, task in found.items()}
        living = {task_id: task for task_id, task in found.items() if not task.view.ended}
        out.check()
        time.sleep(_EVERY)


def _now(listed: ListedTask) -> ListedTask:
    """Return a task as it is now; as it was, if nobody can tell."""
    with contextlib.suppress(UnknownTaskError, StateError), ForeignTask(listed.run, listed.view.id) as task:
        (found,) = with_last_lines(listed.run, [task.view(peek=True)])
        return ListedTask(found, listed.run, task.host_pid)
    return listed


def _table(tasks: Sequence[ListedTask], names: Sequence[str]) -> list[str]:
    """Return the lines of a table; its last cell is cut to what is left of the line.

    Args:
        tasks: the rows.
        names: the columns; none: the usual ones, of which some are there only if a task has something to show, and on a
            narrow screen some are shortened or left out.
    """
    columns = [(name, *(_cell(task, name) for task in tasks)) for name in names or USUAL]
    if not names:
        columns = [column for column in columns if column[0] not in IF_ANY or {*column[1:]} != {"-"}]
    room = _TASK_WIDTH
    if out.is_terminal:
        screen = shutil.get_terminal_size().columns
        if not names and _room(columns, screen) < _TASK_ROOM:
            columns = _narrowed(columns, screen)
        room = max(_LEAST_ROOM, _room(columns, screen))
    names = [column[0] for column in columns]
    widths = [*_widths(columns), 0]
    head, *rows = zip(*columns, strict=True)
    lines = [_line(names, [cell.upper() for cell in head], widths, is_head=True)]
    return lines + [_line(names, [*row[:-1], out.cut(row[-1], room)], widths) for row in rows]


def _line(names: Sequence[str], cells: Sequence[str], widths: Sequence[int], *, is_head: bool = False) -> str:
    """Return a line of a table, in colors where there are any."""
    painted = []
    for name, cell, width in zip(names, cells, widths, strict=True):
        style = "bold" if is_head else STATUS_STYLES.get(cell, "") if name == "status" else ""
        painted.append(out.painted(cell.rjust(width) if name in NUMBERS else cell.ljust(width), style))
    return "  ".join(painted)


def _cell(task: ListedTask, name: str) -> str:
    return one_line(out.shown(COLUMNS[name](task)), 1000) or "-"


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
        "id": lambda cell: cell.removeprefix(ID_PREFIX),
        **dict.fromkeys(("started", "ended"), lambda cell: _short_time(cell, today)),
    }
    short = [tuple(map(shortened.get(column[0], str), column)) for column in columns]
    kept = [column for column in short if column[0] == USUAL[-1] or any(cell != "-" for cell in column[1:])]
    for name in (*_LEFT_OUT, *_TIMES_LEFT_OUT):
        if _room(kept, screen) < (_TASK_ROOM if name in _LEFT_OUT else _LEAST_ROOM):
            kept = [column for column in kept if column[0] != name]
    return kept


def _short_time(cell: str, today: str) -> str:
    """Return the time of day of a time that is of today, and the date of another."""
    date, is_time, of_day = cell.partition("T")
    return cell if not is_time or not of_day.endswith("Z") else of_day if date == today else date
