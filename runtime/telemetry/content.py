"""Content: what tasks are asked, say and answer, as the conventions write it into attributes. Only on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..text import bounded

__all__ = ["asks_for_content", "messages_of_answer", "messages_of_task", "messages_of_turn"]

_REQUEST: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The variable by which other libraries are asked for content, too."""

_YES: Final = frozenset({"true", "1", "span_only", "span_and_event"})

_LONGEST: Final = 20_000
"""Characters of a text in an attribute."""


def asks_for_content(environ: Mapping[str, str]) -> bool:
    """Whether content is asked for."""
    return environ.get(_REQUEST, "").strip().lower() in _YES


def messages_of_task(text: str) -> str:
    """Return what a task is to do, as the messages that its agent gets."""
    return _encoded("user", [_text(text)])


def messages_of_answer(result: str) -> str:
    """Return a task's result, JSON text, as the messages that its agent gives."""
    try:
        said = msgspec.json.decode(result)
    except (msgspec.DecodeError, RecursionError):
        said = result
    return _encoded("assistant", [_text(said if isinstance(said, str) else result)])


def messages_of_turn(message: str) -> str:
    """Return what a model has said, a message of a conversation as JSON text, as the conventions have it."""
    try:
        said = msgspec.json.decode(message, type=_Message)
    except (msgspec.MsgspecError, RecursionError, ValueError):  # of a process that does not keep to the rules
        return _encoded("assistant", [])
    parts = [_text(said.content)] if isinstance(said.content, str) and said.content else []
    for call in said.tool_calls:
        arguments = bounded(call.function.arguments, _LONGEST)
        parts.append({"type": "tool_call", "id": call.id, "name": call.function.name, "arguments": arguments})
    return _encoded(said.role, parts)


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct):
    function: _Function
    id: str = ""


class _Message(msgspec.Struct):
    role: str
    content: Any = None
    tool_calls: list[_Call] = []


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": bounded(text, _LONGEST)}


def _encoded(role: str, parts: list[dict[str, str]]) -> str:
    return msgspec.json.encode([{"role": role, "parts": parts}]).decode()
