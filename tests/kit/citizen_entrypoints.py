"""Entrypoints that use what their agent has: its sub-agents, its tools, its model; and count what they use."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from subactors.runtime import EntrypointTask, ModelError, ToolAnswer

__all__: list[str] = []


def _plain(answer: ToolAnswer) -> dict[str, Any]:
    return {"text": answer.text, "is_error": answer.is_error}


def calls_tools(task: EntrypointTask) -> list[dict[str, Any]]:
    """Make the calls that the text names, one after the other."""
    return [_plain(task.tools.call(name, arguments)) for name, arguments in json.loads(task.text)]


async def calls_tools_at_once(task: EntrypointTask) -> list[dict[str, Any]]:
    """Make the calls that the text names, all at once."""
    calls = [task.tools.acall(name, arguments) for name, arguments in json.loads(task.text)]
    return [_plain(answer) for answer in await asyncio.gather(*calls)]


def names_tools(task: EntrypointTask) -> dict[str, Any]:
    """Say which tools there are."""
    names = [schema["function"]["name"] for schema in task.tools.schemas]
    return {"names": names, "instructions": task.tools.instructions, "instruction": task.instruction}


async def talks_with_its_model(task: EntrypointTask) -> dict[str, Any]:
    """Be an agent's loop."""
    await task.tools.aopen()
    messages: list[dict[str, Any]] = [{"role": "user", "content": task.text}]
    while True:
        answer = await task.model.complete(messages, task.tools.schemas, stream=True)
        messages.append(answer.message)
        if not answer.tool_calls:
            return {"text": answer.text, "tokens": answer.usage.input_tokens, "turns": len(messages)}
        for call in answer.tool_calls:
            told = await task.tools.acall(call.name, call.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": told.text})


def asks_its_model(task: EntrypointTask) -> str:
    """Ask once, blocking, and say nothing."""
    return task.model.ask(task.text).text


def says_why_its_model_does_not_answer(task: EntrypointTask) -> str:
    """Ask in vain."""
    try:
        return task.model.ask(task.text).text
    except ModelError as error:
        return f"{type(error).__name__}: {error}"


def counts_usage(task: EntrypointTask) -> str:
    """Report the tokens that the text names, from ten threads."""
    tokens = json.loads(task.text)
    threads = [
        threading.Thread(target=task.usage, kwargs={"input_tokens": tokens, "output_tokens": 1, "cost": 0.5})
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "counted"


def counts_without_end(task: EntrypointTask) -> None:
    """Report tokens until the task is ended for it."""
    while not task.wait_for_stop(0.01):
        task.usage(input_tokens=100)


def runs_others(task: EntrypointTask) -> list[Any]:
    """Run a sub-agent for each word."""
    return list(task.runtime.map("echo", task.text.split()))
