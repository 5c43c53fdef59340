"""Permissions: checks `permissions` of a team file, and notes patterns that can never match."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from ..team.functions import name_of
from ..team.permissions import Permissions, argument_patterns, tool_pattern
from ..team.toolset_kinds import TOOLSETS
from .keys import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..team.config import AgentConfig
    from .values import Section, Value

__all__ = ["read_permissions"]

_OTHER_TOOLS = ("transfer_task",)
"""Tools that come without a toolset."""

_MOST_COMPARED = 20_000
"""Patterns times tools, and their characters; where it is more, nothing is noted as without effect."""


def read_permissions(top: Section, agents: Mapping[str, AgentConfig]) -> Permissions:
    """Check `permissions` of the file; what can have no effect is noted as ignored."""
    given = top.get("permissions")
    section = given.section(PERMISSIONS) if given is not None else None
    if section is None:
        return Permissions()
    tools = _tools(agents)
    allow, ask, deny = (_patterns(section.get(key), tools) for key in ("allow", "ask", "deny"))
    allowed = section.get("allow")
    if allowed is not None and not ask:
        # All calls are allowed that are neither denied nor to be asked about.
        allowed.findings.ignore(allowed.node, allowed.path)
    return Permissions(allow=allow, ask=ask, deny=deny)


def _patterns(given: Value | None, tools: Collection[str] | None) -> tuple[str, ...]:
    patterns = (given.texts() if given is not None else None) or []
    work = len(patterns) * len(tools or ()) + sum(len(tool_pattern(pattern)) for _, pattern in patterns)
    is_little = work < _MOST_COMPARED
    for item, pattern in patterns:
        try:
            argument_patterns(pattern)
        except ValueError:
            item.report(
                "This is not a pattern of tool calls.",
                "Write `tool`, or `tool:argument=pattern`, with `*` and `?` for any characters and any one character.",
            )
            continue
        name = tool_pattern(pattern).lower()
        if is_little and tools is not None and not any(fnmatch.fnmatchcase(tool.lower(), name) for tool in tools):
            item.findings.ignore(item.node, item.path)
    return tuple(pattern for _, pattern in patterns)


def _tools(agents: Mapping[str, AgentConfig]) -> list[str] | None:
    """Return the names of all tools that there may be; None if nobody can know, as for those of an MCP server."""
    toolsets = [toolset for agent in agents.values() for toolset in agent.toolsets]
    if any(toolset.type == "mcp" for toolset in toolsets):
        return None
    scripts = [name for toolset in toolsets if toolset.type == "script" for name in toolset.options["shell"]]
    functions = [
        name_of(function)
        for toolset in toolsets
        if toolset.type == "python"
        for function in toolset.options["functions"]
    ]
    return [*(tool for kind in TOOLSETS.values() for tool in kind.tools or ()), *scripts, *functions, *_OTHER_TOOLS]
