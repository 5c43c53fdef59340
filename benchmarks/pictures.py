"""Pictures of results, as SVG; only what the results are enough for is drawn. Needs matplotlib."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .contenders import CONTENDERS, contender_class
from .results import Results
from .words import FAULT_TITLES, formatted, outcome_text
from .work import FAULTS

__all__ = ["draw"]

_OURS: Final = "#c0392b"
_FLOOR: Final = "#2c3e50"
_PEERS: Final = ("#2980b9", "#16a085", "#8e44ad", "#d68910", "#7f8c8d", "#27ae60", "#5d6d7e", "#a04000")
_VERDICTS: Final = {"contained": "#abebc6", "partly": "#f9e79f", "lost": "#f5b7b1"}


def draw(results: Results, folder: Path) -> list[str]:
    """Draw, and return the names of the pictures that there are now."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    # The same results make the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "subactors", "svg.fonttype": "none", "font.size": 9})
    plots: Any = importlib.import_module("matplotlib.pyplot")
    folder.mkdir(exist_ok=True)
    drawn = []
    pictures: dict[str, Callable[[Results, Any], Any]] = {
        "start": _start,
        "fan_out": _fan_out,
        "memory": _memory,
        "isolation": _isolation,
    }
    for name, make in pictures.items():
        figure = make(results, plots)
        if figure is not None:
            figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
            plots.close(figure)
            drawn.append(name)
    return drawn


def _colour(name: str) -> str:
    if name == "floor":
        return _FLOOR
    if name.startswith(("subactors", "actors")):
        return _OURS
    return _PEERS[list(CONTENDERS).index(name) % len(_PEERS)]


def _start(results: Results, plots: Any) -> Any:
    measured = [found for name in CONTENDERS if (found := results.find("start", name)) is not None]
    if not measured:
        return None
    measured.reverse()
    figure, axes = plots.subplots(figsize=(7, 0.4 * len(measured) + 1))
    values = [each.p50 * 1000 for each in measured]
    beyond = [(each.p95 - each.p50) * 1000 for each in measured]
    titles = [contender_class(each.contender).title for each in measured]
    colours = [_colour(each.contender) for each in measured]
    axes.barh(titles, values, color=colours, xerr=[[0.0] * len(values), beyond], error_kw={"ecolor": "#555555"})
    for place, value in enumerate(values):
        axes.text(value, place + 0.28, f" {formatted(value / 1000, 's')}", va="center", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("ms from dispatch to the first message, openai imported (p50, line to p95)")
    return figure


def _fan_out(results: Results, plots: Any) -> Any:
    return _against_tasks(results, plots, "fan-out", "s beyond the one that each task takes", 1.0)


def _memory(results: Results, plots: Any) -> Any:
    return _against_tasks(results, plots, "memory per idle task", "MB per idle task (USS)", 1e-6)


def _against_tasks(results: Results, plots: Any, metric: str, label: str, factor: float) -> Any:
    figure, axes = plots.subplots(figsize=(7, 4))
    some = False
    for name in CONTENDERS:
        points = sorted(
            (each.tasks, each.p50 * factor)
            for each in results.measurements
            if each.metric == metric and each.contender == name and each.p50 > 0
        )
        if points:
            some = True
            style = "--" if name == "floor" else ":" if name.endswith("standby") else "-"
            marker = "s" if name.startswith("actors") else "o"
            title = contender_class(name).title
            axes.plot(*zip(*points, strict=True), style, marker=marker, markersize=4, color=_colour(name), label=title)
    if not some:
        plots.close(figure)
        return None
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tasks at once")
    axes.set_ylabel(label)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _isolation(results: Results, plots: Any) -> Any:
    names = [name for name in CONTENDERS if any(cell.contender == name for cell in results.isolation)]
    if not names:
        return None
    left = {each.contender: each for each in results.left_behind}
    figure, axes = plots.subplots(figsize=(9, 0.42 * len(names) + 0.9))
    for row, name in enumerate(names):
        for cell in results.isolation:
            if cell.contender == name:
                _box(axes, FAULTS.index(cell.fault), row, _VERDICTS[cell.verdict], outcome_text(cell))
        if name in left:
            count = left[name].left
            colour = _VERDICTS["lost" if count else "contained"]
            _box(axes, len(FAULTS), row, colour, f"{count} of {left[name].started} left" if count else "none left")
    axes.set_xlim(-0.5, len(FAULTS) + 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks(range(len(FAULTS) + 1), [*(FAULT_TITLES[fault] for fault in FAULTS), "host killed,\n5 s later"])
    axes.set_yticks(range(len(names)), [contender_class(name).title for name in names])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _box(axes: Any, column: int, row: int, colour: str, text: str) -> None:
    axes.barh(row, 0.96, left=column - 0.48, height=0.9, color=colour)
    axes.text(column, row, text, ha="center", va="center", fontsize=7)
