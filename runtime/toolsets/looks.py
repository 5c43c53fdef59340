"""Looks: holds a model's looks at its tasks back while there is nothing new to be seen.

A model that polls makes a turn, and pays for it, for each look. So a look that would show nothing that the model does
not know waits until there is news: an end, output, a question, or a word to the caller. It waits no longer than a
bound, which doubles with each look in vain. News ends the wait and leaves the bound: whoever polls on is held for as
long again.

One piece of news lets go of one look. What a notice has told, or another look has shown, is no news for the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from ..tasks.gateway import Gateway
from ..tasks.messages import ListTasks
from ..tasks.news import News
from ..tasks.views import TaskList, TaskView
from .asking import ask
from .letters import Letters

__all__ = ["Looks"]

_FIRST: Final = 1.0
"""Seconds that the first look in vain is held."""

_STEP: Final = 0.1
"""Seconds between two questions to the supervisor meanwhile."""

_MOST_LOOKS: Final = 1000
"""Different looks that are remembered."""

_Fact: TypeAlias = tuple[Literal["started", "said", "ended", "asked"], str]
"""What can be news, with the id of the task; of what is asked, with the question's."""

_Facts: TypeAlias = dict[_Fact, int]
"""How much there is of each: the bytes that a task has said."""


class Looks:
    """The looks of one caller; used in its event loop.

    Args:
        gateway: the caller's way to the supervisor.
        most: seconds that a look is held at most; 0: none is.
        letters: what is said to the caller's task; None: it has none.
        notify: whether the caller is told of ends between two turns, so that each end lets go of any look.
    """

    def __init__(self, gateway: Gateway, *, most: float, letters: Letters | None = None, notify: bool = True) -> None:
        self._gateway = gateway
        self._letters = letters
        self._most = most
        self._notify = notify
        self._hold = _FIRST
        self._known: _Facts = {}
        self._shown: dict[tuple[str, ...], _Facts] = {}

    async def list(self) -> TaskList:
        """Return the caller's tasks, as soon as there is news of them."""
        return await self.hold("list")

    async def hold(self, to: Literal["list", "view", "wait"], of: Sequence[str] = (), *, less: float = 0.0) -> TaskList:
        """Return the caller's tasks, as soon as there is news, or at once if it has not looked at this before.

        Args:
            to: what the look is.
            of: ids of the tasks that it is of; none: all.
            less: seconds for which it is to wait in any case.
        """
        tasks = await ask(self._gateway, ListTasks())
        if not self._most:
            return tasks
        what = (to, *of)
        if self._is_in_vain(tasks, what):
            until = time.monotonic() + min(self._hold, self._most) - less
            self._hold = min(self._hold * 2, self._most)
            while self._is_in_vain(tasks, what) and (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(_STEP, left))
                tasks = await ask(self._gateway, ListTasks())
        facts = _facts(tasks.tasks)
        self._shown.pop(what, None)
        while len(self._shown) >= _MOST_LOOKS:
            del self._shown[next(iter(self._shown))]
        self._shown[what] = {fact: amount for fact, amount in facts.items() if fact[1] in of}
        # What a list shows, and what has let go of the look is told with it. What is forgotten is forgotten here.
        self._known = {
            fact: amount
            for fact, amount in facts.items()
            if not of or fact[0] == "asked" or (fact[0] == "ended" and self._notify) or self._known.get(fact) == amount
        }
        return tasks

    def showed(self, views: Iterable[TaskView], to: Literal["view", "wait", "stop"], of: Sequence[str] = ()) -> None:
        """An answer shows the caller these tasks as they are now.

        Args:
            views: the tasks.
            to: what it answers.
            of: as in the `hold` that it was held by, if it was.
        """
        facts = _facts(views)
        self._known |= facts
        if (to, *of) in self._shown:
            self._shown[to, *of] |= facts

    def told(self, news: News) -> None:
        """The caller is told of ends, and of what it is asked."""
        self._known |= {("ended", notice.task_id): 1 for notice in news.ended}
        self._known |= {("asked", question.id): 1 for question in news.questions}

    def _is_in_vain(self, tasks: TaskList, what: tuple[str, ...]) -> bool:
        if self._letters is not None and not self._letters.is_empty:
            return False  # it is told with this turn
        # Where nothing runs, nothing new can come: then whoever looks is answered at once, and told elsewhere.
        if what not in self._shown or all(view.ended for view in tasks.tasks):
            return False
        return not any(self._is_news(fact, amount, what) for fact, amount in _facts(tasks.tasks).items())

    def _is_news(self, fact: _Fact, amount: int, what: tuple[str, ...]) -> bool:
        kind, of = fact
        to, *ids = what
        if of in ids:  # of which it shows more than whatever else has told of it
            return self._shown[what].get(fact) != amount and (kind == "ended" or (kind == "said" and to == "view"))
        if self._known.get(fact) == amount:
            return False
        return not ids or kind == "asked" or (kind == "ended" and self._notify)


def _facts(views: Iterable[TaskView]) -> _Facts:
    views = list(views)
    ids = {view.id for view in views}
    facts: _Facts = {}
    for view in views:
        facts["said", view.id] = view.output_size
        facts |= {("asked", question.id): 1 for question in view.questions}
        if view.ended:
            facts["ended", view.id] = 1
        if view.parent not in ids:  # by the caller itself, which may want to see it at once
            facts["started", view.id] = 1
    return facts
