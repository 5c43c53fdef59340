"""A team with an agent that has the tools to run tasks, and how a test calls them."""

from __future__ import annotations

from typing import Any

from subactors.runtime import AgentToolset
from teams import call, entrypoint_team, model

WORKERS = ["echo", "says", "waits", "deaf", "floods_and_waits", "returns", "raises", "report"]


def orchestrated(**more: Any) -> dict[str, Any]:
    """A team whose `boss` has the tools."""
    boss = model(
        "follows_a_plan", sub_agents=WORKERS, toolsets=[{"type": "background_agents"}, {"type": "think"}], **more
    )
    return entrypoint_team(boss=boss)


def started(toolset: AgentToolset, agent: str, task: str = "go") -> str:
    """Start a task by the tool, and return its id."""
    answer = call(toolset, "run_background_agent", agent=agent, task=task)
    assert not answer.is_error, answer.text
    task_id: str = answer.data["task_id"]
    return task_id
