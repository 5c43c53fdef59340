"""Host of the command line: a runtime for one root or one batch of tasks, with waits that a signal can end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal

from ...actors.interrupts import result_of
from ..runtime import Runtime
from ..tasks.gateway import Caller, HostGateway
from ..tasks.messages import RunTask, StopTask, WaitTasks
from ..tasks.views import TaskList
from ..text import encodable

__all__ = ["CommandRuntime"]


class CommandRuntime(Runtime):
    """A runtime that may well have one task only, and that starts the roots of runs."""

    _for_many = False

    def run_root(self, agent: str, prompt: str) -> str:
        """Start the task of an agent that a person speaks to, and return its id at once; raises as `run` does.

        The agent finds the prompt as the user's message. The task is one like any other, but takes up none of the room
        that `max_running` and `max_tasks` give.
        """
        gateway = HostGateway(self._supervisor, Caller(is_person=True))
        return self._ask(RunTask(agent, encodable(prompt)), gateway).task_id

    def stop_all(self, by: str) -> None:
        """Stop all tasks at the same time, and wait until they are gone; `by` is who asks, for their reasons."""
        gateway = HostGateway(self._supervisor, Caller(title=by))
        for stopping in [gateway.ask(StopTask(view.id, limit=1)) for view in self.list() if not view.ended]:
            result_of(stopping)

    def ended(self, task_ids: Sequence[str], mode: Literal["all", "any"] = "all") -> Future[TaskList]:
        """Return at once; the future holds what `wait` returns, and counts the same as having read it."""
        self._check_usable()
        return self._host.ask(WaitTasks(list(task_ids), mode))
