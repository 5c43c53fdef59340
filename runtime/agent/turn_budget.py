"""Turn budget: whether an agent may take another turn, and what its model is told of that."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import LoopError
from ..models.base import Turn
from ..tasks.turns import AskTurn, Spent, TurnLeave

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..tasks.gateway import Gateway
    from ..team.config import AgentConfig, Limits

__all__ = ["BudgetWay", "TurnBudget"]

_NEARLY: Final = 0.8
"""The share of its turns, and of its time, after which the model is told."""

_KEPT: Final = 0.1
_LEAST_KEPT: Final = 2.0
_MOST_KEPT: Final = 30.0
_ANSWERS_KEPT: Final = 1.5
"""What is kept of its time for the last turn: this share of all, within these seconds, but never less than this many
times its longest answer so far; and never more than half of all. Tools need some of it to end."""

_JUST_OVER: Final = 0.25
"""Seconds by which the host may have seen before this process that its time is over."""

_HAND_BACK: Final = "Hand back what there is: what is done, what you have found out, and what is missing."


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
        way: asks about tokens, dollars and time; None: there is no budget of these.
        limits: of the task; after `iterations` turns there is one more without tools. Without them `max_iterations` is
            nothing that the agent is told of, and ends the loop as it is.

    Attributes:
        is_time_up: whether tools are cut short, as the rest of the time is for the last turn.
        limit: the limit that has ended the loop, as a sentence; empty while it goes on.
        is_over: whether there may not even be a last turn, without tools.
        unsaid: what the model has to know for its next turn, and no message tells it yet.
    """

    def __init__(self, agent: AgentConfig, way: BudgetWay | None = None, limits: Limits | None = None) -> None:
        self._agent = agent
        self._most = agent.max_iterations
        iterations = limits.iterations if limits is not None else None
        self._is_limit = iterations is not None and iterations <= self._most
        self._wall_clock = limits.wall_clock if limits is not None else None
        self._is_near_end = False
        self._end: float | None = None
        """When (monotonic) its time is up, as far as that is known."""
        self._began = 0.0
        """When the model was asked last."""
        self._longest = 0.0
        """Seconds of the longest answer of the model so far."""
        self.is_time_up = False
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
        self._longest = max(self._longest, time.monotonic() - self._began)
        if self._way is not None and turn.tool_calls:
            self._way.tell(Spent(turn.usage))

    async def note(self, waits: Callable[[], None]) -> str:
        """Return what the model should know of its budget, once the tools of a turn have answered; empty if nothing.

        Waits for tasks that hold the rest of the budget, so that what is told then is told of them, too.

        Args:
            waits: is called before that.
        """
        notes, self.unsaid = [self.unsaid, self._note_of_turns()], ""
        if self._way is not None:
            leave = await self._ask(AskTurn())
            if leave.must_wait and not self._is_out_of_time():
                waits()
                notes.append(leave.note)
                leave = await self._wait_for_leave()
            self._leave = leave
            notes += ["" if leave.must_wait else leave.note, "" if leave.limit else self._note_of_time()]
        return "\n".join(filter(None, notes))

    async def _wait_for_leave(self) -> TurnLeave:
        """Return the answer, or after all the time that there is, that it still has to wait."""
        asked = asyncio.ensure_future(self._ask(AskTurn(wait=True)))
        try:
            await asyncio.wait([asked], timeout=None if self._end is None else max(0.0, self._time_left()))
        finally:
            if not asked.done():
                asked.cancel()
        return asked.result() if asked.done() else TurnLeave(must_wait=True)

    async def is_at_its_end(self) -> bool:
        """Whether there is no other turn with tools; waits for tasks that hold the rest of the budget.

        Raises:
            LoopError: `max_iterations` is reached.
        """
        if self.was_last_turn:
            self.limit = self._limit_of_turns()
        leave, self._leave = self._leave, None
        if self._way is not None and not self.limit:
            if leave is None:
                leave = await self._ask(AskTurn())
                if leave.must_wait and not self._is_out_of_time():
                    leave = await self._wait_for_leave()
                self.unsaid = "" if leave.must_wait else leave.note
            self.limit, self.is_over = leave.limit, leave.is_over
        if not self.limit and self._is_out_of_time():
            self.limit = self._limit_of_time()
        self._began = time.monotonic()
        return bool(self.limit)

    async def wait_for(self, tools: Collection[asyncio.Task[Any]]) -> None:
        """Wait until tools have answered; those are cancelled that would leave no time for a last turn."""
        running = set(tools)
        if self._end is None and self._wall_clock is not None and self._way is not None:
            await self._ask(AskTurn(only_time=True))  # no turn has been asked for yet
        while running and self._end is not None:
            _, running = await asyncio.wait(running, timeout=max(0.0, self._time_left()))
            if running and self._is_out_of_time():
                await self._ask(AskTurn(only_time=True))  # its time may have stood still meanwhile
                if self._is_out_of_time():
                    self.is_time_up = True
                    for tool in running:
                        tool.cancel()
                    return

    async def _ask(self, request: AskTurn) -> TurnLeave:
        assert self._way is not None  # noqa: S101 - the callers have looked
        leave: TurnLeave = await asyncio.wrap_future(self._way.gateway.ask(request))
        self._end = None if leave.seconds is None else time.monotonic() + leave.seconds
        return leave

    def time_reached(self) -> str:
        """Return the limit on time as a sentence, if its time is over; else nothing."""
        if self._end is None or time.monotonic() < self._end - _JUST_OVER:
            return ""
        return f"The limit wall_clock of {self._wall_clock:g} s was reached."

    def _kept(self) -> float:
        """Return the seconds that are kept for its last turn; only where its time has a limit."""
        assert self._wall_clock is not None  # noqa: S101 - the callers have looked
        share = min(max(_KEPT * self._wall_clock, _LEAST_KEPT), _MOST_KEPT)
        return min(max(share, _ANSWERS_KEPT * self._longest), self._wall_clock / 2)

    def _time_left(self) -> float:
        """Return the seconds until its last turn has to begin; only where its time has a limit."""
        assert self._end is not None  # noqa: S101 - the callers have looked
        return self._end - time.monotonic() - self._kept()

    def _is_out_of_time(self) -> bool:
        return self._end is not None and self._time_left() <= 0

    def _note_of_time(self) -> str:
        if self._end is None or self._wall_clock is None:
            return ""
        ran = self._wall_clock - (self._end - time.monotonic())
        if self._is_out_of_time():
            return f"[Budget: {self._limit_of_time()} You have no tools any more. {_HAND_BACK}]"
        if self._is_near_end or ran < _NEARLY * (self._wall_clock - self._kept()):
            return ""
        self._is_near_end = True
        return (
            f"[Budget: {ran:.1f} of the {self._wall_clock:g} s that you may run are over, and {self._kept():.1f} s are "
            "kept for a last turn without tools. Come to an end.]"
        )

    def _limit_of_time(self) -> str:
        ran = (self._wall_clock or 0.0) - ((self._end or 0.0) - time.monotonic())
        limit = f"The limit wall_clock of {self._wall_clock:g} s was reached"
        return f"{limit}: it had run for {ran:.1f} s, and the rest is for its last turn."

    def last_note(self) -> str:
        """Return what the model should know of its last turn, once its time is up."""
        return self._note_of_time() if self._is_out_of_time() else ""

    def _note_of_turns(self) -> str:
        if not self._is_limit:
            return ""
        if self.was_last_turn:
            return (
                f"[Budget: that was the last of your {self._most} turns with tools. You have one more, without tools. "
                f"{_HAND_BACK}]"
            )
        if self._turns == min(math.ceil(_NEARLY * self._most), self._most - 1):
            return f"[Budget: {self._turns} of your {self._most} turns are over. Come to an end.]"
        return ""

    def _limit_of_turns(self) -> str:
        if not self._is_limit:
            raise LoopError(
                f"Agent {self._agent.name!r} reached max_iterations ({self._most}) without a final answer; raise it in "
                "the team file, or give the agent a smaller task."
            )
        return (
            f"The limit iterations of {self._most} was reached: it had taken {self._turns} turns without a final "
            "answer. Raise it where it was given, in the team file or at the start of the task, or give a smaller task."
        )
