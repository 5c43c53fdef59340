"""Looks: holds a model's looks at its tasks back while there is nothing new to be seen.

A model that polls makes a turn, and pays for it, for each look. So a look that would show what the one before has shown
waits until there is news: an end, output, a question, or a word to the caller. It waits no longer than a bound that
doubles with each look in vain. News ends the wait and leaves the bound: whoever polls on is held for as long again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, TypeAlias

from ..tasks.gateway import Gateway
from ..tasks.messages import ListTasks
from ..tasks.views import TaskList
from .asking import ask
from .letters import Letters

__all__ = ["Looks"]

_FIRST: Final = 1.0
"""Seconds that the first look in vain is held."""

_STEP: Final = 0.1
"""Seconds between two questions to the supervisor meanwhile."""

_State: TypeAlias = tuple[tuple[str, str, int, tuple[str, ...]], ...]


class Looks:
    """The looks of one caller; used in its event loop.

    Args:
        gateway: the caller's way to the supervisor.
        most: seconds that a look is held at most; 0: none is.
        letters: what is said to the caller's task; None: it has none.
    """

    def __init__(self, gateway: Gateway, *, most: float, letters: Letters | None = None) -> None:
        self._gateway = gateway
        self._letters = letters
        self._most = most
        self._hold = _FIRST
        self._state: _State | None = None
        self._seen: set[str] = set()

    def have_news(self) -> None:
        """The caller has been told something: its next look is no look in vain."""
        self._state = None

    async def list(self) -> TaskList:
        """Return the caller's tasks, as soon as there is news of them."""
        return await self.hold("")

    async def hold(self, what: str, less: float = 0.0) -> TaskList:
        """Return the caller's tasks, as soon as there is news, or at once if it has not looked at this since the last.

        Args:
            what: id of the task that it wants to see; empty: all.
            less: seconds for which it is to wait in any case.
        """
        tasks = await ask(self._gateway, ListTasks())
        if not self._most:
            return tasks
        if self._is_in_vain(tasks, what):
            until = time.monotonic() + min(self._hold, self._most) - less
            self._hold = min(self._hold * 2, self._most)
            while self._is_in_vain(tasks, what) and (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(_STEP, left))
                tasks = await ask(self._gateway, ListTasks())
        state = _state(tasks)
        if state != self._state:
            self._state = state
            self._seen.clear()
        self._seen.add(what)
        return tasks

    def _is_in_vain(self, tasks: TaskList, what: str) -> bool:
        if self._letters is not None and not self._letters.is_empty:
            return False  # it is told with this turn
        # Where nothing runs, nothing new can come: then whoever looks is answered at once, and told elsewhere.
        return what in self._seen and _state(tasks) == self._state and any(not view.ended for view in tasks.tasks)


def _state(tasks: TaskList) -> _State:
    asked = ((view, tuple(question.id for question in view.questions)) for view in tasks.tasks)
    return tuple((view.id, view.status, view.output_size, questions) for view, questions in asked)
