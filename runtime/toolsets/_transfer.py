"""The `transfer_task` toolset: one task for a sub-agent, and its answer as the tool's answer.

The same thing as a background task, in a process of its own, but the caller waits. A call that is cancelled stops the
task that it waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from .._gateway import Gateway
from .._messages import StopTask, WaitTasks
from .._report import describe_view, result_text
from .._tools import Tool, ToolAnswer, Toolset
from ._background import RunParameters, ask, errors_as_answers, run_request

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
        """The one tool."""
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
        started = await ask(self._gateway, run_request(parameters))
        try:
            ended = await ask(self._gateway, WaitTasks([started.task_id]))
        except asyncio.CancelledError:
            # Nobody is left to use the answer. Not awaited: the one who cancels has a bound of its own.
            self._gateway.ask(StopTask(started.task_id))
            raise
        view = ended.tasks[0]
        if view.status == "completed":
            return ToolAnswer(result_text(view.result) or "(nothing)", msgspec.to_builtins(view))
        return ToolAnswer(describe_view(view, self._limit), msgspec.to_builtins(view), is_error=True)
