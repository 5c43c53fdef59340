"""Picture: a report as SVG: how each way scales with the number of tasks, and the tasks of one fan-out in time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from .report import Report
from .table import TITLES, seconds
from .work import COROUTINES, OURS, PROCESSES, THREADS, WAYS, Span

__all__ = ["picture"]

_WIDTH: Final = 760
_LEFT: Final = 70.0
_RIGHT: Final = 590.0
"""Where the axes begin and end; the names of the lines are right of them."""

_TOP: Final = 60.0
_HEIGHT: Final = 240.0
_MOST_ROWS: Final = 60
"""Tasks that the timeline shows; of more it shows as many, evenly chosen."""

_ROW: Final = 7.0
_LABEL_ROOM: Final = 14.0
_MOST_MARKS: Final = 6

_COLOURS: Final = {OURS: "#1f6feb", THREADS: "#2da44e", PROCESSES: "#bf5b04", COROUTINES: "#8250df"}
_WAITS: Final = "#d0d7de"
_STARTS: Final = "#f2a900"
_FAILS: Final = "#cf222e"


def picture(report: Report) -> str:
    """Return the text of an SVG file."""
    spans = _some(report.timeline)
    timeline_top = _TOP + _HEIGHT + 110
    height = timeline_top + len(spans) * _ROW + 60 if spans else _TOP + _HEIGHT + 60
    title = f"{report.work.title}: {report.concurrency} at a time"
    size = f'width="{_WIDTH}" height="{height:.0f}" viewBox="0 0 {_WIDTH} {height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height:.0f}" fill="white"/>',
        _text(_LEFT, 24, title, size=15),
        _text(_LEFT, 44, "Wall time of a fan-out by its number of tasks; both axes are logarithmic"),
        *_scaling(report),
        *(_timeline(spans, len(report.timeline), timeline_top) if spans else ()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


# --- scaling --------------------------------------------------------------------------------------------------------


def _scaling(report: Report) -> Iterator[str]:
    points = {
        way: [(size, figures.wall.median) for size, figures in sorted(report.by(way).items()) if figures.wall]
        for way in WAYS
    }
    every = [point for line in points.values() for point in line]
    if not every:
        return
    across = _Scale([size for size, _ in every], _LEFT, _RIGHT)
    up = _Scale([wall for _, wall in every], _TOP + _HEIGHT, _TOP)
    for size in sorted({size for size, _ in every}):
        x = across.at(size)
        yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + _HEIGHT}" stroke="#eaeef2"/>'
        yield _text(x, _TOP + _HEIGHT + 18, f"{size:,}", anchor="middle")
    for mark in up.marks():
        y = up.at(mark)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}" stroke="#eaeef2"/>'
        yield _text(_LEFT - 8, y + 4, _mark(mark), anchor="end")
    ends = [(line[-1][1], way) for way, line in points.items() if line]
    labels = _apart([up.at(wall) for wall, _ in sorted(ends, reverse=True)])
    for (_, way), label in zip(sorted(ends, reverse=True), labels, strict=True):
        line, colour = points[way], _COLOURS[way]
        path = " ".join(f"{across.at(size):.1f},{up.at(wall):.1f}" for size, wall in line)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for size, wall in line:
            shown = escape(f"{TITLES[way]}, {size:,} tasks: {seconds(wall)}")
            yield f'<circle cx="{across.at(size):.1f}" cy="{up.at(wall):.1f}" r="3" fill="{colour}">'
            yield f"<title>{shown}</title></circle>"
        yield _text(_RIGHT + 12, label + 4, f"{TITLES[way]} {seconds(line[-1][1])}", colour=colour)


class _Scale:
    """A logarithmic axis: where a value is on it.

    Args:
        values: what is to be shown; above 0.
        low: where the smallest is.
        high: where the largest is.
    """

    def __init__(self, values: Sequence[float], low: float, high: float) -> None:
        self._least, self._most = math.log10(max(min(values), 1e-6)), math.log10(max(*values, 1e-6))
        self._low, self._high = low, high

    def at(self, value: float) -> float:
        """Return where a value is."""
        if self._most == self._least:
            return (self._low + self._high) / 2
        share = (math.log10(max(value, 1e-6)) - self._least) / (self._most - self._least)
        return self._low + share * (self._high - self._low)

    def marks(self) -> list[float]:
        """Return round values on it."""
        tens = range(math.floor(self._least), math.ceil(self._most) + 1)
        found = [step * 10.0**ten for ten in tens for step in (1, 2, 5)]
        inside = [value for value in found if self._least - 0.01 <= math.log10(value) <= self._most + 0.01]
        return inside if len(inside) <= _MOST_MARKS else [value for value in inside if _is_power(value)] or inside


def _is_power(value: float) -> bool:
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9  # noqa: PLR2004 - what rounding leaves


def _apart(places: Sequence[float]) -> list[float]:
    """Return places of labels, given from the top, moved down until none is on another."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _LABEL_ROOM) if moved else place)
    return moved


def _mark(value: float) -> str:
    return f"{value * 1e3:g} ms" if value < 1 else f"{value:g} s"


# --- timeline -------------------------------------------------------------------------------------------------------


def _some(spans: Sequence[Span]) -> list[Span]:
    if len(spans) <= _MOST_ROWS:
        return list(spans)
    return [spans[number * len(spans) // _MOST_ROWS] for number in range(_MOST_ROWS)]


def _timeline(spans: Sequence[Span], count: int, top: float) -> Iterator[str]:
    shown = f", of which {len(spans)} are shown" if len(spans) < count else ""
    yield _text(_LEFT, top - 34, f"One fan-out of {count:,} tasks by {OURS}{shown}")
    x = _LEFT
    for colour, what in ((_WAITS, "waiting"), (_STARTS, "starting"), (_COLOURS[OURS], "at work"), (_FAILS, "failed")):
        yield f'<rect x="{x:.0f}" y="{top - 23:.0f}" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 15, top - 14, what)
        x += 90
    end = max(span.ended for span in spans) or 1.0
    bottom = top + len(spans) * _ROW

    def at(moment: float) -> float:
        return _LEFT + max(0.0, moment) / end * (_RIGHT - _LEFT)

    for mark in _marks(end):
        x = at(mark)
        yield f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#eaeef2"/>'
        yield _text(x, bottom + 16, _mark(mark) if mark else "0", anchor="middle")
    for row, span in enumerate(spans):
        began = span.ended if span.began is None else span.began
        bars = (
            (0.0, span.slot, _WAITS),
            (span.slot, began, _STARTS),
            (began, span.ended, _FAILS if span.failure else _COLOURS[OURS]),
        )
        for start, stop, colour in bars:
            if stop > start:
                width = max(0.5, at(stop) - at(start))
                place = f'x="{at(start):.1f}" y="{top + row * _ROW + 1:.1f}" width="{width:.1f}"'
                yield f'<rect {place} height="{_ROW - 2:.1f}" fill="{colour}"/>'


def _marks(end: float) -> list[float]:
    """Return round moments from 0 to an end, six or so."""
    ten = 10.0 ** math.floor(math.log10(end / _MOST_MARKS))
    step = next(ten * factor for factor in (1, 2, 5, 10, 20) if ten * factor * _MOST_MARKS >= end)
    return [round(number * step, 9) for number in range(int(end / step + 1e-9) + 1)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = "#1f2328") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
    )
