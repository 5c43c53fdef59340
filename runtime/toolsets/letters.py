"""Letters: tells an agent between two turns what was said to its task. A toolset without a tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..tasks.talk import Letter
from .base import Tool, Toolset

__all__ = ["LettersToolset"]

_HEAD = "[While you worked, somebody who may direct this task has sent you this. Take it into account, and go on.]"


class LettersToolset(Toolset):
    """See the module.

    Args:
        take: returns what has come, and forgets it.
    """

    def __init__(self, take: Callable[[], Sequence[Letter]]) -> None:
        self._take = take

    @property
    def tools(self) -> Sequence[Tool]:
        """None."""
        return ()

    async def news(self, *, answered: bool) -> str:
        """Return what has been said since it was asked last."""
        del answered  # who speaks to it wants to be heard in any case
        letters = self._take()
        return "\n".join([_HEAD, *map(_block, letters)]) if letters else ""


def _block(letter: Letter) -> str:
    # Whoever writes a message cannot end the block, and begin another in somebody else's name.
    text = letter.text.replace("</message", "<\\/message")
    sender = letter.sender.replace('"', "'")
    return f'<message from="{sender}">\n{text}\n</message>'
