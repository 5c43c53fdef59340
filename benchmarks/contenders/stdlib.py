"""`multiprocessing`: a `Process` and a `Pipe` for each task.

With the two start methods that are safe in hosts with threads.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext, ForkServerContext
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from .. import work
from .base import Contender, Task

__all__ = ["ForkServer", "Processes", "Spawn", "forkserver_context"]


def forkserver_context() -> ForkServerContext:
    """Return the forkserver's context, with a server that has imported what tasks need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["openai", "benchmarks.contenders.stdlib", "benchmarks.contenders.pools"])
    return context


def _child(name: str, argument: str, channel: Connection) -> None:
    work.run(name, channel.send, argument)


def _stream(pieces: int, channel: Connection) -> None:
    data = work.PIECE.encode()
    work.run("stream", lambda _: channel.send_bytes(data), str(pieces))


def _echo(channel: Connection) -> None:
    with contextlib.suppress(EOFError):
        while True:
            channel.send(channel.recv())


class _Task:
    def __init__(self, process: BaseProcess, channel: Connection) -> None:
        self.process = process
        self.channel = channel

    def first_message(self, timeout: float = 60.0) -> str:
        if not self.channel.poll(timeout):
            raise TimeoutError("has said nothing")
        return str(self.channel.recv())

    def outcome(self, timeout: float = 60.0) -> str:
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            raise TimeoutError("still runs")
        return f"signal {-code}" if code < 0 else f"exit status {code}" if code else ""

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()


class Processes(Contender):
    """A process for each task, of a context."""

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._context: Any = multiprocessing.get_context("spawn")

    def close(self) -> None:
        """Kill what is left, and the server, which would live on until this process ends."""
        for task in self._tasks:
            task.process.kill()
            task.process.join()
            task.channel.close()
        self._tasks.clear()

    def context(self) -> BaseContext:
        """Return the context."""
        context: BaseContext = self._context
        return context

    def start(self, name: str, argument: str = "") -> Task:
        """Start a process."""
        ours, theirs = self._context.Pipe()
        task = self._start(_child, (name, argument, theirs), ours)
        theirs.close()
        return task

    def _start(self, function: Callable[..., None], arguments: tuple[object, ...], ours: Connection) -> _Task:
        process = self._context.Process(target=function, args=arguments, daemon=True)
        process.start()
        task = _Task(process, ours)
        self._tasks.append(task)
        return task

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Echo pickled messages over a pipe; there is no actor at the other end."""
        ours, theirs = self._context.Pipe()
        self._start(_echo, (theirs,), ours)

        def ask(message: bytes) -> bytes:
            ours.send(message)
            answer: bytes = ours.recv()
            return answer

        return ask

    def stream(self, pieces: int) -> float:
        """Bytes over the pipe, counted."""
        ours, theirs = self._context.Pipe()
        self._start(_stream, (pieces, theirs), ours)
        ours.recv_bytes()
        began = monotonic()
        for _ in range(pieces - 1):
            ours.recv_bytes()
        return monotonic() - began


class Spawn(Processes):
    """A new interpreter for each task."""

    name = "spawn"
    title = "multiprocessing spawn"
    most_tasks = 100
    most_tasks_quick = 20
    slow = True
    lead = 2.5


class ForkServer(Processes):
    """A fork of the fork server, which has `openai` imported."""

    name = "forkserver"
    title = "multiprocessing forkserver, preloaded"
    most_tasks = 1000

    def open(self, tasks: int = 1) -> None:
        """Choose what the server imports; it starts with the first task."""
        del tasks
        self._context = forkserver_context()
