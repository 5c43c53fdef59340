"""LangChain and LangGraph (`langchain-core`, `langgraph`): tools for their agents, and their agents as entrypoints."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tools import StructuredTool, ToolException

from .base import Tools, prompt_of
from .notices import Notices, joined

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest

    from ..child.entrypoint import EntrypointTask
    from ..toolsets.base import ToolAnswer

__all__ = ["entrypoint", "notices", "structured_tools"]


def structured_tools(tools: Tools) -> list[StructuredTool]:
    """Return tools for `create_agent(model, tools)`, `ToolNode(tools)` or `model.bind_tools(tools)`.

    They work in `invoke` and in `ainvoke`. A call that is cancelled stops no task. The answer's data is the artifact of
    its message; an answer that is an error has the status `error`.

    Args:
        tools: `runtime.toolset(agent)`, which must stay open while the agent runs, or `task.tools`.
    """
    return [_tool(tools, **schema["function"]) for schema in tools.schemas]


def _tool(tools: Tools, *, name: str, description: str, parameters: dict[str, Any]) -> StructuredTool:
    def call(**arguments: Any) -> tuple[str, Any]:
        return _content_and_artifact(tools.call(name, json.dumps(arguments)))

    async def acall(**arguments: Any) -> tuple[str, Any]:
        return _content_and_artifact(await tools.acall(name, json.dumps(arguments)))

    return StructuredTool(
        name=name,
        description=description,
        args_schema=parameters,
        func=call,
        coroutine=acall,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _content_and_artifact(answer: ToolAnswer) -> tuple[str, Any]:
    if answer.is_error:
        raise ToolException(answer.text)
    return answer.text, answer.data


def notices(tools: Tools) -> AgentMiddleware[Any, Any]:
    """Return what tells an agent's model which of its tasks have ended, and what they ask.

    It is for `create_agent(middleware=[…])`. What it tells is part of a message in the agent's state from then on.

    Args:
        tools: those that the agent's `structured_tools` were made of.
    """
    from langchain.agents.middleware import AgentMiddleware  # noqa: PLC0415 - graphs do without `langchain`

    class TaskNotices(AgentMiddleware[Any, Any]):
        def __init__(self) -> None:
            self._notices = Notices(tools)

        def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
            del runtime
            return _telling(state["messages"], self._notices.due(_keeper(state["messages"])))

        async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any]:
            del runtime
            return _telling(state["messages"], await self._notices.adue(_keeper(state["messages"])))

        def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> Any:
            response = handler(request)
            self._notices.answered()
            return response

        async def awrap_model_call(
            self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
        ) -> Any:
            response = await handler(request)
            self._notices.answered()
            return response

    return TaskNotices()


def _keeper(messages: Sequence[AnyMessage]) -> Callable[[str], bool]:
    return lambda text: any(text in message.text for message in messages)


def _telling(messages: Sequence[AnyMessage], text: str) -> dict[str, Any]:
    """Return the change of a state that puts a text behind its last message, or into a message of its own."""
    if not text:
        return {}
    last = messages[-1] if messages else None
    if not isinstance(last, ToolMessage | HumanMessage):
        return {"messages": [HumanMessage(text)]}
    content = joined(last.content, text) if isinstance(last.content, str) else [*last.content, _block(text)]
    return {"messages": [last.model_copy(update={"content": content})]}  # its id is the old one's, whose place it takes


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def entrypoint(graph: Any, **config: Any) -> Callable[[EntrypointTask], Awaitable[Any]]:
    """Return an entrypoint that runs a graph of messages, as `create_agent` makes them.

    What its models say is the task's output; their usage is the task's. The result is the structured response, if there
    is one, or else the last message's text. Nodes and tools find the task in `config["configurable"]["task"]`.

    Args:
        graph: a compiled graph whose state has `messages`; made in the module that the entrypoint is in.
        config: more of the run's configuration, such as `recursion_limit`.
    """

    async def run(task: EntrypointTask) -> Any:
        given = {
            **config,
            "configurable": {"task": task, **config.get("configurable", {})},
            "callbacks": [_Usage(task), *config.get("callbacks", ())],
        }
        state: dict[str, Any] = {}
        messages = {"messages": [("user", prompt_of(task))]}
        async for mode, part in graph.astream(messages, given, stream_mode=["messages", "values"]):
            if mode == "values":
                state = part
            elif isinstance(part[0], AIMessageChunk) and (text := str(part[0].text)):
                task.emit(text)
        answer = state.get("structured_response")
        return str(state["messages"][-1].text) if answer is None else answer

    return run


class _Usage(AsyncCallbackHandler):
    """Counts each answer of a model for the task, so that a limit ends it in time."""

    raise_error = True

    def __init__(self, task: EntrypointTask) -> None:
        self._task = task

    async def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """See `AsyncCallbackHandler.on_llm_end`. An answer counts as a request also where its usage is not told."""
        is_counted = False
        for generation in (one for several in response.generations for one in several):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            if isinstance(message, AIMessage) and message.usage_metadata is not None:
                usage = message.usage_metadata
                self._task.usage(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"])
                is_counted = True
        if not is_counted:
            self._task.usage()
