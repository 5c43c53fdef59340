"""Which tasks may be started: every refusal, with its remedy, in one place. Changes nothing."""

from __future__ import annotations

from ._errors import (
    CapacityError,
    DelegationError,
    EmptyTaskError,
    RunError,
    UnknownAgentError,
)
from ._messages import RunTask
from ._registry import TaskRegistry
from ._requirements import check_requirements
from ._supervisor_messages import Caller
from ._task import Task
from ._team import Team

__all__ = ["check_run"]


def check_run(
    request: RunTask, caller: Caller, parent: Task | None, *, team: Team, registry: TaskRegistry, working_directory: str
) -> tuple[str, ...]:
    """Refuse what must not run; return the chain of agents that the new task would end.

    Args:
        request: what is asked for.
        caller: who asks.
        parent: the caller's task, if it is one.
        team: the agents and the settings in force.
        registry: the tasks that are remembered.
        working_directory: of tasks; empty: the current one.

    Raises:
        RunError: it must not run; the type and the message say why, and what would be right.
    """
    settings = team.settings
    allowed = list(team.agents) if caller.agent is None else team.agents[caller.agent].sub_agents
    if request.agent not in allowed:
        whose = "the team" if caller.agent is None else f"the sub_agents of {caller.agent!r}"
        raise UnknownAgentError(
            f"There is no agent {request.agent!r} in {whose}. Available: {', '.join(allowed) or 'none'}."
        )
    if not request.task.strip():
        raise EmptyTaskError("The task is empty. Say what the agent is to do, with all it needs to know.")
    above = parent.chain if parent is not None else tuple(filter(None, [caller.agent]))
    chain = (*above, request.agent)
    if request.agent in above:
        raise DelegationError(
            f"{request.agent!r} is already at work further up: {' → '.join(chain)}. "
            "Choose an agent that is not in this chain, or do the work yourself."
        )
    if len(chain) > settings.max_depth:
        raise DelegationError(
            f"The chain of agents would be {len(chain)} deep, and {settings.max_depth} is the limit: "
            f"{' → '.join(chain)}. Do the work yourself."
        )
    check_requirements(team, request.agent, working_directory)
    if parent is not None and parent.status != "running":
        raise RunError(f"Task {parent.id} is {parent.status} and cannot start others.")
    running, unread = registry.running, registry.unread
    if running >= settings.max_running:
        raise CapacityError(
            f"{running} tasks are running, and {settings.max_running} is the limit. Wait until one ends, or stop one."
        )
    if len(registry) >= settings.max_tasks and running + unread == len(registry):
        raise CapacityError(
            f"{len(registry)} tasks are remembered, which is the limit: {running} are running, and "
            f"{unread} have ended whose results nobody has read. View one of those, or stop one that runs."
        )
    return chain
