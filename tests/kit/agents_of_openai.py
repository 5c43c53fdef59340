"""An agent of the OpenAI Agents SDK as an entrypoint; its model is at `$MODEL_SERVER_URL`."""

from __future__ import annotations

import os

from agents import Agent, OpenAIChatCompletionsModel, RunConfig, RunContextWrapper, function_tool
from openai import AsyncOpenAI
from subactors.runtime import EntrypointTask
from subactors.runtime.adapters.openai_agents import entrypoint

client = AsyncOpenAI(base_url=os.environ["MODEL_SERVER_URL"], api_key="none", max_retries=0)


@function_tool
def task_id(context: RunContextWrapper[EntrypointTask]) -> str:
    """Return the id of the task."""
    return context.context.id


helper = entrypoint(
    Agent("helper", instructions="Help.", model=OpenAIChatCompletionsModel("m", client), tools=[task_id]),
    run_config=RunConfig(tracing_disabled=True),
)
