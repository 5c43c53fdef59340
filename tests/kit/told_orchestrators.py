"""Orchestrators that are told of ends: a team of them, and what the journal has of a conversation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subactors.runtime import Runtime, TaskView
from subactors.runtime.runs.conversation import select_conversation
from teams import entrypoint_team, model, run_and_wait

__all__ = [
    "BACKGROUND",
    "PATIENCE",
    "agents",
    "blocks",
    "call_of",
    "children",
    "conversation",
    "start",
    "told",
    "told_runtime",
]

PATIENCE = 60.0

BACKGROUND = {"type": "background_agents"}
WORKERS = ["echo", "raises", "reads_file", "waits", "waits_for_file"]


def agents() -> dict[str, Any]:
    """Agents that follow a plan: one that waits for its tasks, one that stops them, one that is told nothing."""
    return {
        "waiting": model("follows_a_plan", sub_agents=WORKERS, toolsets=[BACKGROUND]),
        "stopping": model("follows_a_plan", sub_agents=WORKERS, toolsets=[{**BACKGROUND, "on_finish": "stop"}]),
        "untold": model("follows_a_plan", sub_agents=WORKERS, toolsets=[{**BACKGROUND, "notify": False}]),
    }


@contextmanager
def told_runtime(folder: Path) -> Iterator[Runtime]:
    """A host for them that has run a task; the tests of a file share one."""
    settings = {"stop_grace": 0.5, "max_tasks": 10_000, "max_running": 40, "standby": 0, "poll_wait": 0.2}
    with Runtime.from_mapping(entrypoint_team(**agents()), state_dir=folder, **settings) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def start(agent: str, task: str) -> list[Any]:
    """A call that starts a task."""
    return ["run_background_agent", {"agent": agent, "task": task}]


def conversation(runtime: Runtime, task: str) -> list[dict[str, Any]]:
    """What the journal has of a task's conversation."""
    answered: Future[list[tuple[str]]] = Future()
    runtime._host.journal.query(select_conversation(task), answered.set_result)
    return [json.loads(body) for (body,) in answered.result(PATIENCE)]


def blocks(messages: list[dict[str, Any]]) -> list[str]:
    """What was told, in order."""
    text = "\n".join(str(message["content"]) for message in messages if message["role"] in {"tool", "user"})
    return re.findall(r"<background_agents>\n.*?\n</background_agents>", text, re.DOTALL)


def told(messages: list[dict[str, Any]]) -> Counter[str]:
    """How often each task's end was told."""
    return Counter(re.findall(r"^(agent_task_\w+) \(", "\n".join(blocks(messages)), re.MULTILINE))


def children(runtime: Runtime, task: str) -> list[TaskView]:
    """The tasks that a task has started."""
    return [view for view in runtime.list() if view.parent == task]


def call_of(call: list[Any]) -> tuple[str, str]:
    """A call as the arguments of `OrchestratorTools.call`."""
    return call[0], json.dumps(call[1])
