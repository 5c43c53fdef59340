"""Models, in `python/coordinating_models:…`, that start workers by their tools, wait for them, and may end before."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_WORKERS = 3


async def waits_for_workers(messages: Any, tools: Any) -> Any:
    """Give work to three workers, each by a call that waits for it; answer with what they have answered."""
    del tools
    answers = _answers(messages)
    if not answers:
        return _calls("transfer_task", [{"agent": "worker", "task": str(number)} for number in range(_WORKERS)])
    return " ".join(answers)


async def looks_at_workers(messages: Any, tools: Any) -> Any:
    """Start three workers, look at them until all have ended, and answer with the statuses."""
    del tools
    answers = _answers(messages)
    if not answers:
        return _calls("run_background_agent", [{"agent": "worker", "task": str(number)} for number in range(_WORKERS)])
    ids = re.findall(r"(?:Started|Queued) (agent_task_\w+)", "\n".join(answers[:_WORKERS]))
    statuses = re.findall(r"^agent_task_\w+  worker  (\w+)", "\n".join(answers[-_WORKERS:]), re.MULTILINE)
    if statuses == ["completed"] * _WORKERS:
        return " ".join(statuses)
    return _calls("view_background_agent", [{"task_id": task_id} for task_id in ids])


async def starts_workers_and_dies(messages: Any, tools: Any) -> Any:
    """Start three workers, and end the process once the file is there that the task names."""
    del tools
    if not _answers(messages):
        return _calls("run_background_agent", [{"agent": "worker", "task": str(number)} for number in range(_WORKERS)])
    while not Path(_task(messages)).exists():  # noqa: ASYNC240 - how a test calls another process
        pass
    os._exit(3)


async def asks_for_one_deeper(messages: Any, tools: Any) -> Any:
    """Have the agent of the level that the task names do the same, and wait for it; at the bottom, answer."""
    answers = _answers(messages)
    if answers:
        return answers[0]
    if not any(tool["function"]["name"] == "transfer_task" for tool in tools):
        return "the bottom"
    level = int(_task(messages))
    return _calls("transfer_task", [{"agent": f"level_{level}", "task": str(level + 1)}])


def _calls(name: str, arguments: list[dict[str, str]]) -> Any:
    return {
        "content": None,
        "tool_calls": [{"function": {"name": name, "arguments": each}} for each in arguments],
    }


def _answers(messages: Any) -> list[str]:
    return [str(message["content"]) for message in messages if message["role"] == "tool"]


def _task(messages: Any) -> str:
    return next(found for each in messages for found in re.findall(r"<task>\n(.*)\n</task>", str(each["content"])))
