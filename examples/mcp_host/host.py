"""A program that is an MCP host: it starts `subactors mcp`, and has its agents work in the background.

In a clone of the repository:

    pip install .
    python examples/mcp_host/host.py ants bees

Claude, Cursor, VS Code and Codex do the same; see docs/mcp-hosts.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

TEAM = Path(__file__).with_name("team.yaml")
SUBACTORS = Path(sys.executable).with_name("subactors")


async def called(session: ClientSession, tool: str, **arguments: object) -> str:
    """Call a tool of the server, and return what it says."""
    answer = await session.call_tool(tool, arguments)
    return "".join(part.text for part in answer.content if part.type == "text")


async def main(topics: list[str]) -> None:
    """Start a task for each topic, wait for all of them, and print their results."""
    server = StdioServerParameters(command=str(SUBACTORS), args=["mcp", str(TEAM)])
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        started = [await called(session, "run_background_agent", agent="researcher", task=topic) for topic in topics]
        ids = re.findall(r"agent_task_\w+", "\n".join(started))
        print(await called(session, "wait_background_agents", task_ids=list(dict.fromkeys(ids))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["ants", "bees"]))
