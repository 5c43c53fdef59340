"""Talking: the tools with which an orchestrator talks to its tasks while they run."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..tasks.gateway import Gateway
from ..tasks.talk import LONGEST_LETTER, SteerTask
from ..text import encodable
from .asking import ask, errors_as_answers
from .base import Tool, ToolAnswer, ToolParameters

__all__ = ["steer_tool"]


class _SteerParameters(ToolParameters, frozen=True):
    """The parameters of `steer_background_agent`."""

    task_id: Annotated[str, msgspec.Meta(description="The id that run_background_agent answered.")]
    message: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=LONGEST_LETTER,
            description="What the agent should know or do differently from now on. It sees nothing else of yours.",
        ),
    ]


def steer_tool(gateway: Gateway) -> Tool:
    """Return the tool that says something to a running task of the caller's."""

    @errors_as_answers
    async def steer(parameters: _SteerParameters) -> ToolAnswer:
        receipt = await ask(gateway, SteerTask(parameters.task_id, encodable(parameters.message)))
        data = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
        return ToolAnswer(str(receipt), data, is_error=receipt.outcome == "ended")

    return Tool(
        name="steer_background_agent",
        description=(
            "Say something to one of your tasks while it runs: a correction, or what you have learned since. It reads "
            "it between two turns, and goes on with its work."
        ),
        parameters=_SteerParameters,
        handler=steer,
    )
