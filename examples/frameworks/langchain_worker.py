# langchain_worker.py
"""An agent of LangChain as an entrypoint."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from subactors.runtime.adapters.langchain import entrypoint

model = ChatOpenAI(model="gpt-4o-mini", stream_usage=True)
research = entrypoint(create_agent(model, system_prompt="Find facts."))
