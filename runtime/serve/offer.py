"""Offer: what an MCP client gets of a team: the agents that it may start, and the tools for that."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from mcp_types import Tool

from ..team.config import AgentConfig, ToolsetConfig
from ..toolsets.approvals import Approvals
from ..toolsets.base import ToolBox
from ..toolsets.build import build_toolsets

if TYPE_CHECKING:
    from ..host import Host
    from ..tasks.gateway import Gateway, HostGateway

__all__ = ["LIST", "MAP", "RUN", "VIEW", "WAIT", "Offer"]

RUN: Final = "run_background_agent"
MAP: Final = "map_background_agent"
LIST: Final = "list_background_agents"
VIEW: Final = "view_background_agent"
WAIT: Final = "wait_background_agents"

_TYPE: Final = "background_agents"


class Offer:
    """See the module.

    Args:
        host: runs the tasks.
        agent: whose place a client takes: it may start the agent's sub-agents; all agents of the team, if it has none.

    Attributes:
        agents: the agents that may be started, a line each.
        instructions: for the model of the client.
        limit: characters of one answer.
        is_asked: whether one of the agents may ask whoever started it something.
    """

    def __init__(self, host: Host, agent: str) -> None:
        team = host.team
        config = team.agents[agent]
        names = config.sub_agents or tuple(team.agents)
        self._host = host
        self._caller = agent if config.sub_agents else None
        self.limit = team.settings.max_answer
        self.agents = "\n".join(_line(team.agents[name]) for name in names)
        self.is_asked = any(toolset.type == "ask_parent" for name in names for toolset in team.agents[name].toolsets)
        own = next((toolset for toolset in config.toolsets if toolset.type == _TYPE), ToolsetConfig(type=_TYPE))
        # Few MCP hosts show a model what it is told without having asked, so that it is not promised.
        toolset = msgspec.structs.replace(own, options={**own.options, "notify": False}, optional=False)
        self._config = msgspec.structs.replace(config, toolsets=(toolset,), sub_agents=())
        instructions = self.tool_box(self.gateway()).instructions
        self.instructions = "\n\n".join([*instructions, f"The agents:\n{self.agents}"])

    def gateway(self) -> HostGateway:
        """Return the way of a new client to the supervisor."""
        return self._host.gateway(self._caller)

    def tool_box(self, gateway: Gateway) -> ToolBox:
        """Return the tools of a client."""
        team = self._host.team
        toolsets = build_toolsets(
            self._config,
            gateway=gateway,
            working_directory=Path.cwd(),
            environ=os.environ,
            settings=team.settings,
            is_asked=self.is_asked,
        )
        return ToolBox(
            toolsets,
            permissions=team.permissions,
            approve=Approvals(gateway).refusal,
            limit=self.limit,
        )

    def described(self, tools: ToolBox) -> Sequence[Tool]:
        """Return tools as MCP has them. Few hosts show a model the server's instructions, so one names the agents."""
        return [self._described(schema["function"]) for schema in tools.schemas]

    def _described(self, function: dict[str, Any]) -> Tool:
        description = function["description"]
        if function["name"] == RUN:
            description = f"{description} The agents:\n{self.agents}"
        return Tool(name=function["name"], description=description, input_schema=function["parameters"])


def _line(agent: AgentConfig) -> str:
    description = " ".join(agent.description.split())
    return f"- {agent.name}: {description}" if description else f"- {agent.name}"
