"""Entrypoints and models whose processes crash in some attempts, for tests of restarts. What they need is in the task.

The task is JSON with a `folder` in which each attempt leaves traces that outlive its process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from processes_and_waits import wait_until
from subactors.runtime import EntrypointTask

_LONG = 600.0
_CRASHES_IN_TURN = 3

Messages = Sequence[Mapping[str, Any]]


def crashes_at_first(task: EntrypointTask) -> str:
    """Exit with status 3 in as many attempts as the text says, then answer with the number of the attempt."""
    task.emit(f"attempt {task.attempt}\n")
    if task.attempt <= int(task.text):
        os._exit(3)
    return f"done in attempt {task.attempt}"


def completes(task: EntrypointTask) -> int:
    """Answer with the number of the attempt."""
    task.emit(f"attempt {task.attempt}\n")
    return task.attempt


def raises(task: EntrypointTask) -> None:
    """Raise, in every attempt."""
    raise ValueError(f"attempt {task.attempt}")


def crashes_when_told(task: EntrypointTask) -> str:
    """Wait for a file of this attempt's number in the folder that the text names, or a stop; crash for the file."""
    task.emit(f"attempt {task.attempt}\n")
    told = Path(task.text) / str(task.attempt)
    wait_until(lambda: told.exists() or task.stop_requested, "told to crash, or stopped", limit=_LONG)
    if task.stop_requested:
        return "stopped"
    os._exit(3)


def remembers(messages: Messages, tools: Messages) -> dict[str, Any] | str:
    """Write a file by a tool call in each of two turns, crash in the third of the first attempt, then tell all.

    The answer is JSON: what the conversation was at the first turn of this process, and all the files' contents.
    """
    del tools
    task = _task(messages)
    folder = Path(task["folder"])
    turn = 1 + sum(message["role"] == "assistant" for message in messages)
    attempt = folder / "attempts"
    with attempt.open("a") as file:
        file.write(f"{os.getpid()} {turn}\n")
    if turn < _CRASHES_IN_TURN:
        command = f"echo turn {turn} >> '{folder / 'calls'}'"
        return {"content": f"Turn {turn}.", "tool_calls": [_call("shell", {"cmd": command})]}
    if not (folder / "crashed").exists():
        (folder / "crashed").touch()
        os._exit(3)
    return json.dumps({"roles": [message["role"] for message in messages], "said": _said(messages)})


def dies_in_a_call(messages: Messages, tools: Messages) -> dict[str, Any] | str:
    """Write a file by two tool calls of one turn, of which one ends, and the other kills this process when it may.

    The answer is JSON: what the tools have answered.
    """
    del tools
    answers = [message["content"] for message in messages if message["role"] == "tool"]
    if answers:
        return json.dumps(answers)
    folder = Path(_task(messages)["folder"])
    first = f"echo first >> '{folder / 'calls'}'"
    second = f"echo second >> '{folder / 'calls'}'; until [ -e '{folder / 'die'}' ]; do sleep 0.01; done"
    return {
        "content": None,
        "tool_calls": [_call("shell", {"cmd": f"{second}; kill -9 {os.getpid()}"}), _call("shell", {"cmd": first})],
    }


def delegates_and_crashes(messages: Messages, tools: Messages) -> dict[str, Any] | str:
    """Start a background task, crash in the second turn of the first attempt, view the task in the next attempt."""
    del tools
    task = _task(messages)
    folder = Path(task["folder"])
    turn = 1 + sum(message["role"] == "assistant" for message in messages)
    if turn == 1:
        arguments = {"agent": task["agent"], "task": "go"}
        return {"content": None, "tool_calls": [_call("run_background_agent", arguments)]}
    text = "\n".join(str(message["content"]) for message in messages)
    started = re.findall(r"Started (agent_task_\w+)", text)
    if not (folder / "crashed").exists():
        (folder / "crashed").touch()
        os._exit(3)
    if turn == 2:
        return {"content": None, "tool_calls": [_call("view_background_agent", {"task_id": started[0]})]}
    return str(messages[-1]["content"])


def _said(messages: Messages) -> list[Any]:
    return [message["content"] for message in messages if message["role"] == "assistant"]


def _task(messages: Messages) -> dict[str, Any]:
    for message in messages:
        found = re.search(r"<task>\n(.*)\n</task>", str(message["content"]), re.DOTALL)
        if found is not None:
            task: dict[str, Any] = json.loads(found[1])
            return task
    raise AssertionError(f"no task in {messages}")


def _call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": json.dumps(arguments)}}
