"""Notices: tells a client with a session of the ends of its tasks, as log messages: the protocol has nothing closer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, get_args
from weakref import WeakKeyDictionary

from mcp_types import LoggingLevel, LoggingMessageNotification, LoggingMessageNotificationParams

from ..errors import SubactorsError
from ..tasks.messages import WaitTasks
from ..tasks.views import TaskView
from ..text import one_line
from ..toolsets.asking import ask

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Notices"]

logger = logging.getLogger("subactors.runtime")

_LEVELS: Final[tuple[LoggingLevel, ...]] = get_args(LoggingLevel)
"""The least important first."""

_SHOWN: Final = 1000
"""Characters of output that are asked for; a notice shows none of it."""

_LONGEST_TASK: Final = 200
_LONGEST_REASON: Final = 1000


class Notices:
    """See the module. Used in the event loop of the server.

    Attributes:
        waiting: what awaits the ends.
    """

    def __init__(self) -> None:
        self.waiting: set[asyncio.Task[None]] = set()
        self._levels: WeakKeyDictionary[Client, LoggingLevel] = WeakKeyDictionary()

    def set_level(self, client: Client, level: LoggingLevel) -> None:
        """Have a client told only of what is as important as that, or more."""
        self._levels[client] = level

    def await_end(self, client: Client, task_id: str) -> None:
        """Tell a client of the end of a task, if it has a session."""
        if client.reach.session is None:
            return
        waiting = asyncio.create_task(self._tell(client, task_id))
        self.waiting.add(waiting)
        waiting.add_done_callback(self.waiting.discard)

    async def _tell(self, client: Client, task_id: str) -> None:
        try:
            ended = await ask(client.gateway, WaitTasks([task_id], limit=_SHOWN, peek=True, known_only=True))
        except SubactorsError:
            return  # the host ends
        for view in ended.tasks:
            level: LoggingLevel = "error" if view.status == "failed" else "info"
            least = self._levels.get(client, _LEVELS[0])
            if _LEVELS.index(level) < _LEVELS.index(least):
                return
            way = await client.reach.way()
            if way is None:
                return
            message = LoggingMessageNotificationParams(level=level, logger="subactors", data=_data(view))
            try:
                await way.session.send_notification(LoggingMessageNotification(params=message), way.call)
            except Exception as error:  # noqa: BLE001 - whatever the other end does
                logger.debug("An MCP client could not be told of the end of %s: %s", task_id, error)


def _data(view: TaskView) -> dict[str, Any]:
    return {
        "message": f"{view.agent} ({view.id}): {view.status}.",
        "task_id": view.id,
        "agent": view.agent,
        "task": one_line(view.task, _LONGEST_TASK),
        "status": view.status,
        "reason": view.reason[:_LONGEST_REASON],
        "runtime": view.runtime,
    }
