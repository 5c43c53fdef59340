"""Notices: tells a model which of its tasks have ended, so that it need not ask again and again.

They stand in the instructions of each request until an answer has shown the end. What is in them is ids, names and
statuses: nothing that a task has said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..text import one_line

if TYPE_CHECKING:
    from ..tasks.news import News

__all__ = ["notice_of"]

_MOST: Final = 20
"""Tasks that one notice names."""

_LONGEST_NAME: Final = 60


def notice_of(news: News | None) -> str:
    """Return what has ended and was not shown, and who asks something; empty if there is nothing."""
    if news is None:
        return ""
    lines = [f"- {end.task_id} ({one_line(end.agent, _LONGEST_NAME)}): {end.status}" for end in news.ended]
    lines += [f"- {one.task_id} ({one_line(one.agent, _LONGEST_NAME)}): asks you something" for one in news.questions]
    left = len(lines) - _MOST + news.more
    if left > 0:
        lines[_MOST:] = [f"- and {left} more"]
    return "\n".join(["Tasks of yours have ended or ask something. View them when you need their results:", *lines])
