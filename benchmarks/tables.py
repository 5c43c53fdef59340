"""Tables and numbers of the pages that are made of figures."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["count", "milliseconds", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def count(value: float) -> str:
    """Return a number, with a fraction where that matters."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004 - below that a fraction matters


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds, without the unit."""
    return f"{seconds * 1000:,.1f}" if seconds < 1 else f"{seconds * 1000:,.0f}"
