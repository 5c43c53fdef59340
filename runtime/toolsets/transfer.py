"""Transfer: the `transfer_task` toolset. One task for a sub-agent, and its answer as the tool's answer.

The task is a background task, in a process of its own, but the caller waits. Cancelling the call stops the task, unless
a program has only given up waiting for it (`tasks/given_up`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

from ..tasks.gateway import Gateway
from ..tasks.given_up import given_up
from ..tasks.messages import StopTasks, TaskAccepted, ViewTask, WaitTasks
from ..tasks.wording import describe_view, result_text
from .asking import ask, errors_as_answers
from .background import BYTES_FOR_A_CHARACTER, run_request
from .base import Tool, ToolAnswer, Toolset
from .run_parameters import RunParameters

__all__ = ["TransferTaskToolset"]


class TransferTaskToolset(Toolset):
    """The one tool, `transfer_task`, of one caller.

    Args:
        gateway: the caller's way to the supervisor.
        limit: characters of one answer.
    """

    def __init__(self, gateway: Gateway, *, limit: int) -> None:
        self._gateway = gateway
        self._limit = limit

    @property
    def tools(self) -> Sequence[Tool]:
        return (
            Tool(
                name="transfer_task",
                description="Give one of your sub-agents a task, wait until it is done, and get its answer.",
                parameters=RunParameters,
                handler=self._transfer,
            ),
        )

    @errors_as_answers
    async def _transfer(self, parameters: RunParameters) -> ToolAnswer:
        starting = self._gateway.ask(run_request(parameters))
        try:
            # Shielded: a call that is cancelled while the task starts must still learn which task to stop.
            started = await asyncio.shield(asyncio.wrap_future(starting))
            # Read only once the answer is certain to be used.
            await ask(self._gateway, WaitTasks([started.task_id], limit=0, peek=True))
        except asyncio.CancelledError:
            if not given_up.get().is_set():
                # Nobody is left to use the answer. Not awaited: the one who cancels has a bound of its own.
                starting.add_done_callback(self._stop_started)
            raise
        view = await ask(self._gateway, ViewTask(started.task_id, limit=self._limit * BYTES_FOR_A_CHARACTER))
        if view.status == "completed":
            return ToolAnswer(result_text(view) or "(nothing)", view.as_data())
        return ToolAnswer(describe_view(view, self._limit), view.as_data(), is_error=True)

    def _stop_started(self, starting: Future[TaskAccepted]) -> None:
        if not starting.cancelled() and starting.exception() is None:
            self._gateway.ask(StopTasks([starting.result().task_id]))
