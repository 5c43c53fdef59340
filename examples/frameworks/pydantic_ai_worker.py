# pydantic_ai_worker.py
"""An agent of Pydantic AI as an entrypoint."""

from pydantic_ai import Agent
from subactors.runtime.adapters.pydantic_ai import entrypoint

research = entrypoint(Agent("openai-chat:gpt-4o-mini", instructions="Find facts."))
