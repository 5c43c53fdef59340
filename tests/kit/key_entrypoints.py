"""Sub-agents that say which variables they have, and which are in `/proc`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from python_models import _task
from subactors.runtime import EntrypointTask, Runtime

__all__ = ["answers", "holds", "holds_as_a_model", "quotes", "runs_a_host", "waits"]


def _held(text: str) -> dict[str, Any]:
    names = text.split()
    return {
        "own": {name: os.environ[name] for name in names if name in os.environ},
        "in proc": [name for name in names if name.encode() in Path("/proc/self/environ").read_bytes()],
    }


def holds(task: EntrypointTask) -> dict[str, Any]:
    """Answer which of the variables that the task names are in `os.environ`, and which in `/proc`."""
    return _held(task.text)


def holds_as_a_model(messages: list[dict[str, Any]], tools: list[Any]) -> str:
    """Do the same as a model."""
    del tools
    return json.dumps(_held(_task(messages)))


def answers(messages: list[dict[str, Any]], tools: list[Any]) -> Any:
    """Call the tool that the task names, as a function that has all the keys, and answer what it said."""
    del tools
    if messages[-1]["role"] == "tool":
        return messages[-1]["content"]
    name, _, arguments = _task(messages).partition(" ")
    return {"content": None, "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}


def quotes(task: EntrypointTask) -> None:
    """Fail as a library does that quotes an address."""
    raise ConnectionError(f"http://host/?key={os.environ[task.text]} cannot be reached")


def waits(task: EntrypointTask) -> None:
    """Start a program with an environment of its own choice, and wait for the stop."""
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"PATH": "/bin"})
    task.emit("here")
    try:
        task.wait_for_stop(60)
    finally:
        program.communicate()


def runs_a_host(task: EntrypointTask) -> Any:
    """Be a host in a task, and answer what a task of its own holds."""
    team = {"agents": {"root": {"entrypoint": "key_entrypoints:holds"}}}
    with Runtime.from_mapping(team, standby=0) as runtime:
        (view,) = runtime.wait([runtime.run("root", task.text)], timeout=30)
        return view.result
