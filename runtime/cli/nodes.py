"""Node commands: `nodes` and `drain`, for the machines of the places of all hosts. Imported when one is called."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ..control.nodes import ListedNode, drain, find_node, nodes_of
from ..tasks.nodes import NodeState
from ..tasks.wording import size
from ..terminal.streams import out, warn
from ..text import duration, one_line
from .exit_status import INTERRUPTED
from .json_style import print_json
from .manner import manner

__all__ = ["drain_node", "list_nodes"]

_FAILED: Final = 1

_STYLES: Final[dict[NodeState, str]] = {"connecting": "cyan", "serving": "green", "draining": "yellow", "lost": "red"}

_COLUMNS: Final[dict[str, Callable[[ListedNode], str]]] = {
    "node": lambda node: node.view.name,
    "place": lambda node: node.view.place,
    "state": lambda node: node.view.state,
    "tasks": lambda node: f"{node.view.tasks:,}",
    "line": lambda node: node.view.line,
    "free": lambda node: size(node.view.memory_available) if node.view.memory_available is not None else "",
    "heard": lambda node: f"{duration(node.view.silent)} ago" if node.view.silent is not None else "",
    "version": lambda node: node.view.version,
    "host": lambda node: str(node.host_pid),
    "about": lambda node: node.view.why or node.view.address,
}
"""Cells by the names of the columns; the last has what room is left."""

_NUMBERS: Final = frozenset({"tasks", "free", "heard", "host"})

_LEFT_OUT: Final = ("version", "host", "line", "heard", "free")
"""Columns that go where the last would have less than `_ENOUGH` characters, in this order."""

_ENOUGH: Final = 24

_ABOUT: Final = 100
"""Characters of the last column where no terminal bounds it."""


def list_nodes(root: Path, run: str | None, *, as_json: bool) -> int:
    """Print the nodes of all runs that live, or of one; return the exit status.

    Raises:
        RunError: there is no such run.
        StateError: the state folder cannot be read.
    """
    nodes, warnings = nodes_of(root, run)
    for warning in warnings:
        warn(warning)
    if as_json:
        for node in nodes:
            print_json(_plain(node))
    elif manner.quiet:
        for node in nodes:
            out.line(node.view.name)
    elif nodes:
        _print_table(nodes)
    else:
        warn(f"No run in {root} that lives has a node. `places` in a team file give it some.")
    return 0


def drain_node(root: Path, name: str, run: str | None, *, stop: bool, as_json: bool) -> int:
    """Have a node take no new task, and print what becomes of those it has; return the exit status.

    Raises:
        SubactorsError: there is no such node, or its host refuses, or does not answer.
    """
    nodes, warnings = nodes_of(root, run)
    for warning in warnings:
        warn(warning)
    node = find_node(nodes, name)
    before = sum(each.view.tasks for each in nodes if (each.run, each.view.name) == (node.run, node.view.name))
    try:
        views = drain(node, stop=stop)
    except KeyboardInterrupt:
        return INTERRUPTED
    if as_json:
        for view in views:
            print_json(_plain(ListedNode(view, node.run, node.host_pid)))
    elif not manner.quiet:
        places = [view.place for view in views]
        where = f" of the places {', '.join(places[:-1])} and {places[-1]}" if len(places) > 1 else ""
        becomes = _what_becomes(sum(view.tasks for view in views), before, stop=stop)
        out.sentence(f"Node {node.view.name}{where} takes no new tasks. {becomes}")
    return 0


def _what_becomes(left: int, before: int, *, stop: bool) -> str:
    if stop and before:
        which = "1 task was" if before == 1 else f"{before:,} tasks were"
        return f"{which} ended there; what has a restart policy starts again on another node."
    if not left:
        return "None runs there."
    return "1 task runs there until it ends." if left == 1 else f"{left:,} tasks run there until they end."


def _plain(node: ListedNode) -> dict[str, Any]:
    return {**node.view.as_data(), "run": str(node.run), "host_pid": node.host_pid}


def _print_table(nodes: Sequence[ListedNode]) -> None:
    columns = {name: [_cell(cell(node)) for node in nodes] for name, cell in _COLUMNS.items()}
    room = _ABOUT
    if out.is_terminal:
        screen = shutil.get_terminal_size().columns
        for name in _LEFT_OUT:
            if _room(columns, screen) < _ENOUGH:
                del columns[name]
        room = max(_ENOUGH, _room(columns, screen))
    widths = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}
    rows = [{name: cells[number] for name, cells in columns.items()} for number in range(len(nodes))]
    out.own(_line({name: name.upper() for name in columns}, widths, "bold"))
    for row in rows:
        out.own(_line({**row, "about": out.cut(row["about"], room)}, widths))


def _line(row: dict[str, str], widths: dict[str, int], style: str = "") -> str:
    cells = []
    for name, cell in row.items():
        padded = cell.rjust(widths[name]) if name in _NUMBERS else cell.ljust(widths[name])
        how = style or (_STYLES.get(cell, "") if name == "state" else "")  # type: ignore[call-overload]
        cells.append(cell if name == "about" else out.painted(padded, how))
    return "  ".join(cells).rstrip() + "\n"


def _cell(text: str) -> str:
    return one_line(out.shown(text), 1000) or "-"


def _room(columns: dict[str, list[str]], screen: int) -> int:
    """Return how much of a line of the screen is left for the last column."""
    return screen - sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items() if name != "about")
