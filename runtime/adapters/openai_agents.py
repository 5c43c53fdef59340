"""OpenAI Agents SDK (`openai-agents`): tools for its agents, and its agents as entrypoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, ModelResponse, ModelSettings, RunConfig, RunContextWrapper, RunHooks, Runner
from agents.run import CallModelData, ModelInputData
from agents.tool_context import ToolContext
from openai.types.responses import ResponseTextDeltaEvent

from .base import Tools, prompt_of
from .notices import notice_of

if TYPE_CHECKING:
    from ..child.entrypoint import EntrypointTask

__all__ = ["entrypoint", "function_tools", "notices"]


def function_tools(tools: Tools) -> list[FunctionTool]:
    """Return tools for `Agent(tools=…)`. A call that is cancelled stops no task.

    Args:
        tools: `runtime.toolset(agent)`, which must stay open while the agent runs, or `task.tools`.
    """
    return [_tool(tools, **schema["function"]) for schema in tools.schemas]


def _tool(tools: Tools, *, name: str, description: str, parameters: dict[str, Any]) -> FunctionTool:
    async def invoke(_context: ToolContext[Any], arguments: str) -> str:
        return (await tools.acall(name, arguments)).text

    # Not strict: there every parameter would be required.
    return FunctionTool(name, description, parameters, invoke, strict_json_schema=False)


def notices(tools: Tools) -> Callable[[CallModelData[Any]], Awaitable[ModelInputData]]:
    """Return a filter that tells an agent's model which of its tasks have ended.

    It is for `RunConfig(call_model_input_filter=…)`.

    Args:
        tools: those that the agent's `function_tools` were made of.
    """

    async def add(call: CallModelData[Any]) -> ModelInputData:
        given = call.model_data
        parts = [given.instructions, notice_of(await tools.aowed())]
        return dataclasses.replace(given, instructions="\n\n".join(filter(None, parts)) or None)

    return add


def entrypoint(
    agent: Agent[Any], *, run_config: RunConfig | None = None, **options: Any
) -> Callable[[EntrypointTask], Awaitable[Any]]:
    """Return an entrypoint that runs an agent. What the agent says is the task's output; its usage is the task's.

    Tools of the agent find the task in `context.context`, unless the options say otherwise.

    Args:
        agent: made in the module that the entrypoint is in.
        run_config: as `Runner.run_streamed` takes it. Models are asked for their usage, unless it says otherwise.
        options: of `Runner.run_streamed`, such as `max_turns`, but not `hooks`.
    """
    config = run_config or RunConfig()
    settings = ModelSettings(include_usage=True).resolve(config.model_settings)
    config = dataclasses.replace(config, model_settings=settings)

    async def run(task: EntrypointTask) -> Any:
        given = {"context": task, **options}
        running = Runner.run_streamed(agent, prompt_of(task), hooks=_Usage(task), run_config=config, **given)
        try:
            async for event in running.stream_events():
                if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
                    task.emit(event.data.delta)
        except BaseException:
            running.cancel()
            raise
        return running.final_output

    return run


class _Usage(RunHooks[Any]):
    """Counts each answer of a model for the task, so that a limit ends it in time."""

    def __init__(self, task: EntrypointTask) -> None:
        self._task = task

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        """See `RunHooks.on_llm_end`. An answer counts as a request also where its usage is not told."""
        del context, agent
        usage = response.usage
        requests = max(1, usage.requests)
        self._task.usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, requests=requests)
