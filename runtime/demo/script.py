"""Script: a model that is a generator. It yields turns with tool calls, is sent the answers, and returns its result.

One process has one task, so the generator lives as long as its conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from ..models.base import Message, ToolSchema

__all__ = ["Steps", "call", "scripted", "turn"]

T = TypeVar("T")
Steps: TypeAlias = Generator[Message, list[str], T]
"""Turns of a model, each of which gets the answers to its tool calls in their order; at last a value."""

Model: TypeAlias = Callable[[Sequence[Message], Sequence[ToolSchema]], Message | str]


def scripted(script: Callable[[str], Steps[str]]) -> Model:
    """Return a model that follows a script, which gets the system prompt; a new conversation begins it anew."""
    running: Steps[str] | None = None

    def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
        nonlocal running
        turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        try:
            if running is None or not turns:
                running = script("\n\n".join(message["content"] for message in messages if message["role"] == "system"))
                return next(running)
            since = messages[turns[-1] + 1 :]
            return running.send([message["content"] for message in since if message["role"] == "tool"])
        except StopIteration as end:
            return str(end.value)

    return model


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a tool call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def turn(words: str, calls: Sequence[dict[str, Any]]) -> Message:
    """Return a model's turn: some words, and the tools that it wants called."""
    return {"role": "assistant", "content": words, "tool_calls": list(calls)}
