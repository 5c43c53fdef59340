"""Told: what a loop that is not ours has been told of its tasks, so that it is told of each end, and question, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from ..tasks.news import News, with_asked
from ..tasks.notice_wording import describe_news
from .base import ToolAnswer

__all__ = ["Told"]

_MOST: Final = 100_000
"""Ends that are remembered; those before were told long ago."""


class Told:
    """See the module. May be used from any thread.

    Args:
        acknowledge: tells the supervisor of whose ends the loop has been told.
        note_asked: tells the tools of which questions it has been told: those end no wait of it.
    """

    def __init__(
        self, acknowledge: Callable[[Sequence[str]], object], note_asked: Callable[[Sequence[str]], object]
    ) -> None:
        self._acknowledge = acknowledge
        self._note_asked = note_asked
        self._lock = threading.Lock()
        self._ended: dict[str, None] = {}
        self._asked: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """The ids of the questions that it has been told of."""
        return self._asked

    def answered(self, answer: ToolAnswer) -> ToolAnswer:
        """Take note that the loop has an answer of a tool, and return that."""
        if answer.told:
            with self._lock:
                self._take(answer.told)
            self._acknowledge(answer.told)
        return answer

    def notice(self, news: News | None) -> str:
        """Return what of some news the loop has not been told of, which counts as told now; empty if nothing."""
        if news is None:
            return ""
        with self._lock:
            shown = [notice for notice in news.ended if notice.task_id not in self._ended]
            questions = [question for question in news.questions if question.id not in self._asked]
            self._asked = with_asked(self._asked, news)
            self._take([notice.task_id for notice in shown])
        self._acknowledge([notice.task_id for notice in news.ended])
        self._note_asked([question.id for question in news.questions])
        if not shown and not questions:
            return ""
        return describe_news(News(news.ended, news.more, news.running, questions), shown=shown)

    def _take(self, task_ids: Sequence[str]) -> None:
        """Remember ends. With the lock."""
        self._ended.update(dict.fromkeys(task_ids))
        while len(self._ended) > _MOST:
            del self._ended[next(iter(self._ended))]
