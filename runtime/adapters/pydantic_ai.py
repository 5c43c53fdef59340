"""Pydantic AI (`pydantic-ai-slim`): a toolset for its agents, and its agents as entrypoints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from .base import Tools, prompt_of
from .notices import Notices, joined

if TYPE_CHECKING:
    from ..child.entrypoint import EntrypointTask

__all__ = ["SubactorsToolset", "entrypoint", "notices"]

_ANYTHING = SchemaValidator(core_schema.any_schema())
"""Arguments are checked where the tools are; the answer says what is wrong with them."""


class SubactorsToolset(AbstractToolset[Any]):
    """A toolset for `Agent(toolsets=[…])`. A call that is cancelled stops no task.

    Args:
        tools: `runtime.toolset(agent)`, which must stay open while the agent runs, or `task.tools`.
        id: tells it from other toolsets of the agent.
    """

    def __init__(self, tools: Tools, *, id: str = "subactors") -> None:  # noqa: A002 - as its base class calls it
        self._tools = tools
        self._id = id

    @property
    def id(self) -> str:
        """See `AbstractToolset.id`."""
        return self._id

    async def get_instructions(self, ctx: RunContext[Any]) -> list[str | InstructionPart]:  # noqa: ARG002 - as its base class has it
        """Return what the tools add to the system prompt."""
        return [*filter(None, [self._tools.instructions])]

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tools, by name."""
        functions = [schema["function"] for schema in self._tools.schemas]
        definitions = [
            ToolDefinition(name=one["name"], description=one["description"], parameters_json_schema=one["parameters"])
            for one in functions
        ]
        return {
            one.name: ToolsetTool(toolset=self, tool_def=one, max_retries=ctx.max_retries, args_validator=_ANYTHING)
            for one in definitions
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> str:
        """Call a tool; an answer that is an error is told as one."""
        del ctx, tool
        answer = await self._tools.acall(name, json.dumps(tool_args))
        if answer.is_error:
            raise ToolFailed(answer.text)
        return answer.text


def notices(tools: Tools) -> AbstractCapability[Any]:
    """Return what tells an agent's model which of its tasks have ended, and what they ask.

    It is for `Agent(capabilities=[…])`. What it tells is part of a request in the agent's history from then on.

    Args:
        tools: those that the agent's `SubactorsToolset` was made of.
    """
    return _TaskNotices(tools)


class _TaskNotices(AbstractCapability[Any]):
    def __init__(self, tools: Tools) -> None:
        self._notices = Notices(tools)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Tell what there is to tell, in the request as in the run's history."""
        told = await self._notices.adue(lambda text: _has(ctx.messages, text))
        last = [messages[-1] for messages in (ctx.messages, request_context.messages) if messages]
        for request in {id(one): one for one in last}.values():
            if told and isinstance(request, ModelRequest):
                request.parts = _with_text(request.parts, told)
        return request_context

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """Take note that the model has it."""
        del ctx, request_context
        self._notices.answered()
        return response


def _has(messages: Iterable[ModelMessage], text: str) -> bool:
    """Whether a history has a text that was told."""
    for content in (getattr(part, "content", None) for message in messages for part in message.parts):
        said = content if isinstance(content, list) else [content]
        if any(isinstance(one, str) and text in one for one in said):
            return True
    return False


def _with_text(parts: Iterable[Any], text: str) -> list[Any]:
    """Put a text behind the last part that can take it, or into a part of its own."""
    parts = list(parts)
    for number in reversed(range(len(parts))):
        match parts[number]:
            case (UserPromptPart() | ToolReturnPart()) as part if isinstance(part.content, str):
                content: Any = joined(part.content, text)
            case UserPromptPart() as part:  # with pictures, say
                content = [*part.content, text]
            case _:
                continue
        parts[number] = dataclasses.replace(part, content=content)
        return parts
    return [*parts, UserPromptPart(text)]


def entrypoint(agent: Agent[Any, Any], **options: Any) -> Callable[[EntrypointTask], Awaitable[Any]]:
    """Return an entrypoint that runs an agent. What the agent says is the task's output; its usage is the task's.

    Tools of the agent find the task in `ctx.deps`, unless the options say otherwise.

    Args:
        agent: made in the module that the entrypoint is in.
        options: of `Agent.iter`, such as `usage_limits` and `model_settings`.
    """

    async def run(task: EntrypointTask) -> Any:
        seen = (0, 0, 0)
        async with agent.iter(prompt_of(task), **{"deps": task, **options}) as running:
            async for node in running:
                if Agent.is_model_request_node(node):
                    async with node.stream(running.ctx) as events:
                        async for event in events:
                            if text := _said(event):
                                task.emit(text)
                usage = running.usage
                now = (usage.input_tokens, usage.output_tokens, usage.requests)
                if now != seen:  # after each answer of a model, so that a limit ends the task in time
                    spent = [new - old for new, old in zip(now, seen, strict=True)]
                    task.usage(input_tokens=spent[0], output_tokens=spent[1], requests=spent[2])
                    seen = now
        assert running.result is not None  # noqa: S101 - it has come to its end
        return running.result.output

    return run


def _said(event: object) -> str:
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            return text
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return text
        case _:
            return ""
