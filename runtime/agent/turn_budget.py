"""Turn budget: whether an agent may take another turn, and what its model is told of that."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import LoopError
from ..models.base import Turn
from ..tasks.spending import AskTurn, Spent, TurnLeave

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..tasks.gateway import Gateway
    from ..team.config import AgentConfig

__all__ = ["BudgetWay", "TurnBudget"]

_NEARLY: Final = 0.8
"""The share of the turns after which the model is told."""


class BudgetWay(NamedTuple):
    """The way of a task to the keeper of its budget.

    Attributes:
        gateway: to ask.
        tell: to tell what a turn has cost.
    """

    gateway: Gateway
    tell: Callable[[Spent], None]


class TurnBudget:
    """See the module. For the event loop of one run of an agent's loop.

    Args:
        agent: for its `max_iterations`.
        way: asks about tokens and dollars; None: there is no budget of these.
        iterations: the limit on turns, after which there is one more without tools; None: `max_iterations` is none that
            the agent is told of, and ends the loop as it is.

    Attributes:
        limit: the limit that has ended the loop, as a sentence; empty while it goes on.
        is_over: whether there may not even be a last turn, without tools.
        unsaid: what the model has to know for its next turn, and no message tells it yet.
    """

    def __init__(self, agent: AgentConfig, way: BudgetWay | None = None, iterations: int | None = None) -> None:
        self._agent = agent
        self._most = agent.max_iterations
        self._is_limit = iterations is not None and iterations <= self._most
        self._way = way
        self._turns = 0
        self._leave: TurnLeave | None = None
        self.limit = ""
        self.is_over = False
        self.unsaid = ""

    @property
    def was_last_turn(self) -> bool:
        """Whether no turn is left after the one that was counted last."""
        return 0 < self._most <= self._turns

    def count(self, turn: Turn) -> None:
        """Count a turn, whose tools have not been called yet: they may start tasks that use the same budget."""
        self._turns += 1
        if self._way is not None and turn.tool_calls:
            self._way.tell(Spent(turn.usage))

    async def note(self) -> str:
        """Return what the model should know of its budget, once the tools of a turn have answered; empty if nothing."""
        notes, self.unsaid = [self.unsaid, self._note_of_turns()], ""
        if self._way is not None:
            self._leave = await self._ask(AskTurn())
            notes.append(self._leave.note)
        return "\n".join(filter(None, notes))

    async def is_at_its_end(self) -> bool:
        """Whether there is no other turn with tools; waits for tasks that hold the rest of the budget.

        Raises:
            LoopError: `max_iterations` is reached.
        """
        if self.was_last_turn:
            self.limit = self._limit_of_turns()
        leave, self._leave = self._leave, None
        if self._way is not None and not self.limit:
            if leave is None or leave.must_wait:
                leave = await self._ask(AskTurn(wait=True))
                self.unsaid = leave.note
            self.limit, self.is_over = leave.limit, leave.is_over
        return bool(self.limit)

    async def _ask(self, request: AskTurn) -> TurnLeave:
        assert self._way is not None  # noqa: S101 - the callers have looked
        return await asyncio.wrap_future(self._way.gateway.ask(request))

    def _note_of_turns(self) -> str:
        if not self._is_limit:
            return ""
        if self.was_last_turn:
            return (
                f"[Budget: that was the last of your {self._most} turns with tools. You have one more, without tools. "
                "Hand back what there is: what is done, what you have found out, and what is missing.]"
            )
        if self._turns == min(math.ceil(_NEARLY * self._most), self._most - 1):
            return f"[Budget: {self._turns} of your {self._most} turns are over. Come to an end.]"
        return ""

    def _limit_of_turns(self) -> str:
        sentence = (
            f"Agent {self._agent.name!r} reached max_iterations ({self._most}) without a final answer; raise it (or "
            "`limits: iterations`) in the team file, or give the agent a smaller task."
        )
        if not self._is_limit:
            raise LoopError(sentence)
        return f"LoopError: {sentence}"  # the reason is the same by either name of the limit
