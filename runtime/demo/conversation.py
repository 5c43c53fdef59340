"""Conversation: what the demonstration's models have asked, and what the tools answered.

A model function is called anew for every turn and keeps nothing, so everything it knows is in the messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..models.base import Message

__all__ = ["AnsweredCall", "answered_calls", "call", "folder_name", "last_answered_calls", "system_text", "turn"]


@dataclass(frozen=True)
class AnsweredCall:
    """A tool call and its answer.

    Attributes:
        name: of the tool.
        arguments: that it was called with.
        answer: the tool's text.
    """

    name: str
    arguments: Mapping[str, Any]
    answer: str


def answered_calls(messages: Sequence[Message]) -> list[AnsweredCall]:
    """Return all tool calls so far, in the order in which they were made."""
    answers = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    return [
        AnsweredCall(made["function"]["name"], json.loads(made["function"]["arguments"]), answers[made["id"]])
        for message in messages
        for made in message.get("tool_calls", ())
    ]


def last_answered_calls(messages: Sequence[Message]) -> list[AnsweredCall]:
    """Return the tool calls of the last turn."""
    turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return answered_calls(messages[turns[-1] :]) if turns else []


def system_text(messages: Sequence[Message]) -> str:
    """Return all system messages."""
    return "\n\n".join(message["content"] for message in messages if message["role"] == "system")


def folder_name(messages: Sequence[Message]) -> str:
    """Return the working directory's name, as `add_environment_info` tells it; empty where that is not said."""
    found = re.search(r"^- working directory: (.+)$", system_text(messages), re.MULTILINE)
    return found[1].rpartition("/")[2] or found[1] if found is not None else ""


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a tool call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def turn(words: str, calls: Sequence[dict[str, Any]]) -> Message:
    """Return a model's turn: some words, and the tools that it wants called."""
    return {"role": "assistant", "content": words, "tool_calls": list(calls)}
