"""A function in place of a model: it plays both agents of the team, by what it finds in the conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["answer"]

Message = Mapping[str, Any]


def answer(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any] | str:
    """Answer one turn, as a model would: with text, or with calls of tools."""
    work = work_of(messages)
    if "run_background_agent" not in {tool["function"]["name"] for tool in tools}:
        return f"{work.capitalize()} live in groups. How many there are, nobody knows."
    said = [str(message["content"]) for message in messages if message["role"] == "tool"]
    if not said:
        topics = [topic.strip() for topic in work.split(",")]
        return calls(*(("run_background_agent", {"agent": "researcher", "task": topic}) for topic in topics))
    # What a task has answered may come with any tool's answer, before the others have ended.
    asked = [call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()]
    if "wait_background_agents" not in asked:
        started = re.findall(r"^Started (agent_task_\w+)", "\n".join(said), re.MULTILINE)
        return calls(("wait_background_agents", {"task_ids": started}))
    return "\n\n".join(dict.fromkeys(re.findall(r"\w+ live in groups\. .*", "\n".join(said))))


def work_of(messages: Sequence[Message]) -> str:
    """Return what the agent is to do: what the user says, or the task that another agent has given it."""
    texts = [str(message["content"]) for message in messages if message["role"] in {"system", "user"}]
    given = re.search(r"<task>\n(.*?)\n</task>", "\n".join(texts), re.DOTALL)
    return given[1] if given is not None else texts[-1]


def calls(*wanted: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a turn that calls tools."""
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}} for name, arguments in wanted]}
