"""A function in place of a model, which calls both tools, the second one wrongly at first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["answer"]


def answer(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any] | str:
    """Answer one turn, as a model would."""
    del tools
    told = [str(message["content"]) for message in messages if message["role"] == "tool"]
    if not told:
        return call("find_orders", customer="Ada")
    numbers = [order["number"] for order in json.loads(told[0])]
    if len(told) == 1:
        return call("total", numbers=[*numbers, 99])
    if "no orders [99]" in told[-1]:
        return call("total", numbers=numbers)
    return f"Ada has spent {told[-1]} in {len(numbers)} orders."


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a turn that calls one tool."""
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
