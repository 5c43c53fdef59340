"""History: selects what the model sees of a conversation. Old tool answers are shortened once it grows too long.

The conversation itself stays whole, because the journal keeps it and a restart goes on with it. Old turns are left out
only where the team file asks for that (`num_history_items`). Otherwise only tool answers are shortened, and stay so:
servers cache a beginning that does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..models.base import Message
from ..text import bounded

__all__ = ["History"]

_CHARACTERS_PER_TOKEN: Final = 4
"""About; the server alone knows."""

_OLD: Final = 300
"""Characters that are left of an old answer."""

_LATEST: Final = 4000
"""Characters that are left of an answer that the model has not seen yet, where nothing else makes it fit."""

_HINT: Final = "Call the tool again if they are needed."


class History:
    """One conversation as its model sees it.

    Args:
        max_old_tool_tokens: about how many tokens of answers to earlier turns are shown; the oldest beyond are
            shortened; 0: all are shown.
        most_messages: messages of the model's own turns that are shown, answers to their tool calls included; the
            oldest turns beyond are left out, but never the latest; 0: all are shown.
    """

    def __init__(self, max_old_tool_tokens: int = 0, most_messages: int = 0) -> None:
        self._most_messages = most_messages
        self._most = max_old_tool_tokens * _CHARACTERS_PER_TOKEN
        self._old_end = 0
        self._latest_end = 0

    def shown(self, messages: Sequence[Message]) -> list[Message]:
        """Return the conversation for the next request."""
        if self._most and self._old_characters(messages) > self._most:
            # Half of the room is made at once, so that the beginning stays the same for several turns.
            while self._old_characters(messages) > self._most // 2:
                self._old_end += 1
        left_out = self._left_out(messages) if self._most_messages else frozenset()
        return [self._shown(index, message) for index, message in enumerate(messages) if index not in left_out]

    def shorten(self, messages: Sequence[Message]) -> bool:
        """Shorten what can be, after the server said that it is too long; False: nothing is left that could be.

        The answers to earlier turns first; if that has been done, those to the latest turn.
        """
        before = self.shown(messages)
        self._old_end = max(self._old_end, _latest_turn(messages))
        if self.shown(messages) != before:
            return True
        self._latest_end = len(messages)
        return self.shown(messages) != before

    def _shown(self, index: int, message: Message) -> Message:
        limit = _OLD if index < self._old_end else _LATEST if index < self._latest_end else 0
        # The line that says what was left out has a length, too.
        if not limit or message["role"] != "tool" or len(message["content"]) <= limit * 2:
            return message
        return {**message, "content": bounded(message["content"], limit, hint=_HINT)}

    def _left_out(self, messages: Sequence[Message]) -> frozenset[int]:
        """Return where the messages are that the model is shown no more: whole turns, as servers want them."""
        own = [index for index, message in enumerate(messages) if message["role"] in {"assistant", "tool"}]
        turns = [index for index in own if messages[index]["role"] == "assistant"]
        first = next((start for start in turns if sum(index >= start for index in own) <= self._most_messages), None)
        if first is None:
            first = turns[-1] if turns else 0
        return frozenset(index for index in own if index < first)

    def _old_characters(self, messages: Sequence[Message]) -> int:
        """Return how long the answers to earlier turns are that have not been shortened."""
        old = messages[self._old_end : _latest_turn(messages)]
        return sum(len(message["content"]) for message in old if message["role"] == "tool")


def _latest_turn(messages: Sequence[Message]) -> int:
    """Return where the model's latest turn begins; 0 if there has been none."""
    turns = (index for index in range(len(messages) - 1, -1, -1) if messages[index]["role"] == "assistant")
    return next(turns, 0)
