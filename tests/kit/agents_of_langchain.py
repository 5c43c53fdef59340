"""An agent of LangChain, a graph of LangGraph, as an entrypoint; its model is at `$MODEL_SERVER_URL`."""

from __future__ import annotations

import os

from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from subactors.runtime.adapters.langchain import entrypoint

model = ChatOpenAI(
    model="m",
    base_url=os.environ["MODEL_SERVER_URL"],
    api_key="none",  # type: ignore[arg-type]  # pydantic makes a secret of it
    max_retries=0,
    stream_usage=True,
)


@tool
def task_id(config: RunnableConfig) -> str:
    """Return the id of the task."""
    return str(config["configurable"]["task"].id)


helper = entrypoint(create_agent(model, [task_id], system_prompt="Help."))
