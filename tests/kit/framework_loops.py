"""Agents of other frameworks that are given tools, each run to its answer; their model is at a server of a test."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import pytest
from subactors.runtime import OrchestratorTools

__all__ = ["FRAMEWORKS", "run_with_tools", "skip_without"]

FRAMEWORKS = {
    "openai": ("agents",),
    "langchain": ("langchain", "langchain_openai", "langgraph"),
    "pydantic": ("pydantic_ai",),
}
"""Each with the packages that a test of it needs."""

_EXTRAS = {"openai": "openai-agents", "langchain": "langchain", "pydantic": "pydantic-ai"}


def skip_without(framework: str) -> None:
    """Skip the test that calls, with the reason, unless the framework is installed."""
    missing = [name for name in FRAMEWORKS[framework] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: pip install 'subactors[frameworks]'")


async def run_with_tools(framework: str, url: str, tools: OrchestratorTools, *prompts: str) -> str:
    """Run a new agent of a framework with tools, once for each prompt of a conversation; return its last answer.

    What a prompt whose run fails has come to is no part of the conversation. The last one must not fail.
    """
    runs = {"openai": _run_openai, "langchain": _run_langchain, "pydantic": _run_pydantic}
    return await runs[framework](url, tools, prompts)


def _failing(*, is_last: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if is_last else contextlib.suppress(Exception)


def _client(url: str) -> Any:
    from openai import AsyncOpenAI  # noqa: PLC0415 - for tests of frameworks

    return AsyncOpenAI(base_url=url, api_key="none", max_retries=0)


async def _run_openai(url: str, tools: OrchestratorTools, prompts: Sequence[str]) -> str:
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner  # noqa: PLC0415 - may be missing
    from subactors.runtime.adapters.openai_agents import function_tools, notices  # noqa: PLC0415 - the same

    async with _client(url) as client:
        agent = Agent(
            "boss",
            instructions=tools.instructions,
            model=OpenAIChatCompletionsModel("m", client),
            tools=[*function_tools(tools)],
        )
        config = RunConfig(tracing_disabled=True, call_model_input_filter=notices(tools))
        history: list[Any] = []
        for prompt in prompts:
            with _failing(is_last=prompt == prompts[-1]):
                done = await Runner.run(agent, [*history, {"role": "user", "content": prompt}], run_config=config)
                history = done.to_input_list()
    return str(done.final_output)


async def _run_langchain(url: str, tools: OrchestratorTools, prompts: Sequence[str]) -> str:
    from langchain.agents import create_agent  # noqa: PLC0415 - may be missing
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - the same
    from subactors.runtime.adapters.langchain import notices, structured_tools  # noqa: PLC0415 - the same

    async with _client(url) as client:
        model = ChatOpenAI(model="m", async_client=client.chat.completions, api_key="none", max_retries=0)  # type: ignore[arg-type]  # pydantic makes a secret of it
        agent = create_agent(
            model, structured_tools(tools), system_prompt=tools.instructions, middleware=[notices(tools)]
        )
        history: list[Any] = []
        for prompt in prompts:
            with _failing(is_last=prompt == prompts[-1]):
                history = (await agent.ainvoke({"messages": [*history, ("user", prompt)]}))["messages"]
    return str(history[-1].text)


async def _run_pydantic(url: str, tools: OrchestratorTools, prompts: Sequence[str]) -> str:
    from pydantic_ai import Agent  # noqa: PLC0415 - may be missing
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - the same
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - the same
    from subactors.runtime.adapters.pydantic_ai import SubactorsToolset, notices  # noqa: PLC0415 - the same

    async with _client(url) as client:
        model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
        history: list[Any] = []
        agent = Agent(model, toolsets=[SubactorsToolset(tools)], capabilities=[notices(tools)])
        for prompt in prompts:
            with _failing(is_last=prompt == prompts[-1]):
                done = await agent.run(prompt, message_history=history)
                history = done.all_messages()
    return str(done.output)
