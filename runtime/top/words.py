"""Words: how numbers, times and statuses are shown; the same as on the dashboard's page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from ..models.base import Usage
from ..tasks.views import ID_PREFIX
from ..terminal.control_sequences import clean
from ..text import one_line

__all__ = [
    "MARKS",
    "amount",
    "clock",
    "date",
    "dollars",
    "memory",
    "moment",
    "plural",
    "short_id",
    "span",
    "tokens_of",
    "words",
]

MARKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "queued": "◌",
        "starting": "◔",
        "running": "●",
        "waiting": "?",
        "stopping": "◑",
        "restarting": "↻",
        "completed": "✓",
        "failed": "✗",
        "stopped": "■",
    }
)
"""Signs of statuses: colour is never all that tells."""

_LONGEST: Final = 300
"""Characters of a text in a row; a screen has hardly more cells."""


def span(seconds: float) -> str:
    """Return a duration: `48s`, `2:09`, `1:02:09`."""
    whole = max(0, int(seconds))
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def amount(number: float) -> str:
    """Return a number of tokens, or of anything: `900`, `1.4k`, `14k`, `2.9M`."""
    for unit, size in (("", 1), ("k", 1000), ("M", 1_000_000)):
        if number < size * 1000 or unit == "M":
            scaled = number / size
            return f"{scaled:.1f}{unit}" if unit and scaled < 10 else f"{scaled:.0f}{unit}"  # noqa: PLR2004 - one digit
    raise AssertionError


def memory(count: float) -> str:
    """Return a number of bytes: `640 kB`, `9.5 MB`, `64 MB`, `1.2 GB`."""
    if count < 1_000_000:  # noqa: PLR2004 - a megabyte
        return f"{count / 1e3:.0f} kB"
    if count < 1_000_000_000:  # noqa: PLR2004 - a gigabyte
        return f"{count / 1e6:.{int(count < 1e7)}f} MB"  # noqa: PLR2004 - one digit before the point
    return f"{count / 1e9:.1f} GB"


def dollars(number: float) -> str:
    """Return a cost; empty if there is none."""
    return "" if not number else "<$0.01" if number < 0.01 else f"${number:,.2f}"  # noqa: PLR2004 - a cent


def tokens_of(usage: Usage) -> int:
    """Return input and output tokens together."""
    return usage.input_tokens + usage.output_tokens


def short_id(task_id: str) -> str:
    """Return what differs in an id."""
    return task_id.removeprefix(ID_PREFIX)


def plural(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@functools.lru_cache(maxsize=20_000)
def moment(iso: str | None) -> float | None:
    """Return a time, as views have it, in seconds since the epoch; None if there is none, or it is no time."""
    try:
        return datetime.fromisoformat(iso).timestamp() if iso else None
    except (ValueError, OverflowError):
        return None


def date(iso: str | None) -> str:
    """Return the date and the time here: `2026-01-31 12:00:00`."""
    at = moment(iso)
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}" if at is not None else ""


def clock(iso: str | None) -> str:
    """Return a time of the day here, with the date if that is not today."""
    at = moment(iso)
    if at is None:
        return ""
    local = datetime.fromtimestamp(at).astimezone()
    return f"{local:%H:%M:%S}" if local.date() == datetime.now().astimezone().date() else date(iso)


def words(text: str, limit: int = _LONGEST) -> str:
    """Return text that anybody may have made as one line, without what would command a terminal or deceive."""
    return one_line(clean(text[: limit * 4]), limit)
