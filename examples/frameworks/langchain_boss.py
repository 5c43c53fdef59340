# langchain_boss.py
"""An agent of LangChain that has agents at work in the background."""

import asyncio

from langchain.agents import create_agent
from subactors.runtime import AsyncRuntime
from subactors.runtime.adapters.langchain import notices, structured_tools


async def main() -> None:
    async with AsyncRuntime.from_file("team.yaml") as runtime:
        with await runtime.toolset("boss") as tools:
            boss = create_agent(
                "openai:gpt-4o-mini",
                structured_tools(tools),
                system_prompt=tools.instructions,
                middleware=[notices(tools)],
            )
            done = await boss.ainvoke({"messages": [("user", "Which live longest: ants, bees or wasps?")]})
            print(done["messages"][-1].text)


asyncio.run(main())
