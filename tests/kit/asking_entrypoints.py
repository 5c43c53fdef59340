"""Functions and models for tasks that ask questions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from subactors.runtime import EntrypointTask, NoAnswerError

Message = dict[str, Any]


def asks(task: EntrypointTask) -> str:
    """Ask what its data says, and answer with what it was told, or with the error."""
    given = dict(task.data or {})
    try:
        said: str = task.ask(given.pop("question", "left or right?"), **given)
    except NoAnswerError as error:
        return f"no answer: {error}"
    return f"told: {said}"


async def asks_async(task: EntrypointTask) -> list[str]:
    """Ask two things at the same time."""
    return list(await asyncio.gather(task.ask("first?", timeout=30), task.ask("second?", timeout=30)))


async def gives_up(task: EntrypointTask) -> str:
    """Ask, and cancel the wait; then ask something else."""
    waiting = asyncio.ensure_future(task.ask("never mind?"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting])
    said: str = await task.ask("and this?")
    return said


def dies_while_it_asks(task: EntrypointTask) -> str:
    """Ask in a thread, and fail."""
    import threading  # noqa: PLC0415 - for this one

    threading.Thread(target=task.ask, args=("is anybody there?",), daemon=True).start()
    task.wait_for_stop(0.3)
    raise ValueError("mine")


def answers_its_own(task: EntrypointTask) -> str:
    """Start one that asks, answer it, and return what it has made of that."""
    other = task.runtime.run("asks", "go", data={"question": "what now?"})
    while not (questions := other.view().questions):
        task.wait_for_stop(0.01)
    task.runtime.answer(questions[0], "go home")
    result: str = other.result(30)
    return result


def asks_its_parent(messages: list[Message], tools: list[Message]) -> Message | str:
    """A model: it calls the first of its tools that asks, with what the task says, and answers with the answer."""
    if messages[-1]["role"] == "tool":
        return str(messages[-1]["content"])
    names = [tool["function"]["name"] for tool in tools]
    name = next(name for name in ("ask_parent", "user_prompt") if name in names)
    text = next(str(message["content"]) for message in messages if "<task>" in str(message["content"]))
    arguments = json.loads(text.partition("<task>\n")[2].partition("\n</task>")[0])
    call = {"function": {"name": name, "arguments": json.dumps(arguments)}}
    return {"content": None, "tool_calls": [call]}
