"""Functions that tests name as `python/python_models:…`: they answer a conversation as a model would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]

_LONG = 600.0


async def follows_a_plan(messages: list[Message], tools: list[dict[str, Any]]) -> Message | str:
    """Do what the task says, turn by turn. The task is a JSON list; `teams.plan` writes it.

    A turn is one of
    - a list of calls `[name, arguments]`, in whose arguments `{id 0}` stands for the first task that was started;
    - `{"wait_for": path}`: wait for a file, then do the next turn;
    - `{"answer": text}`;
    - `"answers"`: answer with a JSON list of all that the tools have answered.
    """
    del tools
    turns = json.loads(_task(messages))
    done = sum(message["role"] == "assistant" for message in messages)
    acted = -1
    turn: Any = None
    for turn in turns:
        if isinstance(turn, dict) and "wait_for" in turn:
            # Those of earlier turns are there already.
            while not Path(turn["wait_for"]).exists():  # noqa: ASYNC110, ASYNC240 - how a test calls another process
                await asyncio.sleep(0.005)
            continue
        acted += 1
        if acted == done:
            break
    if turn == "answers":
        return json.dumps([message["content"] for message in messages if message["role"] == "tool"])
    if isinstance(turn, dict):
        return str(turn["answer"])
    ids = re.findall(r"(?:Started|Queued) (agent_task_\w+)", "\n".join(str(message["content"]) for message in messages))
    return {
        "content": None,
        "tool_calls": [
            {"function": {"name": name, "arguments": _with_ids(arguments, ids)}} for name, arguments in turn
        ],
    }


def _with_ids(arguments: Any, ids: list[str]) -> Any:
    if isinstance(arguments, str):
        return arguments
    text = json.dumps(arguments)
    return json.loads(re.sub(r"\{id (\d+)\}", lambda found: ids[int(found[1])], text))


def _task(messages: list[Message]) -> str:
    """Return the task: from the system message of a sub-agent, or else the user's message."""
    for message in messages:
        found = re.search(r"<task>\n(.*)\n</task>", str(message["content"]), re.DOTALL)
        if found is not None:
            return found[1]
    return str(next(message["content"] for message in messages if message["role"] == "user"))


def shows_its_conversation(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """Answer what it was given."""
    return json.dumps({"messages": messages, "tools": [tool["function"]["name"] for tool in tools]})


def streams(messages: list[Message], tools: list[dict[str, Any]]) -> Iterator[str]:
    """Stream a text in pieces."""
    del messages, tools
    yield from ("One, ", "two, ", "three.")


def raises(messages: list[Message], tools: list[dict[str, Any]]) -> str:
    """Fail."""
    del messages, tools
    raise KeyError("no such thing")


def thinks_without_end(messages: list[Message], tools: list[dict[str, Any]]) -> Message:
    """Call a tool in every turn, each time with something else."""
    del tools
    return {
        "content": None,
        "tool_calls": [{"function": {"name": "think", "arguments": {"thought": f"Thought {len(messages)}."}}}],
    }


async def waits(messages: list[Message], tools: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Never come to an end, but be ready to be cancelled."""
    del messages, tools
    yield "so far "
    await asyncio.sleep(_LONG)


def is_stuck(messages: list[Message], tools: list[dict[str, Any]]) -> Iterator[str]:
    """Never come to an end, and not be ready to be cancelled, as sync code is."""
    del messages, tools
    yield "so far "
    os.write(1, b"stuck from here on\n")  # the log: what is looked at by who has to stop it there
    time.sleep(_LONG)


def polls(messages: list[Message], tools: list[dict[str, Any]]) -> Message | str:
    """Start the task that it is given, and look at it as fast as can be until it has ended; answer how often."""
    del tools
    said = [message for message in messages if message["role"] == "assistant"]
    last = str(messages[-1]["content"])
    if said and "0 still at work" in last:
        return str(len(said) - 1)
    call = {"name": "list_background_agents", "arguments": {}}
    if not said:
        call = {"name": "run_background_agent", "arguments": json.loads(_task(messages))}
    return {"content": None, "tool_calls": [{"function": call}]}


def polls_many(messages: list[Message], tools: list[dict[str, Any]]) -> Message | str:
    """Start the tasks that it is given, and look as it is told until it knows of all ends; answer how often."""
    del tools
    said = [message for message in messages if message["role"] == "assistant"]
    plan = json.loads(_task(messages))
    if not said:
        starts = [{"name": "run_background_agent", "arguments": one} for one in plan["starts"]]
        return {"content": None, "tool_calls": [{"function": call} for call in starts]}
    known = "\n".join(str(message["content"]) for message in messages[1:])
    ids = re.findall(r"^Started (agent_task_\w+)", known, re.MULTILINE)
    if len({*re.findall(r"^(agent_task_\w+) +\(?\w+\)?:? +completed", known, re.MULTILINE)}) == len(ids):
        return str(len(said) - 1)
    look = plan["looks"][len(said) % len(plan["looks"])]
    arguments = {} if look == "list_background_agents" else {"task_id": ids[-1]}
    return {"content": None, "tool_calls": [{"function": {"name": look, "arguments": arguments}}]}


def thinks_at_a_price(messages: list[Message], tools: list[dict[str, Any]]) -> Message:
    """Think as long as there are tools, and say that each turn has used a hundred tokens."""
    usage = {"prompt_tokens": 60, "completion_tokens": 40}
    if not tools:
        return {"content": "What there is.", "usage": usage}
    thought = {"thought": f"thought {len(messages)}"}
    return {"content": None, "tool_calls": [{"function": {"name": "think", "arguments": thought}}], "usage": usage}
