"""What tasks do while their costs are measured: wait at a gate that the host opens, say much, take turns.

Runs in the tasks' processes; imports nothing heavy, as the zygote imports it for all of them.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from subactors.runtime import EntrypointTask

__all__ = ["PIECE", "TURNS", "held", "second", "stream", "take_one_turn", "take_turns"]

PIECE: Final = "x" * 4095 + "\n"
TURNS: Final = 21
"""How many tools `take_turns` calls before it answers."""


def held(task: EntrypointTask) -> str:
    """Say something, note that it is there, and wait until the host lets go of its lock on the file in the text."""
    task.emit("here\n")
    descriptor = os.open(task.text, os.O_RDWR | os.O_APPEND)
    try:
        os.write(descriptor, b".")
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    return "done"


def second(task: EntrypointTask) -> str:
    """Say something, and work for a second."""
    task.emit("here\n")
    time.sleep(1)
    return "done"


def stream(task: EntrypointTask) -> str:
    """Say as many pieces of 4 kB as the text says."""
    for _ in range(int(task.text)):
        task.emit(PIECE)
    return "done"


def take_turns(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any] | str:
    """Be a model that calls a tool in each of many turns, and then answers."""
    del tools
    return _turn(messages, TURNS)


def take_one_turn(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any] | str:
    """Be a model that calls a tool once, and then answers."""
    del tools
    return _turn(messages, 1)


def _turn(messages: list[dict[str, Any]], turns: int) -> dict[str, Any] | str:
    taken = sum(message["role"] == "assistant" for message in messages)
    if taken == turns:
        return "done"
    # Each another one: an agent that repeats itself is ended.
    return {"content": None, "tool_calls": [{"function": {"name": "think", "arguments": f'{{"thought": "{taken}"}}'}}]}
