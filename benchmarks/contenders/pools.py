"""Pools of processes: `concurrent.futures`, loky and pebble.

A pool gives its work no way to say anything before it returns. Where a scenario needs the first word, the work sends it
as a datagram to a socket that the host listens on, which is as fast as anything can be. Each task gets a process that
no other task has used, as it does elsewhere: `concurrent.futures` and pebble have a setting for that, loky needs a new
pool.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import itertools
import socket
import tempfile
from pathlib import Path
from typing import Any, Final

from .. import work
from ..processes import wait_gone
from .base import Contender, NotOfferedError, Task
from .stdlib import forkserver_context

__all__ = ["Executor", "Loky", "Pebble"]

_MOST_BYTES: Final = 1000

_KILL_EVERY: Final = 0.05
"""Seconds between two looks for processes of a pool that ends."""


def _do(name: str, argument: str, address: str, number: int) -> str:
    """Do the work, in a process of the pool."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        return work.run(name, lambda text: channel.sendall(f"{number} {text}".encode()), argument)


class _Task:
    def __init__(self, pool: _Pool, number: int, future: Any) -> None:
        self._pool = pool
        self._number = number
        self.future = future

    def first_message(self, timeout: float = 60.0) -> str:
        return self._pool.first_message(self._number, timeout)

    def outcome(self, timeout: float = 60.0) -> str:
        try:
            self.future.result(timeout)
        except concurrent.futures.CancelledError:
            return "cancelled"
        except TimeoutError:
            if self.future.done():
                raise
            raise TimeoutError("still runs") from None
        except Exception as error:  # noqa: BLE001 - whatever the pool says is its answer
            return f"{type(error).__name__}: {error}"
        return ""

    def stop(self) -> None:
        self._pool.stop_task(self.future, self._number)


class _Pool(Contender):
    fills_itself = True

    def __init__(self) -> None:
        self._pool: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="subactors-benchmark-")
        self._address = str(Path(self._folder.name) / "words")
        self._words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._words.bind(self._address)
        self._numbers = itertools.count()
        self._said: dict[int, str] = {}

    def open(self, tasks: int = 1) -> None:
        """Make the pool."""
        self._pool = self._make(tasks)

    def close(self) -> None:
        """End the pool, and what hangs in it."""
        if self._pool is not None:
            self._end()
            self._pool = None

    def start(self, name: str, argument: str = "") -> Task:
        """Submit the work."""
        number = next(self._numbers)
        return _Task(self, number, self._submit(name, argument, self._address, number))

    def first_message(self, number: int, timeout: float) -> str:
        """Read words up to the first of one task."""
        self._words.settimeout(timeout)
        while number not in self._said:
            who, _, text = self._words.recv(_MOST_BYTES).decode().partition(" ")
            self._said.setdefault(int(who), text)
        return self._said[number]

    def stop_task(self, future: Any, number: int) -> None:
        """Refuse: a task that runs cannot be cancelled."""
        del future, number
        raise NotOfferedError("cannot stop a task that runs")

    def _make(self, tasks: int) -> Any:
        raise NotImplementedError

    def _submit(self, *arguments: Any) -> Any:
        return self._pool.submit(_do, *arguments)

    def _end(self) -> None:
        raise NotImplementedError


class Executor(_Pool):
    """`ProcessPoolExecutor` over the fork server, a new process for each task."""

    name = "executor"
    title = "concurrent.futures, forkserver"
    most_tasks = 500
    most_tasks_quick = 100

    def _make(self, tasks: int) -> Any:
        return concurrent.futures.ProcessPoolExecutor(tasks, mp_context=forkserver_context(), max_tasks_per_child=1)

    def _end(self) -> None:
        # It has no public way to end its processes. Those that are killed break it, and its thread ends all others.
        # Shut down before that, it may have replaced one meanwhile, which waits for ever for a lock of a killed one.
        processes = self._pool._processes  # noqa: SLF001 - see above
        thread = self._pool._executor_manager_thread  # noqa: SLF001 - the same
        while thread is not None and thread.is_alive():
            if not processes:
                self._pool.shutdown(wait=False, cancel_futures=True)
            for process in list(processes.values()):
                process.kill()
            thread.join(_KILL_EVERY)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def map(self, count: int, chunksize: int) -> None:
        """Map: one by one in processes of their own; chunks as most programs do it, in a new pool of a few workers."""
        if chunksize == 1:
            found = list(self._pool.map(work.give_back, range(count)))
        else:
            with concurrent.futures.ProcessPoolExecutor() as pool:
                found = list(pool.map(work.give_back, range(count), chunksize=chunksize))
        if found != list(range(count)):
            raise RuntimeError("The results are not those of the function.")


class Loky(_Pool):
    """Loky's executor, which starts its workers as new interpreters."""

    name = "loky"
    title = "loky"
    distribution = "loky"
    reuses_processes = True
    most_tasks = 100
    most_tasks_quick = 20
    slow = True
    lead = 2.5

    def _make(self, tasks: int) -> Any:
        return importlib.import_module("loky").ProcessPoolExecutor(max_workers=tasks)

    def _end(self) -> None:
        self._pool.shutdown(wait=True, kill_workers=True)


class Pebble(_Pool):
    """Pebble's pool over the fork server, a new process for each task."""

    name = "pebble"
    title = "pebble, forkserver"
    distribution = "pebble"
    slow = True
    most_tasks = 100
    most_tasks_quick = 20

    def _make(self, tasks: int) -> Any:
        pebble = importlib.import_module("pebble")
        return pebble.ProcessPool(max_workers=tasks, max_tasks=1, context=forkserver_context())

    def _submit(self, *arguments: Any) -> Any:
        return self._pool.schedule(_do, args=arguments)

    def _end(self) -> None:
        self._pool.stop()
        self._pool.join(10)

    def stop_task(self, future: Any, number: int) -> None:
        """Cancel it, which kills its process; it says its id first."""
        pid = int(self.first_message(number, 60.0))
        future.cancel()
        wait_gone(pid)
