"""Groups: an agent's tasks for many items, started by one call, as the work of one task of ours.

That task is the group: it is waited for, viewed and stopped as any other, its limits are those of all items together,
and the items' tasks end with it. Its function is ours, so a caller that may start no functions may start a group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ..errors import DelegationError, EmptyTaskError, RunError
from ..tasks.gateway import Caller
from ..tasks.group_request import LONGEST_ITEMS, Group, MapAgent
from ..tasks.messages import RunOptions, RunTask
from ..team.config import Team
from .admission import check
from .budgets import check_prices
from .registry import TaskRegistry

if TYPE_CHECKING:
    from .task import Task

__all__ = ["GroupTask", "encode_group", "group_task"]

_ITEM: Final = "{item}"


class GroupTask(RunTask, frozen=True, tag="group"):
    """A request for the task that is a group. Made here only: what tasks send is never decoded as one.

    Attributes:
        target: the agent that does the items.
        wanted: what was asked for.
        earlier: the file of the group whose items are run again; empty: there is none.
    """

    target: str = ""
    wanted: MapAgent = MapAgent()
    earlier: str = ""

    @property
    def is_ours(self) -> bool:
        """It is."""
        return True

    def remembered(self, file: str) -> Group:
        """Return what is remembered of the group."""
        return Group(msgspec.structs.replace(self.wanted, items=[]), file)


def group_task(
    request: MapAgent,
    caller: Caller,
    parent: Task | None,
    *,
    team: Team,
    registry: TaskRegistry,
    working_directory: str,
) -> GroupTask:
    """Return the request for a group's task.

    Raises:
        RunError: it must not run; the type and the message say why, and what would be right.
    """
    earlier = ""
    calling = request.calling
    if request.retry:
        group = _group_to_retry(request.retry, caller, registry)
        earlier = group.file
        request = msgspec.structs.replace(
            group.request, concurrency=request.concurrency, limits=request.limits, retry=request.retry
        )
    elif not request.items:
        raise EmptyTaskError("There are no items. Give 1 to 1,000 of them.")
    elif _ITEM not in request.task:
        raise RunError(f"The task does not say where the item goes. Write {_ITEM} in it, which stands for the item.")
    elif sum(map(len, request.items)) > LONGEST_ITEMS:
        raise RunError(
            f"The items have {sum(map(len, request.items)):,} characters, and {LONGEST_ITEMS:,} is the limit. Give the "
            "names of files in place of their texts, or make two groups."
        )
    wanted = RunTask(request.agent, request.task, request.expected_output)
    chain = check(wanted, caller, parent, team=team, working_directory=working_directory)
    if len(chain) + 1 > team.settings.max_depth:
        raise DelegationError(
            f"With a group between them the chain of agents would be {len(chain) + 1} deep, and "
            f"{team.settings.max_depth} is the limit: {' → '.join(chain)}. Do the work yourself."
        )
    is_limited = parent is not None and any(purse.unit == "cost" for purse in parent.purses)
    if is_limited or (request.limits is not None and request.limits.cost is not None):
        check_prices(team.agents[request.agent])
    return GroupTask(
        f"map_{request.agent}",
        request.task,
        options=RunOptions(limits=request.limits),
        notify=request.notify,
        calling=calling,
        call=b"group",
        target=request.agent,
        wanted=request,
        earlier=earlier,
    )


def encode_group(request: GroupTask, file: str, *, max_running: int) -> bytes:
    """Return the call of our function that does the work of a group.

    Args:
        request: what it is to do.
        file: for items and results.
        max_running: tasks that may run at a time.
    """
    from ..child.fan_out import GroupWork, run_group  # noqa: PLC0415 - few runs have groups
    from ..tasks.calls import encode_call  # noqa: PLC0415 - as above

    wanted = request.wanted
    work = GroupWork(
        agent=request.target,
        task=wanted.task,
        items=tuple(wanted.items),
        file=file,
        concurrency=min(wanted.concurrency or max_running, max_running),
        expected_output=wanted.expected_output,
        output_schema=wanted.output_schema,
        turns=wanted.turns,
        earlier=request.earlier,
    )
    call = encode_call(run_group, (work,), {}, "", by_value=False)
    assert call is not None  # noqa: S101 - both have names that every process of ours finds
    return call[0]


def _group_to_retry(task_id: str, caller: Caller, registry: TaskRegistry) -> Group:
    task = registry.find(task_id, caller)
    if task.group is None:
        raise RunError(f"Task {task.id} is not a group of map_background_agent. Start it again by itself.")
    if not task.is_over:
        raise RunError(f"The group {task.id} is {task.status}. Its failed items can be run again when it has ended.")
    return task.group
