"""Tasks as the supervisor's books have them, without processes."""

from __future__ import annotations

from typing import Any

from subactors.runtime.supervisor.task import Task
from subactors.runtime.tasks.spec import AgentSetup, TaskSpec
from subactors.runtime.team.config import AgentConfig, Settings, Team
from subactors.runtime.team.permissions import Permissions

AGENTS = [f"agent_{depth}" for depth in range(1, 5)]
TEAM = Team(
    source="",
    agents={
        name: AgentConfig(name=name, entrypoint="os:getpid", sub_agents=tuple(AGENTS[depth:]))
        for depth, name in enumerate(AGENTS, 1)
    },
    root=AGENTS[0],
)


def new_task(number: int, parent: Task | None = None, *, owner: str | None = None, is_queued: bool = True) -> Task:
    """Return a task of the agent for its depth."""
    chain = (*parent.chain, AGENTS[len(parent.chain)]) if parent is not None else (AGENTS[0],)
    agent = TEAM.agents[chain[-1]]
    nothing: Any = None
    owners = (*parent.owners, parent.id) if parent is not None else (owner,) if owner is not None else ()
    task = Task(
        id=f"agent_task_{number}",
        agent=agent.name,
        text="x",
        parent=parent.id if parent is not None else owner,
        owners=owners,
        chain=chain,
        setup=AgentSetup(agent=agent, sub_agents=(), permissions=Permissions(), settings=Settings()),
        spec=TaskSpec(f"agent_task_{number}", agent.name, None, "shared", b"", "x"),
        output=nothing,
        body=nothing,
    )
    if is_queued:
        task.queue()
    else:
        task.status = "running"
    return task
