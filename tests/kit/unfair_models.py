"""Models, in `python/unfair_models:…`, that ask more of the supervisor than any healthy task; each says what it was
told."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from abusive_entrypoints import _channel, send
from subactors.actors import RemoteError
from subactors.runtime.tasks.messages import ListTasks, RunTask, StopTasks, ViewTask, WaitTasks

_LONG = 60.0


def takes_all_slots(messages: Any, tools: Any) -> str:
    """Start tasks until one is refused, wait for the stop of the first, and say how many that were, and the refusal."""
    del tools
    started = []
    while True:
        try:
            started.append(_start("waits", "go"))
        except RemoteError as error:
            refusal = str(error)
            break
    if _text(messages) == "hold":
        _ask(WaitTasks(started[:1]))
    return json.dumps([len(started), refusal])


def starts_one(messages: Any, tools: Any) -> str:
    """Start one task."""
    del messages, tools
    return _start("echo", "go")


def names_the_same_task_often(messages: Any, tools: Any) -> str:
    """Wait for one task in many requests that name it ten thousand times each; say how many could be asked."""
    del messages, tools
    task_id = _start("waits", "go")
    waits = [_channel().request(WaitTasks([task_id] * 10_000)) for _ in range(30)]
    _ask(StopTasks([task_id]))
    return str([len(msgspec.msgpack.decode(wait.result(_LONG))["tasks"]) for wait in waits])


def waits_for_many(messages: Any, tools: Any) -> str:
    """Wait for ten tasks in hundreds of requests, and say what the refused ones were told."""
    del messages, tools
    ids = [_start("waits", "go") for _ in range(10)]
    waits = [_channel().request(WaitTasks(ids)) for _ in range(30)]
    _ask(ListTasks())  # asked last, so answered when all of the others have been taken
    return json.dumps([str(wait.exception()) for wait in waits if wait.done()])


def waits_for_one(messages: Any, tools: Any) -> str:
    """Wait for one task to end, and say what the answer was."""
    del messages, tools
    return _refusal(WaitTasks([_start("other", "go")]))


def names_too_many(messages: Any, tools: Any) -> str:
    """Wait for more tasks than any request may name."""
    del messages, tools
    _ask(WaitTasks(["agent_task_1"] * 10_001))
    return "answered"


def asks_at_length(messages: Any, tools: Any) -> str:
    """Ask for what there is not, at length, and say what the answers were."""
    del messages, tools
    long = "x" * 100_000
    asked = [ViewTask(long), StopTasks([long]), WaitTasks([long]), RunTask(long, "go"), RunTask("echo", long * 11)]
    return json.dumps([_refusal(request) for request in asked])


def hands_over_much(messages: Any, tools: Any) -> str:
    """Start tasks with long texts until one is refused, read one, start another; say what there was."""
    del messages, tools
    started = []
    while True:
        try:
            started.append(_start("echo", "x" * 900_000))
        except RemoteError as error:
            refusal = str(error)
            break
    _ask(WaitTasks(started))
    started.append(_start("echo", "more"))
    known = [task["id"] for task in _ask(ListTasks())["tasks"]]
    return json.dumps([refusal, started[0] in known, started[-1] in known])


def ends_and_goes_on(messages: Any, tools: Any) -> str:
    """Report an end, and after it what no supervisor could decode."""
    del messages, tools
    send({"type": "finished", "result": '"first"', "early": False})
    send({"type": "finished", "result": {"no": "text"}, "early": False})
    return "second"


def _text(messages: Any) -> str:
    return next(found for each in messages for found in re.findall(r"<task>\n(.*)\n</task>", str(each["content"])))


def _start(agent: str, text: str) -> str:
    return str(_ask(RunTask(agent, text))["task_id"])


def _refusal(request: Any) -> str:
    try:
        _ask(request)
    except RemoteError as error:
        return str(error)
    return "answered"


def _ask(request: Any) -> Any:
    return msgspec.msgpack.decode(_channel().request(request).result(_LONG))
