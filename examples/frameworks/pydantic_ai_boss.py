# pydantic_ai_boss.py
"""An agent of Pydantic AI that has agents at work in the background."""

import asyncio

from pydantic_ai import Agent
from subactors.runtime import AsyncRuntime
from subactors.runtime.adapters.pydantic_ai import SubactorsToolset, notices


async def main() -> None:
    async with AsyncRuntime.from_file("team.yaml") as runtime:
        with await runtime.toolset("boss") as tools:
            boss = Agent("openai-chat:gpt-4o-mini", toolsets=[SubactorsToolset(tools)], capabilities=[notices(tools)])
            done = await boss.run("Which live longest: ants, bees or wasps?")
            print(done.output)


asyncio.run(main())
