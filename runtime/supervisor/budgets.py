"""Budgets: what tasks may use of tokens and dollars, with all tasks that they start, each counted once.

A task with such a limit has a purse. What a task uses comes out of its purse, and counts in every purse above. A task
without a limit of its own uses the purse of whoever started it. A limit that was asked for at dispatch is reserved in
the purse above, as far as that has as much left. What is left of it when its task ends is given back.

No task goes beyond a limit by more than one of its turns. An agent asks before each turn, which is taken to cost as
much as its largest so far, and claims that until its end. Where the turn does not fit, it is the agent's last. There is
no last turn for one that has not begun, nor after a turn that has cost more than its claim, and more than there was,
nor a second one for a next attempt. A queued task does not start where nothing is left. What is reserved for a task
does not hold where others have gone beyond theirs: nothing may be used that a purse above does not have any more.

Where a turn would fit, were it not for what is reserved for tasks of the agent's own, it waits until one of those has
ended. It does not wait while one of its own asks it something, or it was sent a message: such a turn comes out of what
is reserved, as far as nobody has used that. For what is reserved for others it waits as long as that may come back:
while one of them goes on. One that is queued, or has tasks that are, might wait for the slot of the agent itself. One
might wait for what is reserved for the agent itself, if all that is at work below it waits for its own next turn.

In the supervisor's thread only. It ends no task.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from ..errors import BudgetError
from ..models.base import Usage
from ..tasks.gateway import ReplyTo
from ..tasks.messages import TurnEnded
from ..tasks.turns import AskTurn, Spent, TurnLeave
from ..tasks.wording import dollars
from ..team.config import Limits
from ..team.prices import price_fault
from .budget_views import seconds_left
from .doing import end_pause
from .purse import NOTHING, Purse, Unit
from .registry import TaskRegistry

if TYPE_CHECKING:
    from ..team.config import AgentConfig
    from .attempt import Attempt
    from .task import Task

__all__ = ["Budgets", "check_prices"]

_UNITS: Final[tuple[Unit, ...]] = ("tokens", "cost")

_NEARLY: Final = 0.8
"""The share of a limit from which on its task is told."""

_LAST: Final = (
    "[Budget: {limit} This is your last turn, and you have no tools any more. Hand back what there is: what is done, "
    "what you have found out, and what is missing.]"
)


class Budgets:
    """See the module.

    Args:
        registry: the tasks.
    """

    def __init__(self, registry: TaskRegistry) -> None:
        self._registry = registry
        self._waiting: dict[str, ReplyTo] = {}

    @property
    def waiting(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return list(self._waiting.values())

    def open(self, task: Task, parent: Task | None, *, asked: Limits | None, own: Limits | None) -> None:
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
        if limits.wall_clock is not None and task.setup.agent.entrypoint is None:
            task.spec = msgspec.structs.replace(task.spec, has_budget=True)
        if limits.tokens is None and limits.cost is None and (parent is None or not parent.purses):
            return
        above = {purse.unit: purse for purse in parent.purses} if parent is not None else {}
        for unit in _UNITS:
            if unit in above and above[unit].left <= NOTHING:
                raise BudgetError(_nothing_left(above[unit]))
        if limits.cost is not None or "cost" in above:
            check_prices(task.setup.agent)
        task.purses = tuple(
            purse
            for unit in _UNITS
            if (purse := _purse(unit, task, above.get(unit), getattr(asked, unit, None), getattr(own, unit, None)))
            is not None
        )
        task.spec = msgspec.structs.replace(task.spec, has_budget=True)

    def close(self, task: Task) -> None:
        """Give back what a task that has ended has not used of what was reserved for it."""
        for purse in task.purses:
            purse.set_claim(task.id, 0)
            if purse.holder == task.id:
                purse.give_back()

    def look_again(self) -> None:
        """See which of the tasks that wait need not, or must not, wait any more: one has ended, or was queued."""
        for task_id in list(self._waiting):
            self.look_at(task_id)

    def used_up(self, task: Task) -> str:
        """Return the limit, as a sentence, of which nothing is left for a task that is about to start; else nothing."""
        for purse in task.purses:
            if purse.is_used_up:
                return _reached(task, purse.narrowest(task.id)[0])
        return ""

    # --- what is used -----------------------------------------------------------------------------------------------

    def count(self, task: Task, attempt: Attempt, report: TurnEnded | Spent) -> list[tuple[Task, str]]:
        """Count what a turn has used; return the tasks to end for a limit, each with the limit as a sentence."""
        usage = report.usage
        if isinstance(report, TurnEnded):
            self._registry.add_usage(task, usage)
        counted, attempt.spent = attempt.spent, usage if isinstance(report, Spent) else None
        ends: list[tuple[Task, str]] = []
        is_new = False
        for purse in task.purses:
            amount = _amount_of(purse.unit, usage)
            if usage.estimated:
                purse.note_estimate()
            if counted is not None:  # it is that of a turn whose end has come now; the claim is the next one's
                purse.spend(max(0, amount - _amount_of(purse.unit, counted)))
            else:
                task.turns.largest[purse.unit] = max(amount, task.turns.largest.get(purse.unit, 0))
                task.turns.has_gone_beyond |= purse.spend_turn(task.id, amount)
                is_new = True
            for full in purse.exceeded:
                ends += self._ends_of(full, task)
        if is_new:
            for owner in task.owners:  # one that waits may have room now
                self.look_at(owner)
        return ends

    def _ends_of(self, full: Purse, task: Task) -> list[tuple[Task, str]]:
        """Return whom a limit ends at once: functions. Agents come to their end by themselves, when they ask."""
        holder = self._registry.get(full.holder)
        if holder is not None:
            holder.limit_exceeded = _reached(holder, full)
        return [
            (user, _reached(user, full))
            for user in dict.fromkeys((task, holder))
            if user is not None and not user.is_over and user.setup.agent.entrypoint is not None
        ]

    # --- turns ------------------------------------------------------------------------------------------------------

    def ask(self, task: Task | None, request: AskTurn, reply_to: ReplyTo) -> None:
        """Answer whether a task may take its next turn, or keep the request; `forget` it with its process."""
        leave = self._leave(task) if task is not None and not request.only_time else TurnLeave()
        if task is not None and leave.must_wait and request.wait:
            if (before := self._waiting.pop(task.id, None)) is not None:
                before.set(leave)
            self._waiting[task.id] = reply_to
            task.turns.waits_since = time.monotonic()
            return
        reply_to.set(_timed(leave, task))

    def forget(self, task_id: str) -> None:
        """Forget what a task has asked: its process has ended. What its last turn has used, it used."""
        self._waiting.pop(task_id, None)
        task = self._registry.get(task_id)
        if task is None or task.attempt is None:
            return
        task.turns.waits_since = None
        # Its next attempt has no second last turn.
        task.turns.has_gone_beyond |= task.turns.is_at_end
        for purse in task.purses:
            purse.set_claim(task.id, 0)
        if task.attempt.spent is not None:
            self._registry.add_usage(task, task.attempt.spent)
            task.attempt.spent = None

    def look_at(self, task_id: str | None) -> None:
        """See whether a task that waits for its next turn may take it: it is asked, or told, or something came back."""
        task = self._registry.get(task_id) if task_id in self._waiting else None
        if task is not None and not (leave := self._leave(task)).must_wait:
            end_pause(task)
            self._waiting.pop(task.id).set(_timed(leave, task))

    def _leave(self, task: Task) -> TurnLeave:
        """Return whether a task may take its next turn, and claim what it may cost."""
        notes: list[str] = []
        for purse in task.purses:
            narrow, room = purse.narrowest(task.id)
            need = _need(task, narrow)
            if task.turns.has_gone_beyond or room < need:
                lacking = need - room
                lent = 0.0 if task.turns.has_gone_beyond else self._lent_to_own(task, narrow)
                if not 0 < lacking <= lent:
                    # Beyond what is reserved for the task itself, what is reserved for others does not narrow it.
                    is_shared = not task.turns.has_gone_beyond and narrow in purse.up()
                    if is_shared and 0 < lacking <= lent + self._lent_to_others(task, narrow):
                        return TurnLeave(note=_reserved(narrow), must_wait=True)
                    return _end(task, purse, narrow)
                if not self._has_to_answer(task) or narrow.room_in_all(task.id) < need:
                    return TurnLeave(note=_reserved(narrow), must_wait=True)
                notes.append(_out_of_reserved(narrow))
            elif purse.unit not in task.turns.told_of and narrow.limit - narrow.spent <= max(
                (1 - _NEARLY) * narrow.limit, 2 * need
            ):
                task.turns.told_of.add(purse.unit)
                notes.append(_nearly(task, narrow))
        task.turns.is_at_end = False
        for purse in task.purses:
            purse.set_claim(task.id, _need(task, purse))
        return TurnLeave(note="\n".join(notes))

    def _has_to_answer(self, task: Task) -> bool:
        """Whether somebody waits for a turn of a task: what it has started asks it, or it was told something."""
        if task.letters is not None and task.letters.waiting:
            return True
        own = self._registry.unended_tasks(task.id) if task.setup.is_asked else ()
        return any(question.to == "owner" for each in own if each.parent == task.id for question in each.questions)

    def _lent_to_own(self, task: Task, purse: Purse) -> float:
        """Return how much of a purse is reserved, and not used, for tasks that a task has started."""
        holders = (self._registry.get(holder) for holder in purse.reserved)
        return sum(purse.reserved[each.id].unused for each in holders if each is not None and task.id in each.owners)

    def _lent_to_others(self, task: Task, purse: Purse) -> float:
        """Return how much of a purse is reserved for others and may come back; 0 if none of them goes on."""
        holders = [self._registry.get(holder) for holder in purse.reserved]
        others = [each for each in holders if each is not None and not each.is_over and task.id not in each.owners]
        if not any(map(self._goes_on, others)):
            return 0.0
        return sum(purse.reserved[each.id].unused for each in others)

    def _goes_on(self, holder: Task) -> bool:
        """Whether a task is at work, or one below it, that waits for no other: some day it ends, and all look again.

        So the last one at work never waits for others. Whoever has started tasks may wait for them.
        """
        if not holder.has_slot or holder.queued_below:
            return False
        tree = [holder, *(self._registry.unended_tasks(holder.id) if holder.running_below else ())]
        starters = {each.parent for each in tree}
        return any(each.id not in starters and each.id not in self._waiting for each in tree)


def _end(task: Task, purse: Purse, narrow: Purse) -> TurnLeave:
    """Return that a task has no turn left but a last one, or not even that: it has gone beyond, or has not begun."""
    limit = _reached(task, narrow)
    task.turns.is_at_end = True
    is_over = task.turns.has_gone_beyond or purse.unit not in task.turns.largest
    return TurnLeave(note=_LAST.format(limit=limit), limit=limit, is_over=is_over)


def _amount_of(unit: Unit, usage: Usage) -> float:
    return usage.input_tokens + usage.output_tokens if unit == "tokens" else usage.cost


def _need(task: Task, purse: Purse) -> float:
    """Return what the next turn of a task may use: as much as its largest, or before the first, the largest of all."""
    return max(task.turns.largest.get(purse.unit, purse.largest_turn), NOTHING)


def _timed(leave: TurnLeave, task: Task | None) -> TurnLeave:
    """Return an answer with the time that a task has left, if that has a limit."""
    seconds = seconds_left(task) if task is not None else None
    return leave if seconds is None else msgspec.structs.replace(leave, seconds=seconds)


def _purse(unit: Unit, task: Task, above: Purse | None, asked: float | None, own: float | None) -> Purse | None:
    limit: float | None = getattr(task.setup.limits, unit)
    if limit is None or above is None:
        return above if limit is None else Purse(unit, limit, task.id, task.agent, None, is_reserved=False)
    is_reserved = asked is not None or (own is not None and own <= above.left)
    return Purse(unit, min(limit, above.left), task.id, task.agent, above, is_reserved=is_reserved)


def check_prices(agent: AgentConfig) -> None:
    """Refuse a limit on cost for an agent with a model that has no price; raises BudgetError."""
    if fault := price_fault(agent):
        raise BudgetError(fault)


# --- in words -------------------------------------------------------------------------------------------------------


def _reached(task: Task, purse: Purse) -> str:
    """Return that a limit is reached, as a sentence for the reason of a task that uses the purse."""
    who = "it" if purse.holder == task.id else "they"
    whose = "" if purse.holder == task.id else f", which {purse.agent} ({purse.holder}) has for all its tasks,"
    used = f"{who} had used {_amount(purse, purse.spent)}"
    if purse.is_estimated:
        used += " by an estimate, as a model's server does not say what it counts"
    if purse.lent > NOTHING:
        used += f", {_amount(purse, purse.lent)} were reserved for tasks that had not ended"
    if purse.spent < purse.limit:
        used += ", and another turn may be too much"
    return f"The limit {purse.unit} of {_amount(purse, purse.limit)}{whose} was reached: {used}."


def _nearly(task: Task, purse: Purse) -> str:
    whose = "you may use with all tasks that you start"
    if purse.holder != task.id:
        whose = f"{purse.agent} may use with all its tasks, you among them"
    share = 100 * purse.spent / purse.limit
    lent = (
        f", {_amount(purse, purse.lent)} of it reserved for tasks that have not ended" if purse.lent > NOTHING else ""
    )
    return (
        f"[Budget: {_amount(purse, purse.spent)} of the {_amount(purse, purse.limit)}{_tokens(purse)} are used "
        f"({share:.0f} %) that {whose}; {_amount(purse, purse.limit - purse.spent)} are left"
        f"{lent}. Come to an end: when nothing is left, you have one more turn, without tools.]"
    )


def _reserved(purse: Purse) -> str:
    return (
        f"[Budget: {_amount(purse, purse.lent)} of the {_amount(purse, purse.limit)}{_tokens(purse)} that "
        f"{purse.agent} may use are reserved for tasks that have not ended, and what is left is not enough for another "
        "turn. So your next turn has waited for them.]"
    )


def _out_of_reserved(purse: Purse) -> str:
    return (
        f"[Budget: {_amount(purse, purse.lent)} of the {_amount(purse, purse.limit)}{_tokens(purse)} that "
        f"{purse.agent} may use are reserved for tasks that have not ended. You have this turn all the same, as one of "
        "them waits for your answer, or you were sent a message; it comes out of what is reserved. Answer first.]"
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
        f"({purse.holder}) has: {_amount(purse, purse.spent)} is used{lent}. {remedy}"
    )


def _tokens(purse: Purse) -> str:
    return " tokens" if purse.unit == "tokens" else ""


def _amount(purse: Purse, amount: float) -> str:
    return f"{max(0.0, amount):,.0f}" if purse.unit == "tokens" else dollars(max(0.0, amount))
