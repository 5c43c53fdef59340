"""Entrypoints that send their supervisor requests which the library would not make."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import msgspec
from abusive_entrypoints import send
from subactors.actors.child.channel import serving
from subactors.actors.wire.messages import Request as RequestOnTheWire
from subactors.runtime import EntrypointTask
from subactors.runtime.tasks.calls import encode_call
from subactors.runtime.tasks.messages import Request, RunOptions, RunTask
from subactors.runtime.team.config import Limits, RestartPolicy

__all__: list[str] = []


def says_what_it_has() -> dict[str, Any]:
    """Return which key a function finds."""
    return {"key": os.environ.get("TEST_KEY")}


def waits_for_ever() -> None:
    """Wait."""
    time.sleep(600)


def waits_with(_what: str) -> None:
    """Wait, and hold what it was given."""
    time.sleep(600)


def _call(function: Any, *args: Any) -> bytes:
    encoded = encode_call(function, args, {}, __name__, by_value=False)
    assert encoded is not None
    return encoded[0]


def _run(function: Any, agent: str = "forged", options: RunOptions = RunOptions()) -> RunTask:  # noqa: B008 - a frozen value
    return RunTask(agent, "x", call=_call(function), options=options)


FORGED: dict[str, list[RunTask]] = {
    "call": [_run(says_what_it_has)],
    "options": [
        RunTask("echo", "x", options=RunOptions(restart=RestartPolicy("permanent"))),
        RunTask("echo", "x", options=RunOptions(workdir="shared")),
    ],
    "names": [_run(says_what_it_has, "x" * 100_000), _run(says_what_it_has, "")],
    "usual": [RunTask("echo", "x", options=RunOptions(limits=Limits(tokens=5)))],
    "wider": [_run(waits_for_ever, options=RunOptions(limits=Limits(tokens=10**9, wall_clock=1e9)))],
    "what it has": [_run(says_what_it_has)],
    "no pickle": [RunTask("forged", "x", call=b"no pickle")],
    "large": [RunTask("forged", "x", call=_call(waits_with, "x" * 900_000)) for _ in range(6)],
    "data": [RunTask("echo", "x", data="[" * 100_000)],
    "not in the team": [RunTask("private", "x")],
}


def answer_to(request: Request[Any]) -> str:
    """Send a request as it is, and return what comes of it: a task's id, or why there is none."""
    try:
        answer = serving[-1].request(request).result(60)
    except Exception as error:  # noqa: BLE001 - the answer of the host
        return str(error)
    return str(msgspec.msgpack.decode(answer).get("task_id"))


def forges(task: EntrypointTask) -> list[str]:
    """Send the requests that the text names, and return the answers once what was started has ended."""
    answers = [answer_to(request) for request in FORGED[task.text]]
    task.emit("\n".join(answers))
    started = [answer for answer in answers if answer.startswith("agent_task_")]
    if task.text != "large":
        task.runtime.wait(started)
    return answers


def reports(task: EntrypointTask) -> str:
    """Send the report that the text is, as JSON, and wait to be ended for it; or return, once it is handled."""
    send(msgspec.json.decode(task.text))
    task.runtime.list()
    return "handled"


def requests(task: EntrypointTask) -> str:
    """Send the request that the text is, as JSON."""
    body = msgspec.Raw(msgspec.msgpack.encode(json.loads(task.text)))
    serving[-1].send(RequestOnTheWire(10**6, body))
    task.runtime.list()
    return "handled"
