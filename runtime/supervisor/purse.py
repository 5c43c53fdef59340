"""Purse: what one task may use of tokens or dollars, with all that it starts. Keeps books, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = ["NOTHING", "Purse", "TurnBook", "Unit"]

Unit: TypeAlias = Literal["tokens", "cost"]

NOTHING: Final = 1e-9
"""Dollars that are none: sums of prices are not exact."""


@dataclass(eq=False, slots=True)
class TurnBook:
    """What is known of the turns of one task.

    Attributes:
        largest: the most that one of them has used.
        told_of: what its model was told of that is nearly used up.
        has_gone_beyond: whether one has gone beyond a limit on these, so that there is no last one either.
        is_at_end: whether it was told that its next turn is its last.
        waits_since: monotonic time since which its next turn waits for what is reserved for tasks; None: it does not.
    """

    largest: dict[Unit, float] = field(default_factory=dict)
    told_of: set[Unit] = field(default_factory=set)
    has_gone_beyond: bool = False
    is_at_end: bool = False
    waits_since: float | None = None


class Purse:
    """What one task, and those that it starts, may use of one unit.

    Attributes:
        unit: what is counted.
        limit: how much may be used.
        holder: id of the task whose limit it is.
        agent: that task's agent.
        above: the purse that counts this one, too; None if there is none.
        is_reserved: whether the limit is taken out of the purse above.
        spent: how much is used.
        is_estimated: whether some of that is an estimate.
        lent: how much is reserved for tasks below, and not used by them yet.
        reserved: the purses below for which that is, by the id of the task whose limit it is.
        largest_turn: the most that a turn has used.
        claims: how much the turns may cost that are under way, by the id of the task.
        claims_below: the same of turns that come out of what is reserved for tasks below.
    """

    __slots__ = (
        "above",
        "agent",
        "claims",
        "claims_below",
        "holder",
        "is_estimated",
        "is_reserved",
        "largest_turn",
        "lent",
        "limit",
        "reserved",
        "spent",
        "unit",
    )

    def __init__(
        self, unit: Unit, limit: float, holder: str, agent: str, above: Purse | None, *, is_reserved: bool
    ) -> None:
        self.unit = unit
        self.limit = limit
        self.holder = holder
        self.agent = agent
        self.above = above
        self.is_reserved = is_reserved
        self.spent: float = 0
        self.is_estimated = False
        self.lent: float = 0
        self.largest_turn: float = 0
        self.claims: dict[str, float] = {}
        self.claims_below: dict[str, float] = {}
        self.reserved: dict[str, Purse] = {}
        if is_reserved:
            self._lend_above(limit)

    @property
    def unused(self) -> float:
        """How much of the limit is not used yet; not below 0."""
        return max(0, self.limit - self.spent)

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left of it, or of a purse above."""
        return any(purse.limit - purse.spent <= NOTHING for purse in self.up(beyond_reserved=True))

    @property
    def left(self) -> float:
        """How much may be used or promised still.

        By this limit, and by those above that have not reserved it. Of those that have, what is not used is left at
        most: tasks that went beyond their own limits may have used what was reserved for others.
        """
        left = self.limit - self.spent - self.lent
        if self.above is None:
            return left
        if not self.is_reserved:
            return min(left, self.above.left)
        return min(left, *(above.limit - above.spent for above in self.above.up(beyond_reserved=True)))

    @property
    def is_bounded_above(self) -> bool:
        """Whether it has less left than its limit says, as others use the purse above, too."""
        return not self.is_reserved and self.above is not None and self.above.left < self.limit - self.spent - self.lent

    @property
    def exceeded(self) -> list[Purse]:
        """The purses, this one and those above, out of which more was used than they had."""
        return [purse for purse in self.up(beyond_reserved=True) if purse.spent > purse.limit + NOTHING]

    def room(self, user: str) -> float:
        """How much a task may still use, beside what is reserved, and what turns of others claim."""
        return self.limit - self.spent - self.lent - sum(self.claims.values()) + self.claims.get(user, 0)

    def room_in_all(self, user: str) -> float:
        """How much a task may still use, with what is reserved, and is neither used nor claimed by a turn."""
        claimed = sum(self.claims.values()) + sum(self.claims_below.values())
        return self.limit - self.spent - claimed + self.claims.get(user, 0) + self.claims_below.get(user, 0)

    def narrowest(self, user: str) -> tuple[Purse, float]:
        """Return the purse with the least room for a task that uses this one, and that room.

        Of a purse that has reserved what the task uses, all that is not used is room: that is none where others went
        beyond what was reserved for them.
        """
        direct = [*self.up()]
        rooms = [(purse, purse.room(user)) for purse in direct]
        rooms += [(purse, purse.room_in_all(user)) for purse in self.up(beyond_reserved=True) if purse not in direct]
        return min(rooms, key=lambda each: each[1])

    def set_claim(self, user: str, amount: float) -> None:
        """Note what the turn of a task that is under way may cost; 0: none is."""
        is_below = False
        for purse in self.up(beyond_reserved=True):
            purse.claims.pop(user, None)
            purse.claims_below.pop(user, None)
            if amount:
                (purse.claims_below if is_below else purse.claims)[user] = amount
            is_below |= purse.is_reserved

    def spend(self, amount: float) -> None:
        """Count what was used, here and in all purses above."""
        purse: Purse | None = self
        promised: float = 0
        while purse is not None:
            before = purse.unused
            purse.spent += amount
            purse.lent -= promised
            if purse.is_reserved:
                promised = before - purse.unused
            purse = purse.above

    def spend_turn(self, user: str, amount: float) -> bool:
        """Count what a turn has used, in place of its claim; return whether that was more than this and than there is.

        Args:
            user: id of the task.
            amount: how much.
        """
        claim = self.claims.get(user, 0)
        self.set_claim(user, 0)
        self.spend(amount)
        for purse in self.up():
            purse.largest_turn = max(purse.largest_turn, amount)
        return amount > claim + NOTHING and self.narrowest(user)[1] < -NOTHING

    def note_estimate(self) -> None:
        """Note, here and in all purses above, that some of what is used is an estimate."""
        for purse in self.up(beyond_reserved=True):
            purse.is_estimated = True

    def give_back(self) -> None:
        """Give back what of the limit is reserved and was not used, as its task has ended."""
        if self.is_reserved:
            self._lend_above(-self.unused)
            self.is_reserved = False

    def _lend_above(self, amount: float) -> None:
        if self.above is not None:
            for purse in self.above.up():
                purse.lent += amount
                if amount > 0:
                    purse.reserved[self.holder] = self
                else:
                    purse.reserved.pop(self.holder, None)

    def up(self, *, beyond_reserved: bool = False) -> Iterator[Purse]:
        """Yield this purse and those above, as far as what is used here is not taken out of them already."""
        purse: Purse | None = self
        while purse is not None:
            yield purse
            purse = None if purse.is_reserved and not beyond_reserved else purse.above
