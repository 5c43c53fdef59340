"""The floor: what the operating system asks for a process with a channel, and nothing else.

A single-threaded host that has `openai` imported forks, and watches with a pidfd. No supervision, no capture of output,
no hygiene: the cost that no design on top of fork can go below.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import select
import signal
import socket
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from .. import work
from .base import MAPPED_AT_ONCE, Contender, Task

__all__ = ["Floor"]

_CHUNK = 1 << 16


class _Task:
    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.pidfd = os.pidfd_open(pid)
        self._how: str | None = None

    def first_message(self, timeout: float = 60.0) -> str:
        self.channel.settimeout(timeout)
        return self.channel.recv(_CHUNK).decode()

    def outcome(self, timeout: float = 60.0) -> str:
        if self._how is None:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            if not poll.poll(timeout * 1000):
                raise TimeoutError("still runs")
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self.pidfd)
            self.channel.close()
            self._how = f"signal {-code}" if code < 0 else f"exit status {code}" if code else ""
        return self._how

    def stop(self) -> None:
        signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)
        self.outcome()


def _map(chunk: range, channel: socket.socket) -> None:
    channel.sendall(json.dumps([work.give_back(item) for item in chunk]).encode())


class Floor(Contender):
    """Bare fork, pidfd and socket pair."""

    name = "floor"
    title = "floor (fork, pidfd, socketpair)"
    most_tasks_quick = 1000

    def __init__(self) -> None:
        self._tasks: list[_Task] = []

    def open(self, tasks: int = 1) -> None:
        """Import what the tasks share, as a zygote does."""
        del tasks
        import openai  # noqa: PLC0415 - in the host of this contender only

        del openai
        gc.freeze()

    def close(self) -> None:
        """Kill what is left."""
        for task in self._tasks:
            if task._how is None:  # noqa: SLF001 - of this module
                signal.pidfd_send_signal(task.pidfd, signal.SIGKILL)
                task.outcome()
        self._tasks.clear()

    def start(self, name: str, argument: str = "") -> Task:
        """Fork."""
        return self._fork(lambda channel: work.run(name, lambda text: channel.sendall(text.encode()), argument))

    def wait_all(self, tasks: Sequence[Task], timeout: float = 300.0) -> None:
        """As for all, and forget them."""
        super().wait_all(tasks, timeout)
        self._tasks = [task for task in self._tasks if task._how is None]  # noqa: SLF001 - of this module

    def map(self, count: int, chunksize: int) -> None:
        """Fork for each chunk, some at a time, read what it sends, and reap it."""
        chunks = deque(range(first, min(first + chunksize, count)) for first in range(0, count, chunksize))
        line: deque[tuple[range, _Task]] = deque()
        while chunks or line:
            while chunks and len(line) < MAPPED_AT_ONCE:
                chunk = chunks.popleft()
                line.append((chunk, self._fork(functools.partial(_map, chunk))))
            chunk, task = line.popleft()
            if json.loads(task.channel.recv(_CHUNK)) != list(chunk) or task.outcome():
                raise RuntimeError("A process of the floor has failed.")
        self._tasks.clear()

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Echo over a socket pair between two processes."""

        def serve(channel: socket.socket) -> None:
            while data := channel.recv(_CHUNK):
                channel.sendall(data)

        channel = self._fork(serve).channel

        def ask(message: bytes) -> bytes:
            channel.sendall(message)
            return channel.recv(_CHUNK)

        return ask

    def stream(self, pieces: int) -> float:
        """Bytes over the socket pair, counted."""
        task = self._fork(lambda channel: work.run("stream", lambda text: channel.sendall(text.encode()), str(pieces)))
        left = pieces * len(work.PIECE)
        left -= len(task.channel.recv(_CHUNK))
        began = monotonic()
        while left > 0:
            left -= len(task.channel.recv(_CHUNK))
        took = monotonic() - began
        task.outcome()
        return took

    def _fork(self, function: Callable[[socket.socket], object]) -> _Task:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                function(theirs)
                status = 0
            except BaseException:  # noqa: BLE001 - nothing of the host's may run in the child
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()
        task = _Task(pid, ours)
        self._tasks.append(task)
        return task
