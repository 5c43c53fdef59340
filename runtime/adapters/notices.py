"""Notices: tells a model which of its tasks have ended, so that it need not ask again and again.

They stand in the instructions of each request until an answer has shown the end. What is in them is ids, names and
statuses: nothing that a task has said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from ..tasks.views import TERMINAL
from ..text import one_line

if TYPE_CHECKING:
    from ..models.base import ToolSchema
    from ..toolsets.base import ToolAnswer
    from .base import Tools

__all__ = ["NoticingTools", "noticing"]

_LIST: Final = "list_background_agents"

_MOST: Final = 20
"""Tasks that one notice names."""

_LONGEST_NAME: Final = 60


class NoticingTools:
    """Tools that remember which ends of tasks their answers have shown. May be used in any thread.

    Args:
        tools: the tools.
        shown: ids of the tasks whose end was shown.
    """

    def __init__(self, tools: Tools, shown: set[str]) -> None:
        self._tools = tools
        self._shown = shown
        self._can_list = any(schema["function"]["name"] == _LIST for schema in tools.schemas)

    @property
    def schemas(self) -> Sequence[ToolSchema]:
        """See `Tools`."""
        return self._tools.schemas

    @property
    def instructions(self) -> str:
        """See `Tools`."""
        return self._tools.instructions

    def call(self, name: str, arguments: str, /) -> ToolAnswer:
        """See `Tools`."""
        return self._noted(self._tools.call(name, arguments))

    async def acall(self, name: str, arguments: str, /) -> ToolAnswer:
        """See `Tools`."""
        return self._noted(await self._tools.acall(name, arguments))

    def notice(self) -> str:
        """Return what has ended and was not shown; empty if nothing has, or no tool can list it."""
        return self._notice(self._tools.call(_LIST, "{}")) if self._can_list else ""

    async def anotice(self) -> str:
        """The same, awaited."""
        return self._notice(await self._tools.acall(_LIST, "{}")) if self._can_list else ""

    def _noted(self, answer: ToolAnswer) -> ToolAnswer:
        self._shown.update(str(task["id"]) for task in _ended(answer))
        return answer

    def _notice(self, answer: ToolAnswer) -> str:
        news = [task for task in _ended(answer) if task["id"] not in self._shown]
        if not news:
            return ""
        lines = [f"- {task['id']} ({one_line(task['agent'], _LONGEST_NAME)}): {task['status']}" for task in news]
        if len(lines) > _MOST:
            lines[_MOST:] = [f"- and {len(lines) - _MOST} more"]
        return "\n".join(["Tasks of yours have ended. View them when you need their results:", *lines])


def noticing(tools: Tools) -> NoticingTools:
    """Return the tools with what they remember, which is one for each toolset."""
    return NoticingTools(tools, _shown.setdefault(tools, set()))


_shown: Final[WeakKeyDictionary[Tools, set[str]]] = WeakKeyDictionary()


def _ended(answer: ToolAnswer) -> list[Mapping[str, Any]]:
    """Return the ended tasks in an answer's data: a view's, or those of a list."""
    data = answer.data
    tasks = data.get("tasks", [data]) if isinstance(data, dict) else []
    return [
        task
        for task in tasks
        if isinstance(task, dict) and {"id", "agent"} <= task.keys() and task.get("status") in TERMINAL
    ]
