"""Words: how the demonstration's agents write counts, sizes, names and tables. Text in, Markdown out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from ..tasks.wording import size

__all__ = ["code", "count", "listed", "named", "number", "one_cell", "paragraphs", "size", "table", "unmarked"]

_MARKS: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])|[*`\\<\[\]&~]")
"""What Markdown takes for a mark within a line; it leaves the `_` of `wall_clock` alone."""


def count(number: int, singular: str, plural: str = "") -> str:
    """Return `1 file`, `1,234 files`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def number(text: str) -> int:
    """Return the number that `count` wrote."""
    return int(text.replace(",", ""))


def listed(items: Sequence[str], most: int) -> str:
    """Return the items with commas between them, and how many more there are beyond the first `most`."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most:,} more" if len(items) > most else shown


def named(items: Sequence[str], most: int) -> str:
    """Return what `listed` does, for names from elsewhere, such as those of files."""
    return listed([code(item, 100) for item in items], most)


def code(text: str, limit: int) -> str:
    """Return a name or a quotation as code on one line, bounded: `__init__` is bold where it is none."""
    flat = one_cell(text, limit)
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    space = " " if flat[:1] == "`" or flat[-1:] == "`" else ""
    return f"{fence}{space}{flat}{space}{fence}" if flat else ""


def unmarked(text: str, limit: int) -> str:
    """Return a sentence from elsewhere on one line, bounded, with nothing in it that Markdown takes for a mark."""
    return _MARKS.sub(r"\\\g<0>", one_cell(text, limit))


def one_cell(text: str, limit: int) -> str:
    """Return text on one line, bounded, without what would end a cell of a table."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split()).replace("|", "¦")
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def paragraphs(*parts: str) -> str:
    """Return the parts that are not empty, with a blank line between them."""
    return "\n\n".join(filter(None, parts))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a Markdown table whose columns are aligned in plain text, too.

    Args:
        titles: of the columns.
        rows: of cells.
        numbers: the columns that are aligned at the right.
    """
    widths = [max([3, *(_width(row[column]) for row in [titles, *rows])]) for column in range(len(titles))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for column, text in enumerate(cells):
            space = " " * (widths[column] - _width(text))
            padded.append(space + text if column in numbers else text + space)
        return f"| {' | '.join(padded)} |"

    rules = [f"{'-' * (width + 1)}{':' if column in numbers else '-'}" for column, width in enumerate(widths)]
    return "\n".join([line(titles), f"|{'|'.join(rules)}|", *map(line, rows)])


def _width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
