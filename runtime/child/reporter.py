"""Reporter: tells the supervisor what an agent does in a task's process, no more of it than the host takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Final

from ...actors import RemoteError, SupervisorRef
from ..agent.loop import tool_message
from ..errors import SubactorsError
from ..models.base import Message, ToolCall, Turn
from ..tasks.gateway import TaskGateway
from ..tasks.messages import CallAnswered, CallsBegan, ToolAnswered, ToolCalled, TurnEnded
from ..tasks.turns import Asked, AwaitWritten
from ..text import bounded, encodable
from ..toolsets.base import ToolAnswer
from .letters import letterbox
from .speech import speech

__all__ = ["Reporter", "as_json"]

_REPORTED_ANSWER = 2000
"""Characters of a tool's answer that the host is told; the model gets all of it."""

_REPORTED_NAME = 200
"""Characters of a tool's name, and of a call's id, that the host is told."""

_REPORTED_ARGUMENTS = 20_000
"""Characters of a tool call's arguments that the host is told."""

_REPORTED_MESSAGES: Final = 4_000_000
"""Characters of what a turn adds to the conversation that the host is told, for a restart: half a frame."""

_LONGEST_ESCAPE: Final = 16
"""Characters that one may become in JSON (12), and some for what is around it."""


class Reporter:
    """Tells the supervisor what the loop does, or a function with tools and a model. In any thread."""

    def __init__(self, supervisor: SupervisorRef) -> None:
        self._supervisor = supervisor
        self._calls: list[ToolCall] = []
        self._running: list[ToolCall] = []
        self._told: list[str] = []

    def text(self, piece: str) -> None:
        """Text of the model is the task's output."""
        if speech.held:
            speech.finish_lines()
        self._supervisor.emit(piece)

    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None:
        """Report the turn, so that it is known which calls had begun, should this process die in them."""
        calls = self._calls = [*turn.tool_calls]
        self._running = [*calls]
        self._told = [*as_json(messages_added), *[""] * len(calls)]
        letters = letterbox.report()
        told_first = self._told[: len(messages_added)]
        self._supervisor.tell(CallsBegan(told_first, len(calls), list(told), letters, _asked(turn)))

    async def calls_written(self) -> None:
        """Wait for the supervisor to say so."""
        with contextlib.suppress(SubactorsError, RemoteError):  # whoever refuses it has more to do with this process
            await asyncio.wrap_future(TaskGateway(self._supervisor).ask(AwaitWritten()))

    def tool_called(self, call: ToolCall) -> None:
        """Report."""
        arguments = encodable(bounded(call.arguments, _REPORTED_ARGUMENTS))
        self._supervisor.tell(ToolCalled(_cut(call.id), _cut(call.name), arguments))

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        """Report the beginning of the answer; all of it where the end of the turn is still to come."""
        text = encodable(answer.text[:_REPORTED_ANSWER])
        self._supervisor.tell(ToolAnswered(_cut(call.id), _cut(call.name), text, answer.is_error))
        self._running = [other for other in self._running if other is not call]
        if self._running:
            place = next(place for place, other in enumerate(self._calls) if other is call)  # two may be equal
            (whole,) = as_json([tool_message(call, answer)])
            self._told[place - len(self._calls)] = whole
            self._supervisor.tell(CallAnswered(place, whole, list(answer.told)))

    def turn_waits(self, answers: Sequence[ToolAnswer]) -> None:
        """Report the answer that came last, too: the end of the turn, which would have it, may be far."""
        first = len(self._told) - len(self._calls)
        for place, (call, answer) in enumerate(zip(self._calls, answers, strict=True)):
            if not self._told[first + place]:
                (whole,) = as_json([tool_message(call, answer)])
                self._told[first + place] = whole
                self._supervisor.tell(CallAnswered(place, whole, list(answer.told)))

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], told: Sequence[str] = ()) -> None:
        """Report what it cost, what the conversation grew by, and of whose ends that tells."""
        messages = as_json(messages_added)
        for index, earlier in enumerate(self._told[: len(messages)]):
            if messages[index] == earlier:
                messages[index] = ""
        asked = None if self._calls or not turn.seconds else _asked(turn)
        self._told, self._running, self._calls = [], [], []
        letters = letterbox.report() if messages else []
        self._supervisor.tell(TurnEnded(turn.usage, messages, letters, list(told), asked))


def _asked(turn: Turn) -> Asked:
    return Asked(round(turn.seconds, 4), _cut(turn.model), _cut(turn.error))


def _cut(name: str) -> str:
    return encodable(name[:_REPORTED_NAME])


def as_json(messages: Sequence[Message]) -> list[str]:
    """Return messages as JSON texts; those of a long conversation have lost their middles."""
    encoded = [encodable(json.dumps(message, ensure_ascii=True)) for message in messages]
    if sum(map(len, encoded)) <= _REPORTED_MESSAGES:
        return encoded
    share = _REPORTED_MESSAGES // len(encoded)
    return [
        text if len(text) <= share else json.dumps(_shortened(message, share))
        for message, text in zip(messages, encoded, strict=True)
    ]


def _shortened(message: Message, limit: int) -> Message:
    """Return as much of a message as can be kept if its JSON text may have no more than that many characters."""
    kept: Message = {name: message[name] for name in ("role", "tool_call_id") if name in message}
    calls = message.get("tool_calls") or []
    share = limit // (_LONGEST_ESCAPE * (len(calls) + 1))
    content = message.get("content")
    if content is None or isinstance(content, str):
        kept["content"] = content and bounded(encodable(content), share)
    else:
        kept["content"] = bounded(json.dumps(content), share)
    if calls:
        kept["tool_calls"] = [_shortened_call(call, share) for call in calls]
    return kept


def _shortened_call(call: Message, limit: int) -> Message:
    function = call["function"]
    arguments = function["arguments"] if len(function["arguments"]) <= limit else "{}"
    return {
        "id": _cut(call["id"]),
        "type": "function",
        "function": {"name": _cut(function["name"]), "arguments": encodable(arguments)},
    }
