"""Budgets: what tasks may use of tokens and dollars, with all tasks that they start, each counted once.

A task with such a limit has a purse. What a task uses comes out of its purse, and counts in every purse above. A task
without a limit of its own uses the purse of whoever started it. A limit that was asked for at dispatch is reserved in
the purse above, as far as that has as much left. What is left of it when its task ends is given back.

Bookkeeping in the supervisor's thread only. It says what is reached, in a sentence, and ends no task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import BudgetError
from ..models.base import Usage
from ..tasks.views import Budget
from ..tasks.wording import dollars
from ..team.config import Limits
from .purse import NOTHING, Purse, Unit

if TYPE_CHECKING:
    from ..team.config import AgentConfig
    from .task import Task

__all__ = ["budget_of", "give_back", "open_purses", "spend"]

_UNITS: Final[tuple[Unit, ...]] = ("tokens", "cost")


def open_purses(task: Task, parent: Task | None, *, asked: Limits | None, own: Limits | None) -> None:
    """Give a new task its purses.

    Args:
        task: the task; its setup has the limits in force.
        parent: who starts it, if that is a task.
        asked: the limits that were asked for at dispatch.
        own: those that its agent has of its own. They are reserved, too, if there is as much left.

    Raises:
        BudgetError: nothing is left for it, or it would have a limit on cost, and a model without a price.
    """
    limits = task.setup.limits
    if limits.tokens is None and limits.cost is None and (parent is None or not parent.purses):
        return
    above = {purse.unit: purse for purse in parent.purses} if parent is not None else {}
    for unit in _UNITS:
        if unit in above and above[unit].left <= NOTHING:
            raise BudgetError(_nothing_left(above[unit]))
    if limits.cost is not None or "cost" in above:
        _check_prices(task.setup.agent)
    task.purses = tuple(
        purse
        for unit in _UNITS
        if (purse := _purse(unit, task, above.get(unit), getattr(asked, unit, None), getattr(own, unit, None)))
        is not None
    )


def _purse(unit: Unit, task: Task, above: Purse | None, asked: float | None, own: float | None) -> Purse | None:
    limit: float | None = getattr(task.setup.limits, unit)
    if limit is None or above is None:
        return above if limit is None else Purse(unit, limit, task.id, task.agent, None, is_reserved=False)
    is_reserved = asked is not None or (own is not None and own <= above.left)
    return Purse(unit, min(limit, above.left), task.id, task.agent, above, is_reserved=is_reserved)


def give_back(task: Task) -> None:
    """Give back what a task that has ended has not used of what was reserved for it."""
    for purse in task.purses:
        if purse.holder == task.id:
            purse.give_back()


def spend(task: Task, usage: Usage) -> str:
    """Count what a task has used; return the limit that is reached with it as a sentence, empty if none is."""
    for purse in task.purses:
        purse.spend(usage.input_tokens + usage.output_tokens if purse.unit == "tokens" else usage.cost)
    return next((reached(task, full) for purse in task.purses if (full := purse.exceeded) is not None), "")


def reached(task: Task, purse: Purse) -> str:
    """Return that a limit is reached, as a sentence for the reason of a task that uses the purse."""
    who = "it" if purse.holder == task.id else "they"
    whose = "" if purse.holder == task.id else f", which {purse.agent} ({purse.holder}) has for all its tasks,"
    return f"The limit {purse.unit} of {_amount(purse, purse.limit)}{whose} was reached: {who} had used {_used(purse)}."


def budget_of(task: Task) -> Budget | None:
    """Return what a new task may use; None if there is no limit."""
    turns, seconds = task.setup.agent.max_iterations, task.setup.limits.wall_clock
    if not task.purses and not turns and seconds is None:
        return None
    left = {purse.unit: purse.left for purse in task.purses}
    tokens = left.get("tokens")
    return Budget(
        turns=turns or None,
        tokens=int(tokens) if tokens is not None else None,
        cost=left.get("cost"),
        seconds=seconds,
        shared=tuple(purse.unit for purse in task.purses if purse.holder != task.id or purse.is_bounded_above),
    )


def _check_prices(agent: AgentConfig) -> None:
    unpriced = [model.reference for model in agent.models if model.cost is None]
    if unpriced:
        raise BudgetError(
            f"Agent {agent.name!r} cannot run with a limit on cost, as nobody knows what these models cost: "
            f"{', '.join(unpriced)}. Give each a `cost` under `models` in the team file ({{input: 0, output: 0}} if it "
            "costs nothing), or limit its tokens instead."
        )


def _nothing_left(purse: Purse) -> str:
    while purse.limit - purse.spent - purse.lent > NOTHING and purse.above is not None:
        purse = purse.above
    lent = f", and {_amount(purse, purse.lent)} is reserved for tasks that have not ended" if purse.lent > 0 else ""
    remedy = (
        "What they do not use comes back when they end: wait for one of them, or do without another task."
        if purse.lent > 0
        else "Do without another task."
    )
    return (
        f"Nothing is left of the limit {purse.unit} of {_amount(purse, purse.limit)} that {purse.agent} "
        f"({purse.holder}) has: {_used(purse)} is used{lent}. {remedy}"
    )


def _used(purse: Purse) -> str:
    return _amount(purse, purse.spent)


def _amount(purse: Purse, amount: float) -> str:
    return f"{amount:,.0f}" if purse.unit == "tokens" else dollars(max(0.0, amount))
