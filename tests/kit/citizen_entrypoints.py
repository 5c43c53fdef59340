"""Entrypoints that use what their agent has: its sub-agents, its tools, its model; and count what they use."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import trio
from subactors.runtime import (
    CapacityError,
    EntrypointTask,
    LoopError,
    ModelError,
    RuntimeClosedError,
    TaskFailed,
    ToolAnswer,
)

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


def asks_for_notices(task: EntrypointTask) -> list[str]:
    """An orchestrator that is a function: start a task, and be told of its end in both ways."""

    def begin() -> None:
        task.tools.call("run_background_agent", agent="echo", task="x")

    async def next_one() -> str:
        notice: str = await task.tools.next_notice()
        return notice

    begin()
    awaited = asyncio.run(next_one())
    begin()
    found = ""
    while not found:
        found = task.tools.notices()
    return [awaited, found, task.tools.notices()]


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


def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


def fails(_: object) -> None:
    """Raise."""
    raise ValueError("as it should")


def submits_functions(task: EntrypointTask) -> dict[str, Any]:
    """Have functions of this module run, in every way there is."""
    runtime = task.runtime
    called: list[str] = []
    one = runtime.submit(double, 21)
    one.add_done_callback(lambda ended: called.append(ended.id))
    with runtime.group() as group:
        grouped = [group.submit(double, number) for number in range(3)]
    with runtime.executor(2) as executor:
        pooled = list(executor.map(double, [5, 6]))
    try:
        runtime.submit(fails, 1).result(30)
    except TaskFailed as error:
        failure = error.reason
    results = {
        "one": one.result(30),
        "grouped": sorted(task.result(30) for task in runtime.as_completed(grouped)),
        "pooled": pooled,
        "chunks": list(runtime.map(double, range(5), chunksize=2)),
        "unordered": sorted(runtime.map(double, range(3), ordered=False, concurrency=1)),
        "failure": failure,
        "done": one.done(),
    }
    while not called:
        task.wait_for_stop(0.01)
    return results | {"called": called == [one.id]}


async def awaits_functions(task: EntrypointTask) -> dict[str, Any]:
    """The same, awaited."""
    runtime = task.async_runtime
    one = await runtime.submit(double, 21)
    async with runtime.group() as group:
        grouped = [await group.submit(double, number) for number in range(3)]
    return {
        "one": await one,
        "grouped": sorted([await task async for task in runtime.as_completed(grouped)]),
        "chunks": [result async for result in runtime.map(double, range(5), chunksize=2)],
    }


def submits_a_lambda(task: EntrypointTask) -> str:
    """Say why it cannot be."""
    try:
        task.runtime.submit(lambda: 1)
    except TypeError as error:
        return str(error)
    return ""


async def gives_up_waits(task: EntrypointTask) -> int:
    """Cancel three thousand waits for one task, then wait for another; return how many waits there were."""
    runtime = task.async_runtime
    waited_for = await runtime.run("waits", "go")
    count = 0
    for _ in range(6):
        waits = [asyncio.create_task(runtime.wait([waited_for])) for _ in range(500)]
        await asyncio.sleep(0)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        count += len(waits)
    await (await runtime.run("echo", "x"))
    return count


def maps_more_than_are_remembered(task: EntrypointTask) -> int:
    """Have more tasks run than a host remembers."""
    return sum(task.runtime.map(double, range(int(task.text))))


def gives_wrong_types(task: EntrypointTask) -> list[str]:
    """Ask for what has a wrong type, and say what comes of it."""
    errors = []
    for arguments in ((5, "x"), ("echo", 5)):
        try:
            task.runtime.run(*arguments)
        except TypeError as error:
            errors.append(str(error))
    try:
        task.runtime.run("echo", "x" * 2_000_000)
    except ValueError as error:
        errors.append(str(error))
    return errors


def leaves_children(task: EntrypointTask) -> str:
    """Start a task that waits for ever, and return."""
    return task.runtime.run("waits", "go").id


def reads_no_results(task: EntrypointTask) -> str:
    """Start tasks and read none of their results, until that is refused; return why, or that it was not."""
    for _ in range(int(task.text)):
        try:
            child = task.runtime.run("echo", "x")
        except CapacityError as error:
            return str(error)
        while not child.done():
            task.wait_for_stop(0.01)
    return "never refused"


async def imports_for_what_it_has(task: EntrypointTask) -> list[str]:
    """Use all that there is, and return what was imported for it."""
    before = set(sys.modules)
    await task.tools.acall("think", thought="x")
    await task.model.complete("x")
    doubled = [result async for result in task.async_runtime.map("echo", ["a", "b"])]
    assert doubled == ["a", "b"]
    return sorted(name for name in set(sys.modules) - before if name.startswith(("subactors", "openai")))


def forks_and_asks(task: EntrypointTask) -> str:
    """Have a forked process ask, and say what became of it."""
    task.tools.call("think", {"thought": "before"})
    task.runtime.list()
    reading, writing = os.pipe()
    if os.fork() == 0:
        told = []
        for ask in (lambda: task.tools.call("think", {"thought": "x"}), lambda: task.runtime.run("echo", "x")):
            try:
                ask()
            except RuntimeClosedError as error:
                told.append(type(error).__name__)
        os.write(writing, " ".join(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def uses_keys(task: EntrypointTask) -> dict[str, Any]:
    """Ask the model, and look for its key in this process and in a program."""
    return {
        "answer": task.model.ask("x").text,
        "own": os.environ.get("TEST_KEY"),
        "shell": task.tools.call("shell", cmd="echo [$TEST_KEY]").text.strip(),
    }


def hangs_in_a_tool(task: EntrypointTask) -> None:
    """Call a tool that does not return."""
    task.emit("calling")
    task.tools.call("shell", cmd="sleep 600")


async def awaits_a_hanging_tool(task: EntrypointTask) -> None:
    """The same, awaited."""
    task.emit("calling")
    await task.tools.acall("shell", cmd="sleep 600")


async def gives_up_a_tool(task: EntrypointTask) -> str:
    """Cancel a call, and see that its program is gone."""
    call = asyncio.create_task(task.tools.acall("shell", cmd="echo $$ > pid; exec sleep 600"))
    process = await asyncio.to_thread(_process_of, Path("pid"))
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    return await asyncio.to_thread(_waited_for_the_end_of, process)


def _process_of(file: Path) -> Path:
    while not (file.exists() and (pid := file.read_text().strip())):
        time.sleep(0.01)
    return Path("/proc", pid)


def _waited_for_the_end_of(process: Path) -> str:
    while process.exists():
        time.sleep(0.01)
    return "gone"


def calls_a_tool_under_trio(task: EntrypointTask) -> str:
    """Run an event loop of another kind."""

    async def call() -> str:
        answer = await task.tools.acall("shell", cmd="echo said")
        return answer.text.strip()

    return trio.run(call)


def fails_with_tools_open(task: EntrypointTask) -> None:
    """Raise, after a call."""
    task.tools.call("shell", cmd="true")
    raise ValueError("as it should")


def asks_until_it_may_not(task: EntrypointTask) -> str:
    """Ask until there is an error."""
    while True:
        try:
            task.model.ask([{"role": "system", "content": "Mine."}, {"role": "user", "content": "x"}])
        except LoopError as error:
            return str(error)


def asks_nonsense(task: EntrypointTask) -> str:
    """Give what is no message."""
    try:
        task.model.ask([{"content": "x"}])
    except TypeError as error:
        return str(error)
    return ""


async def blocks_its_own_loop(task: EntrypointTask) -> str:
    """Be a tool that waits, in the loop of the tools, for another."""
    return task.tools.call("think", thought="x").text


def has_a_tool_that_would_hang(task: EntrypointTask) -> str:
    """Call it."""
    return task.tools.call("blocks_its_own_loop").text


def continues_what_it_started(task: EntrypointTask) -> dict[str, Any]:
    """Continue a task of its own, and try that with another's, whose id the text is."""
    own = task.runtime.run("shows", "First.")
    own.result()
    continued = own.resume("Second.")
    try:
        task.runtime.resume(task.text, "Third.")
    except Exception as error:  # noqa: BLE001 - told
        refused = type(error).__name__
    return {
        "roles": [message["role"] for message in json.loads(continued.result())["messages"]],
        "continues": continued.view().continues == own.id,
        "refused": refused,
    }
