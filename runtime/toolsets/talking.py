"""Talking: the tools with which an orchestrator talks to its tasks while they run."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..tasks.gateway import Gateway
from ..tasks.questions import LONGEST_ANSWER, AnswerQuestion
from ..tasks.talk import LONGEST_LETTER, SteerTask
from ..text import encodable
from .asking import ask, errors_as_answers
from .base import Tool, ToolAnswer, ToolParameters

__all__ = ["answer_tool", "steer_tool"]


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


class _AnswerParameters(ToolParameters, frozen=True):
    """The parameters of `answer_background_agent`."""

    question: Annotated[
        str, msgspec.Meta(description="Id of the question; or of the task that asks, if it asks one thing only.")
    ]
    answer: Annotated[
        str, msgspec.Meta(max_length=LONGEST_ANSWER, description="The answer; if it has choices, one of them.")
    ]


def answer_tool(gateway: Gateway) -> Tool:
    """Return the tool that answers what a task of the caller's asks."""

    @errors_as_answers
    async def answer(parameters: _AnswerParameters) -> ToolAnswer:
        settled = await ask(gateway, AnswerQuestion(encodable(parameters.question), encodable(parameters.answer)))
        return ToolAnswer(str(settled), {"question_id": settled.question_id, "task_id": settled.task_id})

    return Tool(
        name="answer_background_agent",
        description=(
            "Answer a question that one of your tasks asks you, and waits for. `list_background_agents` and "
            "`view_background_agent` show what they ask."
        ),
        parameters=_AnswerParameters,
        handler=answer,
    )
