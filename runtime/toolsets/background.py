"""Background agents: the `background_agents` toolset, a model's view of the supervisor.

It sends typed messages and puts the replies into words. It holds no state: the supervisor knows which tasks there are,
and whose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from ..errors import SubactorsError
from ..tasks.gateway import Gateway
from ..tasks.messages import AS_USUAL, ListTasks, RunOptions, RunTask, StopTasks, ViewTask
from ..tasks.wording import budget_text, describe_list, describe_stop, describe_view
from ..text import encodable
from .asking import ask, errors_as_answers
from .base import NoParameters, Tool, ToolAnswer, ToolParameters, Toolset
from .fan_out import FAN_OUT_INSTRUCTION, map_tool
from .run_parameters import RunParameters, options_of, run_parameters
from .talking import answer_tool, steer_tool

__all__ = [
    "BYTES_FOR_A_CHARACTER",
    "BackgroundAgentsToolset",
    "run_request",
]

_INSTRUCTION = """\
## Background agents

You can hand work to other agents and go on meanwhile. Each task runs in a process of its own.

- Start all tasks that do not depend on each other at once, with one `run_background_agent` call each. Say everything
  the agent needs to know: it does not see this conversation.
- What is queued starts by itself as soon as there is room: do not start it again.
- Do other work, or look at what they say with `list_background_agents` and `view_background_agent`. A task that has
  ended keeps its result until you have viewed it.
- A task that failed says why, and what it had said until then. It hurts no other task: start it again, or do without.
- Use `stop_background_agent` for what is no longer needed. Before your last answer, see to it that you have the results
  that you need: tasks that still run then are ended."""


BYTES_FOR_A_CHARACTER = 8
"""How many bytes of output are asked for each character that is shown: four in each half, as UTF-8 may need, so that
the cut to what is shown leaves nothing of an earlier cut."""


class _TaskParameters(ToolParameters, frozen=True):
    """The parameters of the tools that concern one task."""

    task_id: Annotated[str, msgspec.Meta(description="The id that run_background_agent answered.")]


def run_request(parameters: RunParameters, options: RunOptions = AS_USUAL) -> RunTask:
    """Return the request; JSON can hold half characters, which nothing behind it can."""
    expected = parameters.expected_output
    expected = encodable(expected) if expected is not None else None
    return RunTask(parameters.agent, encodable(parameters.task), expected, options=options)


class BackgroundAgentsToolset(Toolset):
    """The four tools of one caller, and those that its entry asks for.

    Args:
        gateway: the caller's way to the supervisor.
        limit: characters of one answer.
        schema: whether a task may be started with an output schema.
        limits: whether a task may be started with limits.
        steer: whether it may say something to its tasks while they run.
        is_asked: whether they may ask it something.
        fan_out: whether it may have an agent do many items by one call.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        limit: int,
        is_asked: bool = False,
        schema: bool = False,
        limits: bool = False,
        steer: bool = False,
        fan_out: bool = False,
    ) -> None:
        self.instruction = _INSTRUCTION + (FAN_OUT_INSTRUCTION if fan_out else "")
        self._more = (
            *(steer_tool(gateway) for _ in range(steer)),
            *(answer_tool(gateway) for _ in range(is_asked)),
            *(map_tool(gateway, schema=schema, limits=limits) for _ in range(fan_out)),
        )
        self._gateway = gateway
        self._limit = limit
        self._run_parameters = run_parameters(schema=schema, limits=limits)

    @property
    def tools(self) -> Sequence[Tool]:
        """Run, list, view, stop, and what the entry asks for."""
        return (
            Tool(
                name="run_background_agent",
                description=(
                    "Start a task in the background and get its id at once. The agent works in a process of its own "
                    "while you go on. Where no slot is free, the task is queued."
                ),
                parameters=self._run_parameters,
                handler=self._run,
            ),
            Tool(
                name="list_background_agents",
                description="List your tasks, oldest first: status, runtime, tokens, CPU, memory, and slots and queue.",
                parameters=NoParameters,
                handler=self._list,
                polling=True,
            ),
            Tool(
                name="view_background_agent",
                description="Look at one task at any time, in any state: what it has said so far, or its final result.",
                parameters=_TaskParameters,
                handler=self._view,
                polling=True,
            ),
            Tool(
                name="stop_background_agent",
                description="End one task, and the tasks that it has started. What it has said stays readable.",
                parameters=_TaskParameters,
                handler=self._stop,
            ),
            *self._more,
        )

    async def at_work(self) -> bool:
        """Whether a task of the caller runs, or one that such a task has started."""
        try:
            tasks = await ask(self._gateway, ListTasks())
        except SubactorsError:
            return False  # there is nobody any more who could run one
        return any(not view.ended for view in tasks.tasks)

    @errors_as_answers
    async def _run(self, parameters: RunParameters) -> ToolAnswer:
        accepted = await ask(self._gateway, run_request(parameters, options_of(parameters)))
        data: dict[str, Any] = {"task_id": accepted.task_id, "agent": parameters.agent}
        limited = ""
        if accepted.budget is not None:
            data["budget"] = msgspec.to_builtins(accepted.budget)
            limited = f" It may use: {budget_text(accepted.budget)}."
        if accepted.queue_place:
            return ToolAnswer(
                f"Queued {accepted.task_id}: {parameters.agent} starts by itself when a slot is free; it is number "
                f"{accepted.queue_place} in the queue.{limited} Look at it with view_background_agent.",
                {**data, "queue_place": accepted.queue_place},
            )
        return ToolAnswer(
            f"Started {accepted.task_id}: {parameters.agent} is at work in the background.{limited} "
            f"Look at it with view_background_agent.",
            data,
        )

    @errors_as_answers
    async def _list(self, _parameters: NoParameters) -> ToolAnswer:
        tasks = await ask(self._gateway, ListTasks())
        return ToolAnswer(describe_list(tasks), tasks.as_data())

    @errors_as_answers
    async def _view(self, parameters: _TaskParameters) -> ToolAnswer:
        view = await ask(self._gateway, ViewTask(parameters.task_id, self._limit * BYTES_FOR_A_CHARACTER, closely=True))
        return ToolAnswer(describe_view(view, self._limit), view.as_data())

    @errors_as_answers
    async def _stop(self, parameters: _TaskParameters) -> ToolAnswer:
        stopped = await ask(self._gateway, StopTasks([parameters.task_id], limit=self._limit, refuse_ended=True))
        return ToolAnswer(describe_stop(stopped.tasks), stopped.as_data())
