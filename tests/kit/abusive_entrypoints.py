"""Entrypoints that say well-formed things which no healthy process says, for tests that the host keeps its head."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any, NoReturn

import msgspec
from subactors.actors.child.channel import ChildChannel, serving
from subactors.runtime import EntrypointTask
from subactors.runtime.tasks.messages import ListTasks, RunTask, WaitTasks
from subactors.runtime.testing import _channel_descriptor

_LONG = 600.0


def reports(task: EntrypointTask) -> NoReturn:
    """Send the report that the text names, and wait to be ended."""
    task.emit("so far ")
    send(REPORTS[task.text])
    time.sleep(_LONG)
    raise AssertionError


def waits_too_often(messages: Any, tools: Any) -> str:
    """Be a model that starts a task, asks five thousand times to wait for it, and says how many waits were refused."""
    del messages, tools
    channel = _channel()
    started = channel.request(RunTask("waits", "go")).result(_LONG)
    task_id = msgspec.msgpack.decode(started)["task_id"]
    waits = [channel.request(WaitTasks([task_id], "all", None)) for _ in range(5000)]
    # Asked last, so answered when all of the others have been taken.
    channel.request(ListTasks()).result(_LONG)
    refused = [str(future.exception()) for future in waits if future.done()]
    return f"{len(refused)} {refused[0]}"


def calls_one_tool_again_and_again(task: EntrypointTask) -> NoReturn:
    """Report a hundred times that a tool is called, which is never answered; and say so when all have been taken."""
    for _ in range(100):
        send({"type": "tool_called", "call_id": "x", "name": "x", "arguments": "{}"})
    _channel().request(ListTasks()).result(_LONG)
    task.emit("so far ")
    time.sleep(_LONG)
    raise AssertionError


def talks_too_long(task: EntrypointTask) -> NoReturn:
    """Report turns of five million characters each, without end."""
    task.emit("so far ")
    while True:
        send({"type": "turn_ended", "usage": {}, "messages": ["x" * 5_000_000]})


def _channel() -> ChildChannel:
    return serving[-1]  # not any that a look at all objects finds: a rehearsal has had one, too


def send(report: Any) -> None:
    """Report to the supervisor."""
    _write({"type": "report", "body": report})


def _write(message: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode(message)
    with socket.socket(fileno=os.dup(_channel_descriptor())) as channel:
        channel.sendall(struct.pack(">IB", len(body), 0) + body)


def _finished(result: Any) -> dict[str, Any]:
    return {"type": "finished", "result": result, "early": False}


def _turn(message: str) -> dict[str, Any]:
    return {"type": "turn_ended", "usage": {}, "messages": [message]}


REPORTS: dict[str, Any] = {
    "no text": _finished({"a": 1}),
    "extension": _finished(msgspec.msgpack.Ext(5, b"x")),
    "no JSON": _finished("{1: 2}"),
    "number": _finished("1e999"),
    "nested": _finished("[" * 900 + "]" * 900),
    "nested mappings": _finished('{"a": ' * 501 + "0" + "}" * 501),
    "nested behind text": _finished('["\\\\", "\\"]]", ' * 501 + "0" + "]" * 501),
    "empty lists": _finished("[" + "[]," * 2_500_000 + "[]]"),
    "empty mappings behind text": _finished("[" + '"\\"[",' * 500_000 + "{}," * 1_000_000 + "[]]"),
    "empty texts": _finished("[" + '"",' * 2_500_000 + "[]]"),
    "many messages": {"type": "turn_ended", "usage": {}, "messages": [""] * 5_000_000},
    "many first messages": {"type": "began", "messages": ["x"] * 3_000_000},
    "many calls": {"type": "calls_began", "messages": ["{}"], "calls": 1000},
    "a call before the first": {"type": "call_answered", "place": -1, "message": "{}"},
    "long id": {"type": "tool_called", "call_id": "x" * 1000, "name": "x", "arguments": ""},
    "long name": {"type": "tool_called", "call_id": "x", "name": "x" * 1000, "arguments": ""},
    "long arguments": {"type": "tool_called", "call_id": "x", "name": "x", "arguments": "x" * 1_000_000},
    "long answer": {"type": "tool_answered", "call_id": "x", "name": "x", "text": "x" * 1_000_000, "is_error": False},
    "an answer that is no JSON": _turn('{"role": "assistant", "content": '),
    "an answer that is no text": _turn('{"role": "assistant", "content": {"a": 1}}'),
    "an answer of nobody": _turn('{"role": 7, "content": "x"}'),
    "an answer in the depth": _turn('{"role": "assistant", "content": ' + "[" * 100_000),
    "half a character": _turn('{"role": "assistant", "content": "\\ud800"}'),
    "usage": {"type": "turn_ended", "usage": {"input_tokens": 2**63, "requests": 1}, "messages": []},
    "usage that is text": {"type": "turn_ended", "usage": {"input_tokens": "many"}, "messages": []},
}
