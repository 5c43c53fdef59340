"""Optional toolsets: a task starts without the missing ones, and tells its model and its reader so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..text import bounded
from .base import Tool, Toolset

if TYPE_CHECKING:
    from ..tasks.news import News

__all__ = ["OptionalToolset"]

_SHOWN_REASON = 1000
"""Characters, in a system prompt."""


class OptionalToolset(Toolset):
    """A toolset that may fail to be built or opened, and then has no tools.

    Args:
        name: what messages call it.
        lacks: what it is known to lack, a sentence each; it is not built then.
        build: makes the toolset.
    """

    optional = True

    def __init__(self, name: str, lacks: Sequence[str], build: Callable[[], Toolset]) -> None:
        self._name = name
        self._inner: Toolset | None = None
        if lacks:
            self.leave_out(" ".join(lacks))
            return
        try:
            self._inner = build()
        except Exception as error:  # noqa: BLE001 - whatever it is, the task goes on without
            self.leave_out(str(error) or type(error).__name__)
        else:
            self.needs_opening = self._inner.needs_opening
            self.instruction = self._inner.instruction

    @property
    def tools(self) -> Sequence[Tool]:
        """The toolset's tools; none if it is missing."""
        return self._inner.tools if self._inner is not None and not self.missing else ()

    def leave_out(self, reason: str) -> None:
        """Do without the toolset, and say so in its place."""
        reason = bounded(reason.strip(), _SHOWN_REASON)
        self.missing = f"The optional toolset {self._name} is missing in this task: {reason}"
        self.instruction = f"## Missing tools\n\n{self.missing}\nDo your task without its tools."

    async def open(self) -> None:
        """Open the toolset, or leave it out; raises nothing."""
        if self._inner is None:
            return
        try:
            await self._inner.open()
        except Exception as error:  # noqa: BLE001 - whatever it is, the task goes on without
            self.leave_out(str(error) or type(error).__name__)
            await self._inner.close()
        else:
            self.instruction = self._inner.instruction

    async def at_work(self) -> bool:
        return self._inner is not None and await self._inner.at_work()

    def tell_by_turns(self) -> None:
        """See `Toolset`."""
        if self._inner is not None:
            self._inner.tell_by_turns()

    async def news(self, *, answered: bool) -> str:
        """Return what the toolset has to tell; nothing if it is missing."""
        return await self._inner.news(answered=answered) if self._inner is not None else ""

    def take_told(self) -> list[str]:
        """See `Toolset`."""
        return self._inner.take_told() if self._inner is not None else []

    async def owed(self, *, wait: bool, known: tuple[str, ...]) -> News | None:
        """See `Toolset`."""
        return await self._inner.owed(wait=wait, known=known) if self._inner is not None else None

    def note_asked(self, question_ids: Iterable[str]) -> None:
        """See `Toolset`."""
        if self._inner is not None:
            self._inner.note_asked(question_ids)

    async def wake(self, *, at_once: bool = False) -> str | None:
        """See `Toolset`."""
        return await self._inner.wake(at_once=at_once) if self._inner is not None else None

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()
