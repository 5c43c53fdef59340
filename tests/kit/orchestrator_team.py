"""A team with an agent that has the tools to run tasks, and how a test calls them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from subactors.runtime import OrchestratorTools, Runtime
from teams import call, entrypoint_team, model, run_and_wait

WORKERS = ["echo", "says", "waits", "deaf", "floods_and_waits", "returns", "raises", "report"]


def orchestrated(**more: Any) -> dict[str, Any]:
    """A team whose `boss` has the tools."""
    background = {"type": "background_agents", "on_finish": "stop"}
    boss = model("follows_a_plan", sub_agents=WORKERS, toolsets=[background, {"type": "think"}], **more)
    return entrypoint_team(boss=boss)


@contextmanager
def orchestrated_runtime() -> Iterator[Runtime]:
    """A host for such a team that has run a task; the tests of a file share one."""
    with Runtime.from_mapping(orchestrated(), stop_grace=0.5, max_tasks=10_000, poll_wait=0.05, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


def started(toolset: OrchestratorTools, agent: str, task: str = "go") -> str:
    """Start a task by the tool, and return its id."""
    answer = call(toolset, "run_background_agent", agent=agent, task=task)
    assert not answer.is_error, answer.text
    task_id: str = answer.data["task_id"]
    return task_id
