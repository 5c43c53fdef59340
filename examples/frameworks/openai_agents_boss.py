# openai_agents_boss.py
"""An agent of the OpenAI Agents SDK that has agents at work in the background."""

import asyncio

from agents import Agent, RunConfig, Runner, set_default_openai_api
from subactors.runtime import AsyncRuntime
from subactors.runtime.adapters.openai_agents import function_tools, notices

set_default_openai_api("chat_completions")  # for servers without a Responses API


async def main() -> None:
    async with AsyncRuntime.from_file("team.yaml") as runtime:
        with await runtime.toolset("boss") as tools:
            boss = Agent("boss", instructions=tools.instructions, model="gpt-4o-mini", tools=[*function_tools(tools)])
            told = RunConfig(call_model_input_filter=notices(tools))
            done = await Runner.run(boss, "Which live longest: ants, bees or wasps?", run_config=told)
            print(done.final_output)


asyncio.run(main())
