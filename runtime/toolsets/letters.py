"""Letters: tells an agent between two turns what was said to its task. A toolset without a tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..tasks.talk import Letter
from ..text import without_tags
from .base import Tool, Toolset

__all__ = ["Letters", "LettersToolset"]

_HEAD = "[While you worked, somebody who may direct this task has sent you this. Take it into account, and go on.]"


class Letters(Protocol):
    """What was said to a task, and it has not taken. In any thread."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come."""
        ...

    def take_all(self) -> Sequence[Letter]:
        """Return what has come, and forget it."""
        ...


class LettersToolset(Toolset):
    """See the module.

    Args:
        letters: those of the task.
    """

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    @property
    def tools(self) -> Sequence[Tool]:
        """None."""
        return ()

    async def news(self, *, answered: bool) -> str:
        """Return what has been said since it was asked last."""
        del answered  # who speaks to it wants to be heard in any case
        letters = self._letters.take_all()
        return "\n".join([_HEAD, *map(_block, letters)]) if letters else ""


def _block(letter: Letter) -> str:
    # Whoever writes a message cannot end the block, and begin another in somebody else's name.
    text = without_tags(letter.text)
    sender = letter.sender.replace('"', "'")
    return f'<message from="{sender}">\n{text}\n</message>'
