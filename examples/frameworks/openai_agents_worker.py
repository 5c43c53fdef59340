# openai_agents_worker.py
"""An agent of the OpenAI Agents SDK as an entrypoint."""

from agents import Agent, set_default_openai_api
from subactors.runtime.adapters.openai_agents import entrypoint

set_default_openai_api("chat_completions")  # for servers without a Responses API
research = entrypoint(Agent("researcher", instructions="Find facts.", model="gpt-4o-mini"))
