"""Progress: ends a loop whose model asks for the same again and again.

Waiting is not repetition: a model may look at its background tasks as often as it likes while one of them runs. Once
none runs any more, nothing that it looks at can change. Then looking is repetition, whatever it looks at in turn, and
whatever it says or thinks meanwhile; only a call that succeeds and has an effect is progress. Runs in the loop's event
loop.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ..errors import LoopError
from ..models.base import ToolCall, Turn
from ..text import one_line
from ..toolsets.base import ToolAnswer, ToolBox

__all__ = ["Progress"]

_READINGS: Final = 2
"""How often what cannot change may be looked at before it counts: an old answer is shortened, and read again."""


class Progress:
    """Watches the turns of one loop.

    Args:
        agent: its name, for the message.
        tools: says which calls look at something, and whether that may still change.
        most: turns in a row without anything new that end the loop.
    """

    def __init__(self, agent: str, tools: ToolBox, most: int) -> None:
        self._agent = agent
        self._tools = tools
        self._most = most
        self._repeats = 0
        """Turns in a row that were the one before once more, those that only looked at something left out."""
        self._last_turn: object = None
        self._idle_looks = 0
        """Turns that only looked at what had been seen and cannot change, since one brought something new."""
        self._looks: Counter[tuple[str, str]] = Counter()
        """Since something last ran: how often each thing was looked at."""

    def before(self, turn: Turn) -> None:
        """Judge a turn before its tools are called.

        Raises:
            LoopError: it is once more the one before.
        """
        if not turn.tool_calls:
            # An answer that was not the last: something has come since, and how often that may be has a bound.
            self._repeats, self._last_turn = 0, None
            return
        if self._only_looks(turn):
            return
        this_turn = (turn.content, [_key(call) for call in turn.tool_calls])
        if this_turn != self._last_turn:
            self._repeats, self._last_turn = 1, this_turn
            return
        self._repeats += 1
        self._end_if_stuck(turn)

    async def after(self, turn: Turn, answers: Sequence[ToolAnswer]) -> None:
        """Judge a turn once its tools have answered.

        Raises:
            LoopError: nothing of what it looks at can change any more, and all of it had been seen.
        """
        if self._only_looks(turn):
            await self._after_a_look(turn, answers)
        elif self._repeats == 1 and any(map(self._got_somewhere, turn.tool_calls, answers)):
            self._idle_looks = 0

    async def _after_a_look(self, turn: Turn, answers: Sequence[ToolAnswer]) -> None:
        # Of what is not there every name is the same.
        keys = [
            ("", "") if answer.is_error else _key(call)
            for call, answer in zip(turn.tool_calls, answers, strict=True)
            if self._tools.is_polling(call.name)
        ]
        self._looks.update(keys)
        if any(self._looks[key] == 1 for key in keys):
            self._start_anew()
        elif await self._tools.at_work():
            self._start_anew()
            self._looks.clear()
        elif all(self._looks[key] > _READINGS for key in keys):
            self._idle_looks += 1
            self._end_if_stuck(turn)

    def _only_looks(self, turn: Turn) -> bool:
        """Return whether the turn looks at something, and nothing else of it has an effect."""
        looks = [self._tools.is_polling(call.name) for call in turn.tool_calls]
        effects = [self._tools.has_effect(call.name) for call in turn.tool_calls]
        return any(looks) and all(look or not effect for look, effect in zip(looks, effects, strict=True))

    def _got_somewhere(self, call: ToolCall, answer: ToolAnswer) -> bool:
        return self._tools.has_effect(call.name) and not answer.is_error

    def _start_anew(self) -> None:
        self._repeats, self._idle_looks, self._last_turn = 0, 0, None

    def _end_if_stuck(self, turn: Turn) -> None:
        if self._repeats + self._idle_looks < self._most:
            return
        calls = ", ".join(f"{call.name}({one_line(call.arguments, 200)})" for call in turn.tool_calls)
        if self._idle_looks:
            raise LoopError(
                f"Agent {self._agent!r} made {self._most} turns that brought nothing new: it looked at what cannot "
                f"change any more, as none of its background tasks runs; at last: {calls}. It was ended because it got "
                "nowhere; its instruction may lack what to do when its tasks have ended."
            )
        raise LoopError(
            f"Agent {self._agent!r} made {self._repeats} identical turns in a row: {calls}. It was ended because it "
            "got nowhere; its instruction may lack what to do when a tool answers like that."
        )


def _key(call: ToolCall) -> tuple[str, str]:
    try:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments.strip()
