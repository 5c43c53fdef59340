"""Attempt: one process of a task, and what it has told.

Fields change in the supervisor's thread only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ...actors import Child
from ..models.base import Usage
from ..tasks.messages import Began, Failed, Finished, TaskReport, ToolAnswered, ToolCalled, TurnEnded

__all__ = ["Attempt", "ToolCall"]

_MOST_TOOLS: Final = 100
"""Tools that a task is shown to be in at a time."""


class ToolCall(NamedTuple):
    """A call of a tool that has not been answered.

    Attributes:
        number: its place among the calls of the attempt, from 1.
        name: of the tool.
        since: monotonic time at which it began.
        began: the same, in seconds since the epoch.
    """

    number: int
    name: str
    since: float
    began: float


@dataclass(eq=False, slots=True)
class Attempt:
    """See the module.

    Attributes:
        child: the process.
        is_over: whether the process has ended.
        tools: the tools that it is in, by the id of the call.
        calls: how many calls of tools there have been.
        has_begun: whether its loop has begun, if it has one: its tools are open.
        asks_since: since when it asks its model, in seconds since the epoch, if it is in no tool. Before its loop has
            begun, since when it opens its tools; after that has ended, since when it ends.
        open_turn: the turn whose tools are being called: the place, from 1, of its first message, and how many calls.
        spent: what the turn under way has cost, if that is known before its end.
        turns: how many it has taken.
        finished: its loop's last report.
        is_late: whether that came after a limit had been reached.
        failure: what it told of the exception that ended it.
    """

    child: Child
    is_over: bool = False
    tools: dict[str, ToolCall] = field(default_factory=dict)
    calls: int = 0
    has_begun: bool = False
    asks_since: float = field(default_factory=time.time)
    open_turn: tuple[int, int] | None = None
    spent: Usage | None = None
    turns: int = 0
    finished: Finished | None = None
    is_late: bool = False
    failure: Failed | None = None

    def hear(self, report: TaskReport, *, is_late: bool) -> ToolCall | None:
        """Take note of a report; return the call of a tool that it begins or ends.

        Args:
            report: what the process has told.
            is_late: whether the task has reached a limit. An answer after that is kept, but does not undo it.
        """
        match report:
            case ToolCalled(call_id, name, _) if call_id not in self.tools and len(self.tools) < _MOST_TOOLS:
                self.calls += 1
                self.tools[call_id] = ToolCall(self.calls, name, time.monotonic(), time.time())
                return self.tools[call_id]
            case ToolAnswered(call_id):
                self.asks_since = time.time()
                return self.tools.pop(call_id, None)
            case Began():
                self.has_begun, self.asks_since = True, time.time()
            case TurnEnded(usage):
                self.turns += usage.requests > 0
                self.asks_since = time.time()
            case Finished() if self.finished is None:
                self.finished, self.asks_since = report, time.time()
                self.is_late = is_late
            case Failed() if self.failure is None:
                self.failure, self.asks_since = report, time.time()
            case _:
                pass
        return None
