"""The agent loop with a model that follows a script, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from subactors.runtime.agent.loop import AgentLoop
from subactors.runtime.models.base import Message, Model, ToolCall, ToolSchema, Turn, Usage
from subactors.runtime.team.config import AgentConfig
from subactors.runtime.toolsets.base import NoParameters, Tool, ToolAnswer, ToolBox, Toolset


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    word: str


class Tools(Toolset):
    """Tools of a test."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = tools

    @property
    def tools(self) -> Sequence[Tool]:
        return self._tools


async def echo(parameters: Word) -> ToolAnswer:
    return ToolAnswer(f"You said {parameters.word}.")


ECHO = Tool("echo", "Says it again.", Word, echo)


def tool(name: str, handler: Callable[[], Awaitable[ToolAnswer]], *, polling: bool = False) -> Tool:
    async def call(_: NoParameters) -> ToolAnswer:
        return await handler()

    return Tool(name, "For a test.", NoParameters, call, polling)


class Scripted:
    """A model that gives prepared turns, or raises prepared exceptions."""

    def __init__(self, *turns: Turn | Exception) -> None:
        self.turns = list(turns)
        self.conversations: list[list[Message]] = []
        self.unreported = Usage()

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], on_text: Callable[[str], None]
    ) -> Turn:
        del tools
        self.conversations.append(list(messages))
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        if turn.content:
            on_text(turn.content)
        return turn

    def take_unreported(self) -> Usage:
        unreported, self.unreported = self.unreported, Usage()
        return unreported

    async def close(self) -> None:
        pass


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.spoken = ""
        self.began: list[tuple[Sequence[ToolCall], Sequence[Message]]] = []
        self.called: list[str] = []
        self.written: list[int] = []
        self.answered: list[tuple[str, str, bool]] = []
        self.ended: list[tuple[Turn, Sequence[Message]]] = []

    def text(self, piece: str) -> None:
        self.spoken += piece

    def calls_begin(self, turn: Turn, messages_added: Sequence[Message], *_: Any) -> None:
        self.began.append((turn.tool_calls, messages_added))

    async def calls_written(self) -> None:
        self.written.append(len(self.called))

    def tool_called(self, call: ToolCall) -> None:
        self.called.append(call.name)

    def tool_answered(self, call: ToolCall, answer: ToolAnswer) -> None:
        self.answered.append((call.id, answer.text, answer.is_error))

    def turn_ended(self, turn: Turn, messages_added: Sequence[Message], *_: Any) -> None:
        self.ended.append((turn, messages_added))


def loop_of(
    model: Model, *tools: Tool, listener: Listener | None = None, max_iterations: int = 0, **options: Any
) -> AgentLoop:
    agent = AgentConfig(name="finder", max_iterations=max_iterations)
    return AgentLoop(agent, model, ToolBox([Tools(*tools)]), listener or Listener(), **options)


def calls(*named: tuple[str, str], content: str = "") -> Turn:
    """Make a turn of calls, each of a name and its arguments, with ids from c0 on."""
    return Turn(
        content,
        tuple(ToolCall(f"c{number}", name, arguments) for number, (name, arguments) in enumerate(named)),
        Usage(3, 2, 1),
    )


def user(content: str) -> list[Message]:
    return [{"role": "user", "content": content}]
