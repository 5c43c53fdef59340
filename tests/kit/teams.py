"""Teams that tests of the runtime run, and what they do with them again and again.

The agents are `entrypoints` and `python_models`, so that neither key nor server is needed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import entrypoints
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView, ToolAnswer

__all__ = [
    "call",
    "entrypoint",
    "entrypoint_team",
    "model",
    "plan",
    "run_and_wait",
    "shared_runtime",
    "speaking",
    "task_ids",
    "wait_until_running",
]

PATIENCE = 30.0
"""Seconds to wait for something that must come."""


def entrypoint(name: str, **more: Any) -> dict[str, Any]:
    """An agent that is a function of `entrypoints`."""
    return {"entrypoint": f"entrypoints:{name}", **more}


def model(name: str, **more: Any) -> dict[str, Any]:
    """An agent whose model is a function of `python_models`."""
    return {"model": f"python/python_models:{name}", **more}


def entrypoint_team(**agents: Mapping[str, Any]) -> dict[str, Any]:
    """A team with an agent for each function of `entrypoints`, under the function's name, and further agents."""
    functions = [
        name
        for name, value in vars(entrypoints).items()
        if callable(value) and getattr(value, "__module__", "") == "entrypoints" and not name.startswith("_")
    ]
    return {"agents": {**{name: entrypoint(name) for name in functions}, **agents}}


@contextlib.contextmanager
def shared_runtime(**settings: Any) -> Iterator[Runtime]:
    """A runtime for many tests, with all its threads there before the first of them counts anything.

    None of its processes stands by: those come and go beside a test.
    """
    settings = {"stop_grace": 0.5, "max_tasks": 10_000, "standby": 0, **settings}
    with Runtime.from_mapping(entrypoint_team(), **settings) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        called = threading.Event()
        runtime.run("echo", "warm up").add_done_callback(lambda _: called.set())
        called.wait(PATIENCE)
        yield runtime


def run_and_wait(runtime: Runtime, agent: str, task: str = "go", **more: Any) -> TaskView:
    """Run a task to its end."""
    (view,) = runtime.wait([runtime.run(agent, task, **more)], timeout=PATIENCE)
    return view


def wait_until_running(runtime: Runtime, task_id: str) -> TaskView:
    """Return a task's view once its process runs."""
    wait_until(lambda: runtime.view(task_id).status != "starting", "the task runs", limit=PATIENCE)
    return runtime.view(task_id)


def speaking(runtime: Runtime, agent: str, task: str = "go") -> str:
    """Start a task and return its id once it has said something."""
    task_id = runtime.run(agent, task).id
    wait_until(lambda: runtime.view(task_id).output, "the task has said something", limit=PATIENCE)
    return task_id


def plan(*turns: Any) -> str:
    """A task for `python_models.follows_a_plan`, which says what turns are."""
    return json.dumps(turns)


def call(toolset: Any, name: str, **arguments: Any) -> ToolAnswer:
    """Call a tool with arguments given as Python values."""
    answer: ToolAnswer = toolset.call(name, json.dumps(arguments))
    return answer


def task_ids(views: list[TaskView]) -> list[str]:
    """The ids, in order."""
    return [view.id for view in views]
