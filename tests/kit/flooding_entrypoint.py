"""An entrypoint that floods its channel, in one way or another, until it is ended."""

from __future__ import annotations

import os
import struct
from typing import Any, NoReturn

import msgspec
from subactors.runtime import EntrypointTask
from subactors.runtime.testing import _channel_descriptor


def floods(task: EntrypointTask) -> NoReturn:
    """Say a word, and then write the same megabyte without end."""
    task.emit("so far ")
    piece = _PIECES[task.text]
    data = memoryview(piece * (1_000_000 // len(piece)))
    while True:
        rest = data
        while rest:
            rest = rest[os.write(_channel_descriptor(), rest) :]


def _frame(body: bytes, kind: int = 0) -> bytes:
    return struct.pack(">IB", len(body), kind) + body


def _message(message: dict[str, Any]) -> bytes:
    return _frame(msgspec.msgpack.encode(message))


_PIECES = {
    "reports": _message(
        {"type": "report", "body": {"type": "tool_called", "call_id": "x", "name": "n", "arguments": ""}}
    ),
    "turns": _message({"type": "report", "body": {"type": "turn_ended", "usage": {}, "messages": [""]}}),
    "requests": _message({"type": "request", "request_id": 1, "body": {"type": "run", "agent": "none", "task": "x"}}),
    "output": _frame(b"x" * 100_000, 1),
    "frames": _frame(b"x", 1),
    "attributes": _message({"type": "attributes", "attributes": {"a": {"callable": False}}}),
}
