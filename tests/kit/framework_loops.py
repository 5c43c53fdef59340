"""Agents of other frameworks that are given tools, each run to its answer; their model is at a server of a test."""

from __future__ import annotations

import importlib.util
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


async def run_with_tools(framework: str, url: str, tools: OrchestratorTools, prompt: str) -> str:
    """Run a new agent of a framework with tools, and return its answer."""
    runs = {"openai": _run_openai, "langchain": _run_langchain, "pydantic": _run_pydantic}
    return await runs[framework](url, tools, prompt)


def _client(url: str) -> Any:
    from openai import AsyncOpenAI  # noqa: PLC0415 - for tests of frameworks

    return AsyncOpenAI(base_url=url, api_key="none", max_retries=0)


async def _run_openai(url: str, tools: OrchestratorTools, prompt: str) -> str:
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner  # noqa: PLC0415 - may be missing
    from subactors.runtime.adapters.openai_agents import function_tools, notices  # noqa: PLC0415 - the same

    async with _client(url) as client:
        agent = Agent(
            "boss",
            instructions=tools.instructions,
            model=OpenAIChatCompletionsModel("m", client),
            tools=[*function_tools(tools)],
        )
        done = await Runner.run(
            agent, prompt, run_config=RunConfig(tracing_disabled=True, call_model_input_filter=notices(tools))
        )
    return str(done.final_output)


async def _run_langchain(url: str, tools: OrchestratorTools, prompt: str) -> str:
    from langchain.agents import create_agent  # noqa: PLC0415 - may be missing
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - the same
    from subactors.runtime.adapters.langchain import notices, structured_tools  # noqa: PLC0415 - the same

    async with _client(url) as client:
        model = ChatOpenAI(model="m", async_client=client.chat.completions, api_key="none", max_retries=0)  # type: ignore[arg-type]  # pydantic makes a secret of it
        agent = create_agent(
            model, structured_tools(tools), system_prompt=tools.instructions, middleware=[notices(tools)]
        )
        done = await agent.ainvoke({"messages": [("user", prompt)]})
    return str(done["messages"][-1].text)


async def _run_pydantic(url: str, tools: OrchestratorTools, prompt: str) -> str:
    from pydantic_ai import Agent  # noqa: PLC0415 - may be missing
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - the same
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - the same
    from subactors.runtime.adapters.pydantic_ai import SubactorsToolset  # noqa: PLC0415 - the same

    async with _client(url) as client:
        model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, toolsets=[SubactorsToolset(tools)])
        done = await agent.run(prompt)
    return str(done.output)
