"""SVG: a timeline as one picture, without scripts and without anything from elsewhere.

Colours are never alone: the legend has words, ends have signs, and each part says what it is where it is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from ..text import duration
from .lanes import clusters, in_lanes
from .reading import Part, Row, Timeline
from .words import about_part, about_row, about_timeline, harmless, name_of, nice_step

__all__ = ["svg"]

_WIDTH: Final = 1200
_LEFT: Final = 250
_RIGHT: Final = 1090
"""Where the time begins and ends; names are left of it, and how long each task took is right of it."""

_HEAD: Final = 50
"""Height of title and summary."""

_TOP: Final = 42
"""Height of the legend and the names of the times, below the head."""

_ROW: Final = 22
_SMALL_ROW: Final = 12
_MANY: Final = 200
"""Rows from which on they are small."""

_MOST_ROWS: Final = 1_000
"""Rows that are drawn; of more as many, evenly chosen."""

_MOST_LANES: Final = 4
_MARKS: Final = 9
_INDENT: Final = 12
_DEEPEST: Final = 6

_WAITING: Final = frozenset({"wait_background_agents", "transfer_task"})
"""Tools that do nothing but wait."""

_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .small text { font-size: 9px } .title { font-size: 16px }
.quiet { fill: #59636e } .ground { fill: #ffffff } .grid { stroke: #d8dee4 }
.queued { fill: #d0d7de } .starting { fill: #e3b341 } .running { fill: #b6d9fc } .waiting { fill: #fb8f44 }
.pause { fill: #eaeef2 } .turn { fill: #0969da } .tool { fill: #1a7f37 } .failing { fill: #cf222e }
.sign { stroke: #cf222e; stroke-width: 2; fill: none } .stop { fill: #1f2328 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .ground { fill: #0d1117 } .grid { stroke: #30363d }
.queued { fill: #3d444d } .starting { fill: #9e6a03 } .running { fill: #1c3a5e } .waiting { fill: #bd561d }
.pause { fill: #21262d } .turn { fill: #4493f8 } .tool { fill: #3fb950 } .failing { fill: #f85149 }
.sign { stroke: #f85149 } .stop { fill: #f0f6fc }
}
"""

_LEGEND: Final = (
    ("queued", "queued"),
    ("starting", "starting"),
    ("running", "process"),
    ("turn", "turn of a model"),
    ("tool", "tool"),
    ("waiting", "waits for tasks, or an answer"),
    ("pause", "pause before another attempt"),
    ("failing", "failed"),
)


def svg(timeline: Timeline, *, has_head: bool = True) -> str:
    """Return the text of an SVG file; `has_head`: with its title and a summary on top."""
    rows = _some(timeline.rows)
    is_small = len(rows) > _MANY
    row_height = _SMALL_ROW if is_small else _ROW
    top = _HEAD * has_head + _TOP
    height = top + len(rows) * row_height + 16
    left_out = f"; {len(rows):,} of them are shown" if len(rows) < len(timeline.rows) else ""
    head = escape(f"{about_timeline(timeline)}{left_out}")
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title about">',
        f"<style>{_STYLE}</style>",
        f'<title id="title">Timeline of {escape(harmless(timeline.title))}</title><desc id="about">{head}</desc>',
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        *(_head(timeline, head) if has_head else ()),
        *_legend(top - _TOP),
        *_grid(timeline.seconds, top, height),
        f'<g class="{"small" if is_small else "rows"}">',
        *(
            line
            for number, row in enumerate(rows)
            for line in _row(row, timeline.seconds, top + number * row_height, row_height)
        ),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _some(rows: list[Row]) -> list[Row]:
    if len(rows) <= _MOST_ROWS:
        return rows
    return [rows[number * len(rows) // _MOST_ROWS] for number in range(_MOST_ROWS)]


def _head(timeline: Timeline, about: str) -> Iterator[str]:
    yield f'<text class="title" x="12" y="26">{escape(harmless(timeline.title))}</text>'
    yield f'<text class="quiet" x="12" y="46">{about}</text>'


def _legend(top: int) -> Iterator[str]:
    x = 12.0
    for kind, what in _LEGEND:
        yield f'<rect class="{kind}" x="{x:.0f}" y="{top + 8}" width="10" height="10" rx="2"/>'
        yield f'<text class="quiet" x="{x + 15:.0f}" y="{top + 17}">{what}</text>'
        x += 36 + 6.6 * len(what)
    yield _cross(x + 5, top + 13, 4)
    yield f'<text class="quiet" x="{x + 15:.0f}" y="{top + 17}">attempt failed</text>'
    yield f'<rect class="stop" x="{x + 118:.0f}" y="{top + 9}" width="8" height="8"/>'
    yield f'<text class="quiet" x="{x + 132:.0f}" y="{top + 17}">stopped</text>'


def _grid(seconds: float, top: int, height: int) -> Iterator[str]:
    step = nice_step(seconds, _MARKS)
    number = 0
    while number * step <= seconds:
        x = _at(number * step, seconds)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{height - 12}"/>'
        yield f'<text class="quiet" x="{x:.1f}" y="{top - 8}" text-anchor="middle">{_mark(number * step)}</text>'
        number += 1


def _mark(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _at(moment: float, seconds: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * moment / seconds


def _row(row: Row, seconds: float, top: int, height: int) -> Iterator[str]:
    middle = top + height / 2
    indent = 12 + _INDENT * min(row.depth, _DEEPEST)
    yield f"<g><title>{escape(about_row(row))}</title>"
    room = int((_LEFT - indent - 10) / 6.4)
    yield f'<text x="{indent}" y="{middle + 4:.1f}">{escape(_cut(name_of(row), room))}</text>'
    for part in row.parts:
        if part.kind not in {"turn", "tool"}:
            yield _bar(part, seconds, top + 2, height - 4)
    yield from (_bar(part, seconds, top + 4, height - 8) for part in row.parts if part.kind == "turn")
    for together in clusters(part for part in row.parts if part.kind == "tool"):
        placed = in_lanes(together, _MOST_LANES)
        lanes = max(lane for lane, _ in placed) + 1
        thick = (height - 8) / lanes
        for lane, part in placed:
            yield _bar(part, seconds, top + 4 + lane * thick, max(thick - (lanes > 1), 1.0))
    for at, reason in row.crashes:
        said = f"<title>{escape(harmless(reason))}</title>" if reason else ""
        yield f"<g>{said}{_cross(_at(at, seconds), middle, min(5.0, height / 3))}</g>"
    end = _at(row.ended, seconds)
    if row.view.status == "stopped":
        yield f'<rect class="stop" x="{end - 3:.1f}" y="{middle - 3:.1f}" width="6" height="6"/>'
    took = duration(row.ended - row.began)
    yield f'<text class="quiet" x="{_RIGHT + 12}" y="{middle + 4:.1f}">{_sign(row)} {took}</text></g>'


def _sign(row: Row) -> str:
    return {"completed": "✓", "failed": "✗", "stopped": "■"}.get(row.view.status, "…")


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _bar(part: Part, seconds: float, top: float, height: float) -> str:
    x = _at(part.began, seconds)
    width = max(_at(part.ended, seconds) - x, 0.6)
    kind = "failing" if part.error else "waiting" if part.name in _WAITING else part.kind
    place = f'x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{escape(about_part(part))}</title></rect>'


def _cross(x: float, y: float, size: float) -> str:
    left, right, top, bottom = (f"{place:.1f}" for place in (x - size, x + size, y - size, y + size))
    return f'<path class="sign" d="M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"/>'
