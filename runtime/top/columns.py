"""Columns: what a row of the tree shows, which columns have room, and the cells of a row in their styles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from ..tasks.watching import Sample
from ..terminal.colours import STATUS_STYLES
from ..watching.model import RunSeen, TaskSeen
from .listing import Listing, Row, Totals
from .words import MARKS, amount, dollars, memory, moment, short_id, span, tokens_of, words

__all__ = ["ROOM", "Columns", "Drawer", "chosen", "fitted", "style"]

_GAP: Final = 1
_MOST_INDENT: Final = 12
"""Cells by which a task is indented below its run, at most."""

_TICKS: Final = "▁▂▃▄▅▆▇█"
_SPARKS: Final = 6
"""Samples that a row shows."""


class _Column(NamedTuple):
    """A column.

    Attributes:
        name: its heading.
        least: cells that it needs.
        is_number: whether its cells are at the right.
    """

    name: str
    least: int
    is_number: bool = False


_ALL: Final = (
    _Column("Task", 26),
    _Column("Status", 12),
    _Column("Time", 8, is_number=True),
    _Column("Time line", 14),
    _Column("Doing", 16),
    _Column("Last words", 20),
    _Column("Tokens", 12, is_number=True),
    _Column("Cost", 8, is_number=True),
    _Column("CPU", _SPARKS + 5, is_number=True),
    _Column("Memory", 8, is_number=True),
)
_MARK_ONLY: Final = _Column("", 1)
_DROPPED: Final = ("Memory", "Cost", "CPU", "Tokens", "Status", "Doing", "Last words", "Time line")
"""Columns that go where there is no room, in this order; of the status its mark stays."""

_FILLED: Final = (
    ("Task", 32),
    ("Last words", 40),
    ("Status", 14),
    ("Time line", 28),
    ("Task", 44),
    ("Last words", 1000),
)
"""Columns that take the room which is left, in this order, up to so many cells."""


class Columns(NamedTuple):
    """The columns of a width: their names and cells."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    numbers: tuple[bool, ...]

    @property
    def has_status_word(self) -> bool:
        """Whether the status is told in a word, too."""
        return "Status" in self.names


def chosen(room: int) -> Columns:
    """Return the columns for which there is room in so many cells."""
    columns = list(_ALL)
    for name in _DROPPED:
        if _needed(columns) <= room:
            break
        columns = [_MARK_ONLY if each.name == name == "Status" else each for each in columns]
        columns = [each for each in columns if each.name != name]
    widths = {each.name: each.least for each in columns}
    left = room - _needed(columns)
    for name, most in _FILLED:
        if name in widths and left > 0:
            more = min(left, max(0, most - widths[name]))
            widths[name] += more
            left -= more
    if left < 0:
        widths["Task"] = max(1, widths["Task"] + left)
    return Columns(tuple(widths), tuple(widths.values()), tuple(each.is_number for each in columns))


def _needed(columns: Sequence[_Column]) -> int:
    return sum(each.least for each in columns) + _GAP * (len(columns) - 1)


ROOM: Final = _needed(_ALL)
"""Cells in which all columns have room."""


def fitted(text: str, width: int, *, is_number: bool = False) -> str:
    """Return text in exactly so many cells, with an ellipsis where it is cut."""
    cells = len(text) if text.isascii() else cell_len(text)
    if cells == width:
        return text
    if cells < width:
        return " " * (width - cells) + text if is_number else text + " " * (width - cells)
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


_STYLES: dict[str, Style] = {}


def style(name: str) -> Style:
    """Return a style by its name, such as `bold red`."""
    found = _STYLES.get(name)
    if found is None:
        found = _STYLES[name] = Style.parse(name)
    return found


class Drawer:
    """Draws rows of a listing.

    Args:
        listing: what is drawn.
        samples: returns the latest samples of a task.
    """

    def __init__(self, listing: Listing, samples: Callable[[str, int], Sequence[Sample]]) -> None:
        self._listing = listing
        self._samples = samples

    def head(self, columns: Columns) -> list[Segment]:
        """Return the headings."""
        return _line(columns, [(name, "") for name in columns.names], "bold")

    def row(self, row: Row, columns: Columns, marked: str = "") -> list[Segment]:
        """Return the cells of a row.

        Args:
            row: which.
            columns: those that there are.
            marked: a style in place of all others; empty: it is a row like any other.
        """
        cells: dict[str, tuple[str, str]] = {}
        widths = dict(zip(columns.names, columns.widths, strict=True))
        twist = "" if not row.children else "▸ " if self._listing.is_folded(row.id) else "▾ "
        if row.is_run:
            run = self._listing.runs.get(row.id)
            if run is not None:
                cells = self._run(run, twist, widths)
        else:
            task = self._listing.tasks.get(row.id)
            if task is not None:
                indent = " " * min(_MOST_INDENT, 2 * row.level)
                cells = self._task(task, f"{indent}{twist or '  '}", widths)
        return _line(columns, [cells.get(name, ("", "")) for name in columns.names], marked)

    # --- a run ------------------------------------------------------------------------------------------------------

    def _run(self, run: RunSeen, twist: str, widths: dict[str, int]) -> dict[str, tuple[str, str]]:
        sums = self._listing.totals(run.id)
        first, last = sums.between()
        whole = span(last - first) if sums.first is not None else ""
        axis = _axis(last - first, widths.get("Time line", 0)) if whole else ""
        counts = _counts(sums)
        state = ("▶", "bold") if run.live else ("▪", "dim")
        return {
            "Task": (f"{twist}{_title(run)}", "bold" if run.live else "bold dim"),
            "Status": (f"{state[0]} {'live' if run.live else 'over'}", state[1]),
            "": state,
            "Time": (whole, "dim"),
            "Time line": (axis, "dim"),
            "Doing": (counts, "dim"),
            "Last words": (words(run.warning), "yellow") if run.warning else (words(run.working_dir), "dim"),
            "Tokens": (f"Σ{amount(sums.tokens)}" if sums.tokens else "", "dim"),
            "Cost": (dollars(sums.cost), "dim"),
        }

    # --- a task -----------------------------------------------------------------------------------------------------

    def _task(self, task: TaskSeen, before: str, widths: dict[str, int]) -> dict[str, tuple[str, str]]:
        how = STATUS_STYLES.get(task.status, "")
        mark = MARKS.get(task.status, "·")
        ran = self._listing.ran_for(task)
        own, total = tokens_of(task.usage), tokens_of(task.total_usage)
        failed = task.ended and task.status != "completed"
        said = task.reason if failed and task.reason else task.words or task.task
        cells = {
            "Task": (_named(task, before, widths["Task"]), ""),
            "Status": (f"{mark} {_status(task)}", how),
            "": (mark, how),
            "Time": (span(ran) if ran is not None else "", ""),
            "Doing": (_doing(task, widths.get("Doing", 0)), "yellow" if task.questions or task.silent_since else ""),
            "Last words": (words(said), how if failed else "dim" if task.ended else ""),
            "Tokens": (f"Σ{amount(total)} {amount(own)}" if total > own else amount(own) if own else "", ""),
            "Cost": (dollars(task.total_usage.cost), ""),
            "Memory": (memory(task.vitals.memory_bytes) if task.vitals and task.vitals.memory_bytes else "", ""),
        }
        if "Time line" in widths:
            cells["Time line"] = (_bar(task, self._listing.totals(task.run), widths["Time line"]), how)
        if "CPU" in widths and not task.ended:
            cells["CPU"] = (_cpu(task, self._samples(task.id, _SPARKS)), "")
        return cells


def _line(columns: Columns, cells: Iterable[tuple[str, str]], marked: str) -> list[Segment]:
    segments = []
    for name, (text, how), width, is_number in zip(columns.names, cells, columns.widths, columns.numbers, strict=True):
        shown = fitted(text, width, is_number=is_number)
        waited = shown.rfind(_WAITED) + 1 if name == "Time line" else 0
        if waited:
            segments.append(Segment(shown[:waited], style(marked or "dim")))
        segments.append(Segment(f"{shown[waited:]} ", style(marked or how)))
    return segments


def _title(run: RunSeen) -> str:
    """Return what a run is called: its team file, or the program; with the process that is its host."""
    team = "" if run.team.startswith("<") else run.team
    name = PurePath(team).name if team else run.command or run.id
    return words(f"{name}  {f'process {run.host_pid}' if run.live else 'has ended'}")


def _counts(sums: Totals) -> str:
    return ", ".join(f"{sums.counts[status]:,} {status}" for status in MARKS if sums.counts[status])


def _named(task: TaskSeen, before: str, width: int) -> str:
    """Return a task's agent and id, of which the agent's name is cut first."""
    tail = f" {short_id(task.id)}"
    room = width - len(before) - len(tail)
    agent = words(task.agent, 200)
    return f"{before}{agent if cell_len(agent) <= room else fitted(agent, max(room, 4))}{tail}"


def _status(task: TaskSeen) -> str:
    if task.status == "queued" and task.queue_place:
        return f"queued {task.queue_place}"
    return f"{task.status} ×{task.attempts}" if task.attempts > 1 else task.status  # noqa: RUF001 - as on the page


def _doing(task: TaskSeen, width: int) -> str:
    """Return what a task is at, and for how long, which has room whatever the other takes."""
    if task.ended:
        return ""
    if task.questions:
        return "asks"
    if task.progress is not None:
        done, total, note = task.progress.done, task.progress.total, task.progress.note
        return words(f"{done:g}{f'/{total:g}' if total else ''} {note}")
    what, since = task.doing, task.doing_began_at
    if task.tools:
        what = ", ".join(dict.fromkeys(tool.name for tool in task.tools))
    elif task.doing == "waiting for its model":
        what = "model"
    elif task.silent_since:
        what, since = "silent", task.silent_since
    what, age = words(what), _age(since)
    room = width - len(age) - 1
    return f"{fitted(what, max(room, 1)) if cell_len(what) > room else what} {age}".strip()


def _age(since: str | None) -> str:
    began = moment(since)
    return span(time.time() - began) if began is not None else ""


def _axis(seconds: float, width: int) -> str:
    """Return the times at the ends and in the middle of a line."""
    parts = ["0s", span(seconds / 2), span(seconds)]
    rule = max(1, (width - sum(map(len, parts))) // 2)
    text = f"{parts[0]}{'─' * rule}{parts[1]}"
    return f"{text}{'─' * max(1, width - len(text) - len(parts[2]))}{parts[2]}"


def _bar(task: TaskSeen, sums: Totals, width: int) -> str:
    """Return when a task was queued and ran, on the line of its run, in half cells."""
    first, last = sums.between()
    scale = 2 * width / max(1e-3, last - first)
    began, queued = moment(task.started_at), moment(task.queued_at)
    ended = moment(task.ended_at) or last
    halves = [0] * (2 * width)
    for start, end, kind in ((queued, began or ended, 1), (began, ended, 2)):
        if start is not None:
            begin = min(2 * width - 1, max(0, int((start - first) * scale)))
            for half in range(begin, max(begin + 1, min(2 * width, round((end - first) * scale)))):
                halves[half] = kind
    return "".join(_BARS[halves[2 * cell], halves[2 * cell + 1]] for cell in range(width)).rstrip()


_WAITED: Final = "┄"
_BARS: Final = {
    (0, 0): " ",
    (0, 1): _WAITED,
    (1, 0): _WAITED,
    (1, 1): _WAITED,
    (0, 2): "╺",
    (1, 2): "╺",
    (2, 0): "╸",
    (2, 1): "╸",
    (2, 2): "━",
}
"""Half cells in which a task was not there (0), queued (1), or ran (2)."""


def _cpu(task: TaskSeen, samples: Sequence[Sample]) -> str:
    if task.vitals is None or task.vitals.cpu_percent is None:
        return ""
    most = max([100.0, *(sample.cpu_percent for sample in samples)])
    ticks = "".join(_TICKS[min(7, max(0, int(sample.cpu_percent / most * 7.99)))] for sample in samples)
    return f"{ticks} {task.vitals.cpu_percent:.0f}%"


def counted(total: Totals) -> str:
    """Return how many tasks there are, by status, with marks: `●34 running ◌2 queued`."""
    return "  ".join(f"{MARKS[status]}{total.counts[status]:,} {status}" for status in MARKS if total.counts[status])
