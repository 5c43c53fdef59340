"""Chunks of streamed chat completions, and the turn that they make."""

from __future__ import annotations

from typing import Any

from subactors.runtime.models.base import Turn
from subactors.runtime.models.openai.stream import TurnAssembler

__all__ = ["assemble", "calls_of", "delta", "entry", "piece"]


def assemble(*events: dict[str, Any]) -> tuple[Turn, list[str]]:
    """Put a turn together from the events of a stream; returns it and the pieces of text."""
    pieces: list[str] = []
    assembler = TurnAssembler(pieces.append)
    for event in events:
        assembler.add(event)
    return assembler.finish(), pieces


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def piece(
    *, index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    entry = {"index": index, "id": call_id, "function": function}
    return delta(tool_calls=[{key: value for key, value in entry.items() if value is not None}])


def calls_of(turn: Turn) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in turn.tool_calls]


def entry(name: str | None, arguments: Any, call_id: Any = None, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}, **more}
