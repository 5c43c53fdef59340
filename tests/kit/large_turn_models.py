"""Models whose turns are larger than a message to the host may be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SIZE = 9_000_000

Messages = list[dict[str, Any]]


def answers(_messages: Messages, _tools: Any) -> str:
    """Answer at length, with characters that JSON makes six of."""
    return "ä" * SIZE


def streams(_messages: Messages, _tools: Any) -> Any:
    """The same, in pieces."""
    for _ in range(9):
        yield "x" * (SIZE // 9)


def calls_and_fails(messages: Messages, _tools: Any) -> Any:
    """Call tools at length, fail once after that, and answer with what is left of the conversation."""
    if messages[-1]["role"] == "user":
        return {
            "content": "y" * SIZE,
            "tool_calls": [
                {"function": {"name": "think", "arguments": {"thought": thought}}} for thought in ("z" * SIZE, "short")
            ],
        }
    (path,) = re.findall(r"marker=(\S+)=", messages[0]["content"])
    marker = Path(path)
    if not marker.exists():
        marker.touch()
        raise RuntimeError("once")
    assistant = next(message for message in messages if message["role"] == "assistant")
    return {
        "content": f"{len(assistant['content'])} {[call['function']['arguments'] for call in assistant['tool_calls']]}"
    }
