"""Words: what pictures of a timeline say in text."""

from __future__ import annotations

from typing import Final

from ..models.base import Usage
from ..tasks.views import ID_PREFIX
from ..tasks.wording import usage_text
from ..text import duration, encodable, one_line
from .reading import Part, Row, Timeline

__all__ = ["about_part", "about_row", "about_timeline", "harmless", "name_of", "nice_step"]

_LONGEST: Final = 300
"""Characters of a reason, or of a task's text."""

_TITLES: Final = {
    "queued": "queued",
    "starting": "starting",
    "running": "process",
    "waiting": "waits for an answer",
    "pause": "pause before another attempt",
    "turn": "turn of",
    "tool": "tool",
}


def harmless(text: str, limit: int = _LONGEST) -> str:
    """Return a text on one line, without what is not seen: control characters, and marks that turn a line round."""
    line = one_line(encodable(text), limit)
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def name_of(row: Row) -> str:
    """Return the agent of a task, and by which part of the task's id people name it."""
    return f"{harmless(row.view.agent, 60)} {harmless(row.view.id.removeprefix(ID_PREFIX), 20)}"


def about_row(row: Row) -> str:
    """Return how a task ended, and what it has used."""
    view = row.view
    attempts = f", {view.attempts} attempts" if view.attempts > 1 else ""
    used = f", {usage_text(view.usage)}" if _is_some(view.usage) else ""
    reason = f": {harmless(view.reason)}" if view.reason else ""
    return f"{name_of(row)}, {view.status} after {duration(row.ended - row.began)}{attempts}{used}{reason}"


def about_part(part: Part) -> str:
    """Return what a task did for how long."""
    what = f"{_TITLES[part.kind]} {harmless(part.name, 100)}".strip()
    tokens = f", {part.tokens[0]:,} tokens in, {part.tokens[1]:,} out" if any(part.tokens) else ""
    error = f", {harmless(part.error, 100)}" if part.error else ""
    return f"{what}, {duration(part.seconds)}{tokens}{error}"


def about_timeline(timeline: Timeline) -> str:
    """Return of how many tasks it is, how they ended, how long it is, and what they have used."""
    rows = timeline.rows
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.view.status] = counts.get(row.view.status, 0) + 1
    ends = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    used = sum((row.view.usage for row in rows), Usage())
    tokens = f"; {usage_text(used)}" if _is_some(used) else ""
    tasks = "1 task" if len(rows) == 1 else f"{len(rows):,} tasks"
    return f"{tasks} in {duration(timeline.seconds)}: {ends}{tokens}"


def _is_some(usage: Usage) -> bool:
    return bool(usage.input_tokens or usage.output_tokens or usage.cost)


def nice_step(seconds: float, most: int) -> float:
    """Return a round number of seconds, of which at most so many fit into a time."""
    small = [factor * power for power in (0.001, 0.01, 0.1) for factor in (1, 2, 5)]
    days = [86400 << power for power in range(20)]
    steps = (*small, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, *days)
    return next((float(step) for step in steps if seconds / step <= most), seconds)
