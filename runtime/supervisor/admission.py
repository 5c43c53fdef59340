"""Admission: which tasks may be started, now or later, and every refusal, with its remedy, in one place.

What a task may take of the slots, and of the places in the queue, leaves some for others. So none can take the room of
all, or starve the host.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from ..errors import (
    CapacityError,
    DelegationError,
    EmptyTaskError,
    RunError,
    UnknownAgentError,
    UnreadResultsError,
)
from ..tasks.gateway import Caller
from ..tasks.messages import RunTask
from ..tasks.wording import size
from ..team.config import Settings, Team
from ..team.requirements import check_requirements
from ..text import LONGEST_NAME, one_line
from .registry import TaskRegistry
from .task import Task
from .task_queue import Claim

__all__ = ["Admission", "admit", "check", "take_next"]

_OTHERS_SHARE: Final = 4
_MOST_FOR_OTHERS: Final = 4
"""Slots for each one kept for callers with nothing running, and the most that are kept; the first is the host's. Of the
places in the queue there is as large a share for those with nothing queued, and half of it is the host's."""

_MOST_KEPT: Final = 4_000_000
"""Bytes that the host may keep of the texts and results of tasks that one task has started, when it starts another."""


class Admission(NamedTuple):
    """Admission of a new task.

    Attributes:
        chain: the agents from the orchestrator's down to its own.
        has_slot: whether it may start at once; else it is to be queued.
    """

    chain: tuple[str, ...]
    has_slot: bool


def admit(
    request: RunTask, caller: Caller, parent: Task | None, *, team: Team, registry: TaskRegistry, working_directory: str
) -> Admission:
    """Refuse what must not run; else make room for the new task.

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
    chain = check(request, caller, parent, team=team, working_directory=working_directory)
    starts = _check_room(caller, parent, settings=team.settings, registry=registry)
    if not (starts or request.may_queue):
        raise CapacityError("No slot is free, and this task is not to wait for one.")
    while parent is not None and (kept := registry.kept_of(parent.id)) > _MOST_KEPT:
        if not registry.forget_oldest_of(parent.id):
            raise CapacityError(
                f"The texts and results of the tasks that this one has started take up {size(kept)}, and "
                f"{size(_MOST_KEPT)} is the limit. View those that have ended, or wait until others have."
            )
    while registry.ended_count >= team.settings.max_tasks and registry.forget_oldest():
        pass
    return Admission(chain, starts)


def take_next(*, settings: Settings, registry: TaskRegistry) -> Task | None:
    """Give a slot to the queued task that is next; return it, or None if there is none for which there is a slot.

    Where each task that runs in a branch has started queued ones, all of them may wait for those. Then one of these may
    take a slot that is kept for others. It starts beyond `max_running` if that is so in every branch, because no slot
    might ever become free: the one that was started at the greatest depth. So of those beyond, each is deeper than the
    one before, and there are never more than `max_depth`.

    Args:
        settings: those in force.
        registry: the tasks.
    """
    if not registry.queued:
        return None
    free = settings.max_running - registry.running
    weakest = max((claim for claim in Claim if free > _kept_of_slots(settings, claim)), default=None)
    task = registry.queue.first(weakest) if weakest is not None else None
    if task is None and (registry.has_waiting_branch if free > 0 else registry.all_wait_for_queued):
        task = registry.queue.first_of_the_deepest(registry.is_in_waiting_branch)
    if task is not None:
        registry.start(task)
    return task


def check(
    request: RunTask, caller: Caller, parent: Task | None, *, team: Team, working_directory: str
) -> tuple[str, ...]:
    """Refuse what must not run whatever else does; return its chain of agents."""
    settings = team.settings
    above = parent.chain if parent is not None else tuple(filter(None, [caller.agent]))
    chain = (*above, f"{request.agent}()" if request.call else request.agent)
    if parent is not None:
        _check_right(request, parent)
    if not request.call:
        _check_agent(request, caller, parent, chain, team=team)
    if len(chain) > settings.max_depth:
        raise DelegationError(
            f"The chain of agents would be {len(chain)} deep, and {settings.max_depth} is the limit: "
            f"{' → '.join(chain)}. Do the work yourself."
        )
    if request.options.place:
        _check_place(request.options.place, settings)
    if not request.call:
        check_requirements(team, request.agent, working_directory, request.options.place)
    if parent is not None and parent.status not in {"running", "waiting"}:
        raise RunError(f"Task {parent.id} is {parent.status} and cannot start others.")
    return chain


def _check_room(caller: Caller, parent: Task | None, *, settings: Settings, registry: TaskRegistry) -> bool:
    """Return whether there is a slot for a new task; refuse it if there is no place in the queue either.

    Refuse it, too, if too many ends wait to be read. Changes nothing.
    """
    # Those of tasks count apart: none can fill the place of the others, nor that of the host.
    unread = registry.unread(of_tasks=parent is not None)
    # A program that starts as many as may be queued, and reads their results then, is not refused in the midst of it.
    room = settings.max_tasks + (settings.max_queued if parent is None else 0)
    if unread >= room:
        raise UnreadResultsError(
            f"{registry.ended_count} tasks are remembered, and {room} is the limit: "
            f"{unread} have ended whose results nobody has read. View one of those."
        )
    most = room - settings.max_tasks // _OTHERS_SHARE
    is_one_of_many = caller.id is not None and (parent is None or not parent.is_root)
    if is_one_of_many and registry.unread_of(caller.id or "") >= most:
        raise UnreadResultsError(
            f"{most} tasks that you have started have ended, and you have neither read their results nor been told of "
            "them; no more are remembered. View one of those, or start others when you have been told."
        )
    free = settings.max_running - registry.running
    if caller.is_person:
        return True  # a root takes up no slot
    if (
        free > 0
        and not registry.queue.has_any_of(caller.id)
        and free > _kept_of_slots(settings, registry.claim(parent))
    ):
        return True
    places = settings.max_queued - registry.queued
    kept = _kept_of_places(settings, parent, registry)
    if places > kept:
        return False
    running = f"{registry.running} of {settings.max_running} tasks are running"
    queued = f" and {registry.queued} of {settings.max_queued} are queued" if settings.max_queued else ""
    if places > 0 or (not settings.max_queued and registry.running < settings.max_running):
        raise CapacityError(
            f"{running}{queued}, and the rest is kept for others than you and those whom you have started. "
            "Wait until one of yours ends, or stop one."
        )
    if not settings.max_queued:
        running = f"{registry.running} tasks are running, and {settings.max_running} is the limit"
    raise CapacityError(f"{running}{queued}. Wait until one ends, or stop one.")


def _check_right(request: RunTask, parent: Task) -> None:
    """Refuse what no code of a task has asked for: a model starts agents, and nothing else."""
    options = request.options
    has_call = request.call and not request.is_ours
    is_changed = options.restart or options.workdir or options.place is not None
    if (has_call or is_changed) and not parent.setup.agent.has_own_code:
        raise RunError(
            f"Agent {parent.agent!r} runs no code of its own, so it can start agents only, and as the team file has "
            "them: without a function, and without a restart policy, a working directory or a place of the caller's."
        )
    if request.call and not 0 < len(request.agent) <= LONGEST_NAME:
        raise RunError(
            f"The name of a function's task has {len(request.agent):,} characters; 1 to {LONGEST_NAME} may be."
        )


def _check_place(name: str, settings: Settings) -> None:
    if name not in (known := [place.name for place in settings.places]):
        there = f"Places: {', '.join(known)}." if known else "This runtime has none: give it some as `places`."
        raise RunError(f"There is no place {one_line(name, 100)!r}. {there}")


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


def _kept_of_slots(settings: Settings, claim: Claim) -> int:
    """Return how many slots those with this claim cannot take."""
    most = {Claim.ALL: 0, Claim.FIRST: 1, Claim.MORE: _MOST_FOR_OTHERS}[claim]
    return min(settings.max_running // _OTHERS_SHARE, most)


def _kept_of_places(settings: Settings, parent: Task | None, registry: TaskRegistry) -> int:
    """Return how many places in the queue a caller cannot take, by whether its branch has something queued already."""
    if parent is None or parent.is_root:
        return 0
    share = settings.max_queued // _OTHERS_SHARE
    return share if registry.first_of_branch(parent).queued_below else share // 2
