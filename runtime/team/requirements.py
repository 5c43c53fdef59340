"""Agent requirements: what this machine lacks to run an agent.

The host asks before a task starts; `check`, which runs nothing, asks, too. It looks at files and the environment only,
so an agent may fail all the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequirementError
from .lacks import lacks_of

if TYPE_CHECKING:
    from .config import AgentConfig, Team

__all__ = ["check_requirements", "missing_for", "place_of", "reachable"]


def check_requirements(team: Team, agent: str, working_directory: str = "", place: str | None = None) -> None:
    """Refuse to start an agent if it, or an agent that it may come to start, lacks something here.

    Of those that run at a place nothing is known: their tasks say what its nodes lack.

    Args:
        team: a checked team.
        agent: the agent.
        working_directory: where it would work; empty: the current directory.
        place: where the agent itself is to run; empty: here; None: as the team has it.

    Raises:
        RequirementError: says which agent lacks what, and what to install.
    """
    lacks = [
        f"Agent {name!r} cannot run here. {sentence}"
        for name in reachable(team, agent)
        if not (place if name == agent and place is not None else place_of(team, name))
        for sentence in missing_for(team.agents[name], os.environ, working_directory)
    ]
    if lacks:
        raise RequirementError("\n".join(dict.fromkeys(lacks)))


def place_of(team: Team, agent: str) -> str:
    """Return the name of the place where an agent's tasks run; empty: here."""
    return team.agents[agent].place or team.settings.place


def missing_for(
    agent: AgentConfig, environ: Mapping[str, str], working_directory: str | os.PathLike[str] = ""
) -> list[str]:
    """Return what one agent lacks, a sentence each.

    Args:
        agent: from a checked team.
        environ: the environment that it would run in.
        working_directory: where it would work; empty: the current directory.
    """
    servers = [toolset for toolset in agent.toolsets if toolset.type == "mcp" and not toolset.optional]
    if agent.workdir != "worktree" and not servers:
        return []  # nearly all, at each start of a task
    folder = Path(working_directory or Path.cwd())
    lacks = [_missing_for_worktree(environ, folder)] if agent.workdir == "worktree" else []
    for server in servers:
        lacks += lacks_of(server, environ, folder)
    return [sentence for sentence in lacks if sentence]


def _missing_for_worktree(environ: Mapping[str, str], working_directory: Path) -> str:
    if shutil.which("git", path=environ.get("PATH", "")) is None:
        return "`workdir: worktree` needs git, which is not installed, or not on PATH."
    if not any((folder / ".git").exists() for folder in (working_directory, *working_directory.parents)):
        return (
            f"`workdir: worktree` needs a git repository, and {working_directory} is in none. Work in a repository, or "
            "use `workdir: private`."
        )
    return ""


def reachable(team: Team, agent: str) -> Iterator[str]:
    """Yield an agent and all that it may come to start."""
    seen: dict[str, None] = {}
    ahead = [agent]
    while ahead:
        name = ahead.pop(0)
        if name not in seen:
            seen[name] = None
            yield name
            ahead += team.agents[name].sub_agents
