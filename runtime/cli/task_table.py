"""Task table: tasks in the rows and columns that a terminal has, and a line that counts them.

It looks at views only, and knows neither the host nor the terminal: who draws says how much room there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ..tasks.views import ID_PREFIX, Progress, TaskView
from ..tasks.wording import dollars, progress_text, result_line, size
from ..terminal.colours import STATUS_STYLES
from ..terminal.control_sequences import clean
from ..terminal.signs import with_stand_ins
from ..text import duration, one_line

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

__all__ = ["Screen", "counted", "task_table", "telling_line", "words"]

_OTHER_ROWS: Final = 8
"""Rows of the terminal that tasks leave free: for heading and counts, and for what was said before."""

_ENOUGH: Final = 30
"""Cells in which the last words of a task can be read; where there are fewer, columns are dropped."""

_NARROW: Final = 80
"""Cells of a screen below which one blank between two columns has to do."""

_BAR: Final = 10
_SHORT_BAR: Final = 5
"""Cells of a bar, and of one for which there is little room beside what is told with it."""

_SAID: Final = "last said"
"""The last column, whose room is what the others leave."""

_LONGEST: Final = 300
"""Characters of a cell that are looked at; more cells has hardly a screen."""


class Screen(NamedTuple):
    """What there is to draw on.

    Attributes:
        columns: cells of a line.
        rows: lines.
        encoding: of the terminal's locale. Where it lacks the signs of the table, ASCII has to do.
        is_poor: whether it is known to lack them, as the font of the Linux console does.
    """

    columns: int
    rows: int
    encoding: str = "utf-8"
    is_poor: bool = False

    @property
    def signs(self) -> _Signs:
        """The signs that it can show."""
        drawn = "".join(_SIGNS)
        return _ASCII if self.is_poor or self._replaced(drawn) != drawn else _SIGNS

    def shown(self, text: str) -> str:
        """Return text with what it lacks replaced, so that its length is known."""
        return self._replaced(text if self.signs is _SIGNS else with_stand_ins(text))

    def _replaced(self, text: str) -> str:
        return text.encode(self.encoding, "replace").decode(self.encoding, "replace")


class _Signs(NamedTuple):
    full: str
    empty: str
    rule: str
    more: str


_SIGNS: Final = _Signs("━", "─", "─", "…")
_ASCII: Final = _Signs("#", "-", "-", "...")


class _Column(NamedTuple):
    """A column.

    Attributes:
        title: its heading, which is never cut.
        usual: cells that its values have as a rule. It decides which columns there are, so that they do not come and
            go with each value.
        cell: makes the text of a task.
        is_number: whether its values are aligned at their right ends.
        is_cut: whether longer values are cut.
    """

    title: str
    usual: int
    cell: Callable[[TaskView], str]
    is_number: bool = True
    is_cut: bool = False


def _tokens(view: TaskView) -> int:
    return view.usage.input_tokens + view.usage.output_tokens


def _memory(view: TaskView) -> int:
    return view.vitals.memory_bytes if view.vitals is not None else 0


def _cpu(view: TaskView) -> str:
    return f"{view.vitals.cpu_seconds:.2f} s" if view.vitals is not None else ""


_ID: Final = _Column("task", len(ID_PREFIX) + 8, lambda view: view.id, is_number=False)
_HALF_ID: Final = _Column("task", 8, lambda view: view.id.removeprefix(ID_PREFIX), is_number=False)
_STATUS: Final = _Column("status", 9, lambda view: view.status, is_number=False)
_TIME: Final = _Column("runtime", 7, lambda view: duration(view.runtime) if view.started_at else "")
_TOKENS: Final = _Column("tokens", 9, lambda view: f"{_tokens(view):,}" if view.usage.requests else "")
_COST: Final = _Column("cost", 7, lambda view: dollars(view.usage.cost) if view.usage.cost else "")
_MEMORY: Final = _Column("memory", 7, lambda view: size(_memory(view)) if _memory(view) else "")
_CPU: Final = _Column("CPU", 6, _cpu)

_DROPPED: Final = (_CPU, _MEMORY, _TOKENS, _COST)
"""Columns that go where there is no room, in this order; that of the nodes is next, and then half of each id."""


def task_table(views: Sequence[TaskView], screen: Screen) -> Group:
    """Return the table of tasks that fits on the screen, and the line that counts all of them."""
    from rich.console import Group  # noqa: PLC0415 - rich is for terminals only

    shown = _fitting(views, max(1, screen.rows - _OTHER_ROWS))
    gap = 1 if screen.columns < _NARROW else 2
    columns = _chosen(shown, screen.columns, gap)
    rows = [[_cell(column.cell(view), screen) for column in columns] for view in shown]
    widths = [
        column.usual if column.is_cut else max(len(column.title), *(_width(row[at]) for row in rows), 0)
        for at, column in enumerate(columns)
    ]
    widths.append(max(len(_SAID), screen.columns - sum(widths) - gap * len(widths)))
    titles = [words(title, "bold") for title in [*(column.title for column in columns), _SAID]]
    lines = [
        _line(titles, columns, widths, screen, gap),
        words(screen.signs.rule * min(screen.columns, sum(widths) + gap * len(columns)), "dim"),
    ]
    for view, row in zip(shown, rows, strict=True):
        said = telling_line(view, screen.signs, _BAR if widths[-1] >= _ENOUGH else _SHORT_BAR)
        cells = [words(cell) for cell in [*row, _cell(said, screen)]]
        cells[columns.index(_STATUS)].stylize(STATUS_STYLES[view.status])
        lines.append(_line(cells, columns, widths, screen, gap))
    return Group(*lines, words(counted(views, len(shown))))


def counted(views: Sequence[TaskView], shown: int) -> str:
    """Return how many tasks there are, by what they do: `60 tasks: 10 running, 4 queued, 46 ended, 28 not shown`."""
    ended = sum(view.ended for view in views)
    queued, waiting = (sum(view.status == status for view in views) for status in ("queued", "waiting"))
    counts = {
        "running": len(views) - ended - queued - waiting,
        "waiting for an answer": waiting,
        "queued": queued,
        "ended": ended,
        "not shown": len(views) - shown,
    }
    failed = sum(view.status == "failed" for view in views)
    texts = {what: f"{number:,} {what}" for what, number in counts.items() if number}
    if failed:
        texts["ended"] += f" ({failed:,} failed)"
    parts = ", ".join(texts.values())
    head = "1 task" if len(views) == 1 else f"{len(views):,} tasks"
    return f"{head}: {parts}" if parts else head


def telling_line(view: TaskView, signs: _Signs = _SIGNS, bar: int = _BAR) -> str:
    """Return the line that says most about a task: why it failed, how its answer begins, or what it said last."""
    if view.reason:
        return _first_line(view.reason)
    if view.questions:
        return f"asks: {_first_line(view.questions[0].text)}"
    if view.status == "starting" and view.doing:
        return view.doing
    if view.queue_place:
        return f"place {view.queue_place} in the queue"
    if view.status == "completed":
        return _first_line(result_line(view))
    return _last_line(view.output) if view.progress is None else _bar(view.progress, signs, bar)


def words(text: str, style: str = "") -> Text:
    """Return text for `rich` to show as it is, without what would command the terminal."""
    from rich.text import Text  # noqa: PLC0415 - rich is for terminals only

    return Text(clean(text), style=style)


def _fitting(views: Sequence[TaskView], room: int) -> list[TaskView]:
    """Return the tasks that fit on the screen: at work, queued, failed, or ended last, in that order."""
    if len(views) <= room:
        return [*views]

    def rank(at: int) -> tuple[bool, bool, bool, int]:
        view = views[at]
        return view.ended, view.status == "queued", view.ended and view.status != "failed", -at if view.ended else at

    order = sorted(range(len(views)), key=rank)
    return [views[at] for at in sorted(order[:room])]


def _chosen(views: Sequence[TaskView], screen: int, gap: int) -> list[_Column]:
    """Return the columns for which there is room beside the last words."""
    agent = _names("agent", lambda view: view.agent, views, screen)
    node = _names("node", lambda view: view.node, views, screen)
    all_columns = [_ID, agent, _STATUS, _TIME, _CPU, _MEMORY, _TOKENS, _COST, node]
    if_any = (_TOKENS, _COST, node)
    columns = [column for column in all_columns if column not in if_any or any(map(column.cell, views))]
    for column in (*_DROPPED, node):
        if _left(columns, screen, gap) >= _ENOUGH:
            return columns
        columns = [kept for kept in columns if kept is not column]
    return columns if _left(columns, screen, gap) >= _ENOUGH else [_HALF_ID, *columns[1:]]


def _names(title: str, name: Callable[[TaskView], str], views: Sequence[TaskView], screen: int) -> _Column:
    """Return a column of names, as wide as they are, within bounds."""
    longest = max([len(title), *(_width(clean(name(view))) for view in views)])
    return _Column(title, min(longest, max(8, screen // 5)), name, is_number=False, is_cut=True)


def _left(columns: Sequence[_Column], screen: int, gap: int) -> int:
    return screen - sum(column.usual + gap for column in columns)


def _line(cells: Sequence[Text], columns: Sequence[_Column], widths: Sequence[int], screen: Screen, gap: int) -> Text:
    from rich.text import Text  # noqa: PLC0415 - rich is for terminals only

    more = screen.signs.more
    line = Text(no_wrap=True, overflow="crop")  # on less than 44 cells
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if cell.cell_len > width:
            cell.truncate(max(0, width - len(more)), overflow="crop")
            cell.append(more)
        if at < len(columns):
            cell.align("right" if columns[at].is_number else "left", width)
            cell.pad_right(gap)
        line.append_text(cell)
    return line


def _cell(text: str, screen: Screen) -> str:
    return screen.shown(one_line(clean(text), _LONGEST))


def _width(text: str) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 - rich is for terminals only

    return cell_len(text)


def _bar(progress: Progress, signs: _Signs, cells: int) -> str:
    """Return how far a task has come, with a bar where it is known how much there is to do."""
    if progress.fraction is None:
        return progress_text(progress)
    filled = int(progress.fraction * cells)
    return f"{signs.full * filled}{signs.empty * (cells - filled)} {progress_text(progress)}"


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
