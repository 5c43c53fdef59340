"""Purse: what one task may use of tokens or dollars, with all that it starts. Keeps books, and decides nothing."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = ["NOTHING", "Purse", "Unit"]

Unit: TypeAlias = Literal["tokens", "cost"]

NOTHING: Final = 1e-9
"""Dollars that are none: sums of prices are not exact."""


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
        lent: how much is reserved for tasks below, and not used by them yet.
    """

    __slots__ = ("above", "agent", "holder", "is_reserved", "lent", "limit", "spent", "unit")

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
        self.lent: float = 0
        if is_reserved:
            self._lend_above(limit)

    @property
    def unused(self) -> float:
        """How much of the limit is not used yet; not below 0."""
        return max(0, self.limit - self.spent)

    @property
    def left(self) -> float:
        """How much may be used or promised still: by this limit, and by those above that have not reserved it."""
        left = self.limit - self.spent - self.lent
        return left if self.is_reserved or self.above is None else min(left, self.above.left)

    @property
    def is_bounded_above(self) -> bool:
        """Whether it has less left than its limit says, as others use the purse above, too."""
        return not self.is_reserved and self.above is not None and self.above.left < self.limit - self.spent - self.lent

    @property
    def exceeded(self) -> Purse | None:
        """The nearest purse, this one or one above, out of which more was used than it had; None if there is none."""
        purse: Purse | None = self
        while purse is not None and purse.spent <= purse.limit + NOTHING:
            purse = purse.above
        return purse

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

    def give_back(self) -> None:
        """Give back what of the limit is reserved and was not used, as its task has ended."""
        if self.is_reserved:
            self._lend_above(-self.unused)
            self.is_reserved = False

    def _lend_above(self, amount: float) -> None:
        purse = self.above
        while purse is not None:
            purse.lent += amount
            purse = None if purse.is_reserved else purse.above
