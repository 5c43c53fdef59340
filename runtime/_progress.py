"""Progress of a loop: ends one whose model asks for the same again and again.

Waiting is no repetition: a model that looks at its background tasks while one of them runs may do so as often as it
likes. Once none runs any more, nothing that it looks at can change, and then looking is repetition, too, whatever it
looks at in turn, and whatever it says with it. Runs in the loop's event loop.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final, NoReturn

from ._errors import LoopError
from ._model import ToolCall, Turn
from ._text import one_line
from ._tools import ToolAnswer, ToolBox

__all__ = ["Progress"]

_READINGS: Final = 2
"""How often what cannot change may be looked at before it counts: an old answer is shortened, and read again."""


class Progress:
    """Watches the turns of one loop.

    Args:
        agent: its name, for the message.
        tools: says which calls look at something, and whether that may still change.
        most: so many turns in a row that bring nothing new end the loop.
    """

    def __init__(self, agent: str, tools: ToolBox, most: int) -> None:
        self._agent = agent
        self._tools = tools
        self._most = most
        self._turns = 0
        """In a row, without anything new."""
        self._looked = False
        """Whether one of them only looked at something."""
        self._last_turn: object = None
        self._looks: Counter[tuple[str, str]] = Counter()
        """Since something last ran: how often each thing was looked at."""

    def before(self, turn: Turn) -> None:
        """Judge a turn before its tools are called.

        Raises:
            LoopError: it is once more the one before.
        """
        if not turn.tool_calls or self._only_looks(turn):
            return
        this_turn = (turn.content, [_key(call) for call in turn.tool_calls])
        if this_turn != self._last_turn:
            self._start_anew()
        self._last_turn = this_turn
        self._count(turn)

    async def after(self, turn: Turn, answers: Sequence[ToolAnswer]) -> None:
        """Judge a turn that only looked at something, once it has its answers.

        Raises:
            LoopError: nothing of what it looks at can change any more, and all of it had been seen.
        """
        if not turn.tool_calls or not self._only_looks(turn):
            return
        # Of what is not there every name is the same.
        keys = [
            ("", "") if answer.is_error else _key(call) for call, answer in zip(turn.tool_calls, answers, strict=True)
        ]
        self._looks.update(keys)
        if any(self._looks[key] == 1 for key in keys):
            self._start_anew()
        elif await self._tools.at_work():
            self._start_anew()
            self._looks.clear()
        elif all(self._looks[key] > _READINGS for key in keys):
            self._looked = True
            self._count(turn)

    def _only_looks(self, turn: Turn) -> bool:
        return all(self._tools.is_polling(call.name) for call in turn.tool_calls)

    def _start_anew(self) -> None:
        self._turns, self._looked, self._last_turn = 0, False, None

    def _count(self, turn: Turn) -> None:
        self._turns += 1
        if self._turns >= self._most:
            self._give_up(turn)

    def _give_up(self, turn: Turn) -> NoReturn:
        calls = ", ".join(f"{call.name}({one_line(call.arguments, 200)})" for call in turn.tool_calls)
        if self._looked:
            raise LoopError(
                f"Agent {self._agent!r} looked for {self._turns} turns in a row at what cannot change any more, as "
                f"none of its background tasks runs; at last: {calls}. It was ended because it got nowhere; its "
                "instruction may lack what to do when its tasks have ended."
            )
        raise LoopError(
            f"Agent {self._agent!r} made {self._turns} identical turns in a row: {calls}. It was ended because it got "
            "nowhere; its instruction may lack what to do when a tool answers like that."
        )


def _key(call: ToolCall) -> tuple[str, str]:
    try:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments.strip()
