"""MCP face: the four background tools for an MCP host, over standard input and output (`subactors mcp`).

The program at the other end is the orchestrator. Standard output carries messages of the protocol and nothing else. The
end of standard input ends everything.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import select
from typing import Any, Final

from mcp.server import Server, ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from ..agent.event_loop import CancellableLoop
from ..errors import SubactorsError
from ..host import Host
from ..team.config import AgentConfig, Team
from ..terminal.interruptible import Interruptible
from ..toolsets.approvals import Approvals
from ..toolsets.background import BackgroundAgentsToolset
from ..toolsets.base import ToolBox
from ..toolsets.mcp.lines import messages
from .elicitation import Elicitation

__all__ = ["serve"]

_RUN: Final = "run_background_agent"

_NO_PIPES: Final = (
    "Standard input and output must be pipes, as a program has them that an MCP host starts. "
    "Here one of them is closed, or is a file."
)


def serve(team: Team, agent: str, *, settings: dict[str, Any]) -> int:
    """Serve the background tools of an agent until the other end is done; return the exit status.

    Args:
        team: a checked team.
        agent: whose sub-agents the other end may start; all agents of the team, if it has none.
        settings: of the runtime.

    Raises:
        SubactorsError: standard input and output are not pipes.
    """
    if not all(map(_can_be_waited_for, (0, 1))):
        raise SubactorsError(_NO_PIPES)
    loop = CancellableLoop()
    with Interruptible(loop.cancel) as work, Host(team, **settings) as host:
        try:
            loop.run(_serve(host, agent))
        except asyncio.CancelledError:
            return work.status
    return 0


async def _serve(host: Host, agent: str) -> None:
    team = host.team
    names = team.agents[agent].sub_agents or tuple(team.agents)
    gateway = host.gateway(agent if team.agents[agent].sub_agents else None)
    toolset = BackgroundAgentsToolset(
        gateway,
        settings=team.settings,
        notify=False,
        is_asked=any(toolset.type == "ask_parent" for name in names for toolset in team.agents[name].toolsets),
        steer=any(toolset.options.get("steer", False) for toolset in team.agents[agent].toolsets),
    )
    tools = ToolBox(
        [toolset],
        permissions=team.permissions,
        approve=Approvals(gateway).refusal,
        limit=team.settings.max_answer,
    )
    agents = "\n".join(_line(team.agents[name]) for name in names)

    asking = Elicitation(host)

    async def list_tools(context: ServerRequestContext[Any], _: PaginatedRequestParams | None) -> ListToolsResult:
        asking.seen(context.session)
        return ListToolsResult(tools=[_described(schema["function"], agents) for schema in tools.schemas])

    async def call_tool(context: ServerRequestContext[Any], call: CallToolRequestParams) -> CallToolResult:
        asking.seen(context.session)
        answer = await tools.call(call.name, json.dumps(call.arguments or {}))
        if answer.told:
            gateway.acknowledge(answer.told)
        data = answer.data if isinstance(answer.data, dict) else None
        content = [TextContent(type="text", text=answer.text)]
        return CallToolResult(content=[*content], structured_content=data, is_error=answer.is_error)

    server = Server(
        "subactors",
        version=importlib.metadata.version("subactors"),
        instructions=f"{toolset.instruction}\n\nThe agents:\n{agents}",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    with os.fdopen(os.dup(0), "rb", buffering=0) as stdin, os.fdopen(os.dup(1), "wb", buffering=0) as stdout:
        async with messages(stdin, stdout, heard=_ignore, ended=_ignore) as (incoming, outgoing):
            try:
                await server.run(incoming, outgoing, server.create_initialization_options())
            finally:
                asking.close()


def _can_be_waited_for(descriptor: int) -> bool:
    """Whether one can wait for a descriptor to be readable: for pipes, sockets and terminals, not for files."""
    with select.epoll() as poll:
        try:
            poll.register(descriptor, select.EPOLLIN)
        except OSError:
            return False
    return True


def _line(agent: AgentConfig) -> str:
    description = " ".join(agent.description.split())
    return f"- {agent.name}: {description}" if description else f"- {agent.name}"


def _described(function: dict[str, Any], agents: str) -> Tool:
    """Return a tool as MCP has it. Few hosts show a model the server's instructions, so one tool names the agents."""
    description = function["description"]
    if function["name"] == _RUN:
        description = f"{description} The agents:\n{agents}"
    return Tool(name=function["name"], description=description, input_schema=function["parameters"])


def _ignore(_: object) -> None:
    """Give no answer to garbage, nor to the end of the input: the session ends by itself."""
