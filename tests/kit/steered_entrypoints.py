"""Functions and models for tasks to which somebody says something while they run."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

from processes_and_waits import wait_until
from subactors.runtime import EntrypointTask
from subactors.runtime.child.letters import letterbox

_PATIENCE = 30.0

Message = dict[str, Any]


def hears(task: EntrypointTask) -> list[str]:
    """Say that it is there, and answer with all that it is told, up to `end`."""
    task.emit("there\n")
    heard: list[str] = []
    while (said := task.receive(timeout=_PATIENCE)) not in {"end", None}:
        heard.append(said)
        task.emit(f"heard {said}\n")
    return heard


def hears_in_passing(task: EntrypointTask) -> list[str]:
    """Say that it is there, wait for a moment at a time, and answer with what it was told until nothing more came."""
    task.emit("there\n")
    heard: list[str] = []
    while (said := task.receive(timeout=0.003)) is not None:
        heard.append(said)
    return heard


async def hears_async(task: EntrypointTask) -> list[str]:
    """As `hears`, in an event loop, which goes on meanwhile."""
    task.emit("there\n")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.create_task(beat())
    heard: list[str] = []
    while (said := await task.receive(timeout=_PATIENCE)) != "end":
        heard.append(said)
    beating.cancel()
    return [*heard, "beats" if beats else "stood still"]


def looks_and_ends(task: EntrypointTask) -> list[str | None]:
    """Wait for a file; answer with what it finds by two looks that do not wait."""
    wait_until(lambda: Path(task.text).exists(), "it comes", limit=_PATIENCE)
    return [task.receive(timeout=0), task.receive(timeout=0)]


def waits_for_a_word(task: EntrypointTask) -> str:
    """Answer with what a wait has come to when the task was stopped."""
    task.emit("there\n")
    said = task.receive()
    return f"{said} {task.stop_requested}"


def crashes_when_told(task: EntrypointTask) -> list[str]:
    """Take one message and end the process, the first time; then answer with what it is told."""
    if task.attempt == 1:
        task.emit("there\n")
        task.receive()
        wait_until(lambda: Path(task.text).exists(), "it comes", limit=_PATIENCE)
        os._exit(3)
    return [task.receive(timeout=_PATIENCE)]


async def gives_up_once(task: EntrypointTask) -> str | None:
    """Cancel a wait, and wait again."""
    waiting = asyncio.ensure_future(task.receive())
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    task.emit("there\n")
    said: str | None = await task.receive(timeout=_PATIENCE)
    return said


def hears_in_threads(task: EntrypointTask) -> list[str]:
    """Have three threads wait, and answer with what they were told, sorted."""
    heard: list[str] = []
    threads = [threading.Thread(target=lambda: heard.append(task.receive(timeout=_PATIENCE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    task.emit("there\n")
    for thread in threads:
        thread.join()
    return sorted(heard)


def runs_one_and_tells_it(task: EntrypointTask) -> Any:
    """Start `hears`, tell it something, and answer with what came of it."""
    other = task.runtime.run("hears", "go")
    receipts = [other.steer("from above"), task.runtime.steer(other, "end")]
    return [other.result(_PATIENCE), [receipt.task_id == other.id for receipt in receipts]]


def answers_when_told(messages: list[Message], tools: list[Message]) -> str:
    """A model: its first answer comes when its process has been told something; then it shows what that was."""
    del tools
    if not any(message["role"] == "assistant" for message in messages):
        wait_until(lambda: letterbox._letters, "somebody says something", limit=_PATIENCE)
        return "the first answer"
    return f"{messages[-1]['role']}: {messages[-1]['content']}"


def thinks_until_told(messages: list[Message], tools: list[Message]) -> Message | str:
    """A model: it thinks until there is something for it, and answers with the message in which that is."""
    del tools
    if messages[-1]["role"] == "tool" and "<message" in messages[-1]["content"]:
        return str(messages[-1]["content"])
    call = {"function": {"name": "think", "arguments": f'{{"thought": "{len(messages)}"}}'}}
    return {"content": "thinking\n", "tool_calls": [call]}
