"""docker-agent's way: tasks as coroutines of one process, for what isolation costs, and what its absence does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

from .. import work
from .base import Contender, NotOfferedError, Task

__all__ = ["InProcess"]


async def _run(name: str, argument: str, said: asyncio.Queue[str]) -> str:
    """Do a piece of work as well-written asynchronous code would, which awaits where the others sleep."""
    match name:
        case "speak":
            said.put_nowait(argument or "hello")
        case "second":
            await asyncio.sleep(float(argument or 1))
        case "idle" | "refuse":
            said.put_nowait(str(os.getpid()))
            await asyncio.sleep(3600)
        case "parent":
            work.start_children()
            said.put_nowait(str(os.getpid()))
            if argument == "hang":
                work.hang_in_c()
            await asyncio.sleep(3600)
        case "sibling":
            await asyncio.sleep(float(argument))
        case "llm":
            await work.ask_model(argument)
        case "llm_idle":
            await work.talk_and_wait(argument)
        case _:  # faults do what they do, in the one process there is
            return work.run(name, said.put_nowait, argument)
    return "done"


class _Task:
    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, argument: str) -> None:
        self._loop = loop
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self.task = loop.create_task(_run(name, argument, self._said))

    def first_message(self, timeout: float = 60.0) -> str:
        return self._loop.run_until_complete(asyncio.wait_for(self._said.get(), timeout))

    def outcome(self, timeout: float = 60.0) -> str:
        done, _ = self._loop.run_until_complete(asyncio.wait([self.task], timeout=timeout))
        if not done:
            raise TimeoutError("still runs")
        if self.task.cancelled():
            return "cancelled"
        error = self.task.exception()
        return "" if error is None else f"{type(error).__name__}: {error}"

    def stop(self) -> None:
        self.task.cancel()
        self.outcome()


class InProcess(Contender):
    """Coroutines: no process, no protection."""

    name = "asyncio"
    title = "in process (asyncio)"
    most_tasks_quick = 1000

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def open(self, tasks: int = 1) -> None:
        """Import what the others preload."""
        del tasks
        import openai  # noqa: PLC0415 - in the host of this contender only

        del openai

    def close(self) -> None:
        """Cancel what is left."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.close()

    def start(self, name: str, argument: str = "") -> Task:
        """Make a task of the one event loop."""
        return _Task(self._loop, name, argument)

    def wait_all(self, tasks: Sequence[Task], timeout: float = 300.0) -> None:
        """Wait for all at once."""
        waited = [task.task for task in tasks if isinstance(task, _Task)]
        self._loop.run_until_complete(asyncio.wait_for(asyncio.gather(*waited), timeout))

    def meanwhile(self, function: Callable[[], None]) -> None:
        """Call it in a thread: tasks run only while the loop does."""
        self._loop.run_until_complete(self._loop.run_in_executor(None, function))

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Echo between two coroutines over queues."""
        there: asyncio.Queue[Any] = asyncio.Queue()
        back: asyncio.Queue[Any] = asyncio.Queue()

        async def serve() -> None:
            while True:
                back.put_nowait(await there.get())

        async def exchange(message: bytes) -> bytes:
            there.put_nowait(message)
            answer: bytes = await back.get()
            return answer

        self._echo = self._loop.create_task(serve())
        return lambda message: self._loop.run_until_complete(exchange(message))

    def stream(self, pieces: int) -> float:
        """There is no boundary that output would have to cross."""
        del pieces
        raise NotOfferedError("output crosses no boundary")
