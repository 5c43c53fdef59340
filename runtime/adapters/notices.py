"""Notices: what a framework's model is told of its tasks: each end once, at one place of its conversation.

The place is the last message of the request that tells it: the answer of a tool, or what the user says. It is no
message of its own, as strict servers refuse one between a tool's answer and the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Tools

__all__ = ["Notices", "joined"]


class Notices:
    """What one model is told. What it was told last is told again if that has never reached it.

    Args:
        tools: say what there is to tell.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._unanswered = ""

    def due(self, is_kept: Callable[[str], bool]) -> str:
        """Return what the next request is to tell; empty: nothing.

        Args:
            is_kept: whether the conversation has a text that was told before.
        """
        return self._due(self._tools.notices(), is_kept)

    async def adue(self, is_kept: Callable[[str], bool]) -> str:
        """The same, awaited."""
        return self._due(await self._tools.anotices(), is_kept)

    def answered(self) -> None:
        """Take note that the model has answered a request, and so has what that tells."""
        self._unanswered = ""

    def _due(self, fresh: str, is_kept: Callable[[str], bool]) -> str:
        # A request that failed, or was cancelled, may have taken its conversation along.
        lost = self._unanswered if self._unanswered and not is_kept(self._unanswered) else ""
        told = joined(lost, fresh)
        self._unanswered = told or self._unanswered
        return told


def joined(*texts: str | None) -> str:
    """Return texts as one, with an empty line between them."""
    return "\n\n".join(filter(None, texts))
