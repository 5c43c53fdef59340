"""An agent of Pydantic AI as an entrypoint; its model is at `$MODEL_SERVER_URL`."""

from __future__ import annotations

import os

from openai import AsyncOpenAI
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from subactors.runtime import EntrypointTask
from subactors.runtime.adapters.pydantic_ai import entrypoint

client = AsyncOpenAI(base_url=os.environ["MODEL_SERVER_URL"], api_key="none", max_retries=0)
agent = Agent(
    OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)),
    instructions="Help.",
    deps_type=EntrypointTask,
)


@agent.tool
def task_id(context: RunContext[EntrypointTask]) -> str:
    """Return the id of the task."""
    return context.deps.id


helper = entrypoint(agent)
