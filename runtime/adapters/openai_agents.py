"""OpenAI Agents SDK (`openai-agents`): tools for its agents, and its agents as entrypoints."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agents import Agent, FunctionTool, ModelResponse, ModelSettings, RunConfig, RunContextWrapper, RunHooks, Runner
from agents.run import CallModelData, ModelInputData
from agents.tool_context import ToolContext
from openai.types.responses import ResponseTextDeltaEvent

from .base import Tools, prompt_of
from .notices import Notices, joined

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
    """Return a filter that tells an agent's model which of its tasks have ended, and what they ask.

    It is for `RunConfig(call_model_input_filter=…)`. What it tells stays at its place in all later requests of the
    conversation, in other runs too that are given the same filter.

    Args:
        tools: those that the agent's `function_tools` were made of.
    """
    return _Filter(tools).told


_Place: TypeAlias = tuple[str, int]
"""Names an item: its identity, and how many before it have the same."""

_MOST_PLACES: Final = 1000


class _Filter:
    """Keeps what was told, and where: what a filter puts into a request is not in the history of the run.

    Args:
        tools: say what there is to tell.
    """

    def __init__(self, tools: Tools) -> None:
        self._notices = Notices(tools)
        self._told: dict[_Place, str] = {}
        self._last: _Place | None = None

    async def told(self, call: CallModelData[Any]) -> ModelInputData:
        """Return a request with what was told before, and with what there is now to be told, behind its last item."""
        given = call.model_data
        places = _places(given.input)
        if not places:
            return given
        if self._last in places[:-1]:
            self._notices.answered()
        if told := await self._notices.adue(lambda _: self._last in places):
            self._last = places[-1]
            self._told[self._last] = joined(self._told.pop(self._last, ""), told)
            while len(self._told) > _MOST_PLACES:
                del self._told[next(iter(self._told))]
        items: list[Any] = []
        for item, place in zip(given.input, places, strict=True):
            items += _with_text(item, self._told[place]) if place in self._told else [item]
        return dataclasses.replace(given, input=items)


def _places(items: Iterable[Any]) -> list[_Place]:
    """Return where each item of a request is: what holds in later requests too, from which others may be missing."""
    seen: Counter[str] = Counter()
    places = []
    for item in items:
        name = f"{item.get('type')} {item['call_id']}" if _is_answer(item) else json.dumps(item, default=str)
        places.append((name, seen[name]))
        seen[name] += 1
    return places


def _with_text(item: Any, text: str) -> list[Any]:
    """Put a text behind what an item says, or into an item of its own if it cannot take one."""
    key = "output" if _is_answer(item) else "content"
    if not _is_answer(item) and not (isinstance(item, dict) and item.get("role") == "user"):
        return [item, {"role": "user", "content": text}]
    # In the item itself, a copy of the run's own: the SDK knows by it what a server that keeps the conversation has.
    if isinstance(item[key], str):
        item[key] = joined(item[key], text)
    else:
        item[key] = [*item[key], {"type": "input_text", "text": text}]
    return [item]


def _is_answer(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "function_call_output"


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
