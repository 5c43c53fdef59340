"""Admission: which tasks may be started, and every refusal, with its remedy, in one place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..errors import (
    CapacityError,
    DelegationError,
    EmptyTaskError,
    RunError,
    UnknownAgentError,
)
from ..tasks.gateway import Caller
from ..tasks.messages import RunTask
from ..tasks.wording import size
from ..team.config import Team
from ..team.requirements import check_requirements
from ..text import one_line
from .registry import TaskRegistry
from .task import Task

__all__ = ["admit"]

_OTHERS_SHARE: Final = 4
_MOST_FOR_OTHERS: Final = 4
"""Slots for each one kept for callers with nothing running, and the most that are kept; the first is the host's."""

_MOST_KEPT: Final = 4_000_000
"""Bytes that the host may keep of the texts and results of tasks that one task has started, when it starts another."""


def admit(
    request: RunTask, caller: Caller, parent: Task | None, *, team: Team, registry: TaskRegistry, working_directory: str
) -> tuple[str, ...]:
    """Refuse what must not run; else make room for the new task, and return the chain of agents that it would end.

    Args:
        request: what is asked for.
        caller: who asks.
        parent: the caller's task, if it is one.
        team: the agents and the settings in force.
        registry: the tasks that are remembered; those whose ends have been seen are forgotten as room is needed.
        working_directory: of tasks; empty: the current one.

    Raises:
        RunError: it must not run; the type and the message say why, and what would be right.
    """
    chain = _check(request, caller, parent, team=team, registry=registry, working_directory=working_directory)
    while parent is not None and (kept := registry.kept_of(parent.id)) > _MOST_KEPT:
        if not registry.forget_oldest_of(parent.id):
            raise CapacityError(
                f"The texts and results of the tasks that this one has started take up {size(kept)}, and "
                f"{size(_MOST_KEPT)} is the limit. View those that have ended, or wait until others have."
            )
    while len(registry) >= team.settings.max_tasks:
        registry.forget_oldest()
    return chain


def _check(
    request: RunTask, caller: Caller, parent: Task | None, *, team: Team, registry: TaskRegistry, working_directory: str
) -> tuple[str, ...]:
    """Refuse what must not run; see `admit`. Changes nothing."""
    settings = team.settings
    above = parent.chain if parent is not None else tuple(filter(None, [caller.agent]))
    chain = (*above, f"{request.agent}()" if request.call else request.agent)
    if not request.call:
        _check_agent(request, caller, parent, chain, team=team)
    if len(chain) > settings.max_depth:
        raise DelegationError(
            f"The chain of agents would be {len(chain)} deep, and {settings.max_depth} is the limit: "
            f"{' → '.join(chain)}. Do the work yourself."
        )
    if not request.call:
        check_requirements(team, request.agent, working_directory)
    if parent is not None and parent.status != "running":
        raise RunError(f"Task {parent.id} is {parent.status} and cannot start others.")
    running, unread = registry.running, registry.unread
    if running >= settings.max_running:
        raise CapacityError(
            f"{running} tasks are running, and {settings.max_running} is the limit. Wait until one ends, or stop one."
        )
    if parent is not None and not parent.is_root:
        kept = _kept_for_others(settings.max_running, has_running=registry.has_running_branch(parent))
        if settings.max_running - running <= kept:
            raise CapacityError(
                f"{running} of {settings.max_running} tasks are running, and the rest is kept for others than you and "
                "those whom you have started. Wait until one of yours ends, or stop one."
            )
    if len(registry) >= settings.max_tasks and running + unread == len(registry):
        raise CapacityError(
            f"{len(registry)} tasks are remembered, which is the limit: {running} are running, and "
            f"{unread} have ended whose results nobody has read. View one of those, or stop one that runs."
        )
    return chain


def _check_agent(request: RunTask, caller: Caller, parent: Task | None, chain: tuple[str, ...], *, team: Team) -> None:
    """Refuse an agent that the caller may not start, that has nothing to do, or that is at work further up."""
    if parent is not None:
        allowed: Collection[str] = parent.setup.agent.sub_agents
    else:
        allowed = team.agents if caller.agent is None else team.agents[caller.agent].sub_agents
    if request.agent not in allowed:
        whose = "the team" if caller.agent is None else f"the sub_agents of {caller.agent!r}"
        raise UnknownAgentError(
            f"There is no agent {one_line(request.agent, 100)!r} in {whose}. Available: {', '.join(allowed) or 'none'}."
        )
    if not request.task.strip():
        raise EmptyTaskError("The task is empty. Say what the agent is to do, with all it needs to know.")
    if request.agent in chain[:-1]:
        raise DelegationError(
            f"{request.agent!r} is already at work further up: {' → '.join(chain)}. "
            "Choose an agent that is not in this chain, or do the work yourself."
        )


def _kept_for_others(max_running: int, *, has_running: bool) -> int:
    """Return how many of the slots a task cannot take, by whether its branch has something running already."""
    return min(max_running // _OTHERS_SHARE, _MOST_FOR_OTHERS if has_running else 1)
