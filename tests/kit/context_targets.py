"""What processes of the `multiprocessing` context run in tests, and actors that are given what it shares."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.context import assert_spawning
from multiprocessing.reduction import DupFd, ForkingPickler
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, NoReturn

from processes_and_waits import descriptors
from subactors.actors import ProcessActor, get_context

__all__ = ["Closed", "Handed", "Holder", "Shares", "Unpicklable"]

PATIENCE = 30.0
NOT_OPEN = 1_000_000_000
"""A descriptor that no process has."""


def put_surroundings(queue: Any) -> None:
    """Say what the process is."""
    current, parent = multiprocessing.current_process(), multiprocessing.parent_process()
    assert parent is not None
    queue.put(
        {
            "pid": os.getpid(),
            "current": (current.name, current.pid, current.daemon),
            "parent": (parent.name, parent.pid, parent.is_alive()),
            "directory": str(Path.cwd()),
            "variable": os.environ.get("SUBACTORS_TESTED"),
            "threads": threading.active_count(),
            "descriptors": len(descriptors()),
            "main": "__main__" in sys.modules and hasattr(sys.modules["__main__"], "pytest"),
        }
    )


def put(queue: Any, value: object) -> None:
    queue.put(value)


def put_variables(queue: Any) -> None:
    queue.put(dict(os.environ))


def echo(connection: Any) -> None:
    """Send back what comes, until None comes."""
    while (value := connection.recv()) is not None:
        connection.send(value)


def end_with(code: object) -> NoReturn:
    sys.exit(code)  # type: ignore[arg-type]  # it is on purpose that it may be anything


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(PATIENCE)


def fail() -> NoReturn:
    raise ValueError("on purpose")


def sleep_on(_event: Any = None) -> None:
    time.sleep(PATIENCE)


def say_and_sleep(queue: Any) -> None:
    queue.put(os.getpid())
    time.sleep(PATIENCE)


def ignore_sigterm(queue: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say_and_sleep(queue)


def start_sleepers(queue: Any) -> None:
    """Start one program in this session and one in a session of its own, and say their ids, with the own one."""
    programs = [subprocess.Popen(["/bin/sleep", "60"], start_new_session=alone) for alone in (False, True)]
    queue.put([os.getpid(), *(program.pid for program in programs)])
    time.sleep(PATIENCE)


def sleepers_of_a_worker(_number: int, barrier: Any = None) -> list[int]:
    del barrier
    programs = [subprocess.Popen(["/bin/sleep", "60"], start_new_session=alone) for alone in (False, True)]
    return [os.getpid(), *(program.pid for program in programs)]


def square(number: int) -> int:
    return number * number


def pid_of_worker(_number: int) -> int:
    return os.getpid()


def start_another(queue: Any) -> None:
    """Start a process of the context in this one, which tells who its parent is."""
    context = get_context()
    process = context.Process(target=put_parent, args=(queue,))
    process.start()
    process.join()
    queue.put(process.exitcode)


def put_parent(queue: Any) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    queue.put(parent.pid)


def use_a_pool(queue: Any) -> None:
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=get_context()) as pool:
        queue.put(list(pool.map(square, range(3))))


def add_with(lock: Any, value: Any, times: int) -> None:
    for _ in range(times):
        with lock:
            value.value += 1


def acquire(semaphore: Any, queue: Any) -> None:
    queue.put(semaphore.acquire(timeout=0.01))


def meet(barrier: Any, queue: Any) -> None:
    queue.put(barrier.wait(PATIENCE) >= 0)


def set_when_told(told: Any, done: Any) -> None:
    if told.wait(PATIENCE):
        done.set()


def notify(condition: Any) -> None:
    with condition:
        condition.notify_all()


def fill(array: Any) -> None:
    for place in range(len(array)):
        array[place] = place


def write_to(name: str, data: bytes) -> None:
    segment = SharedMemory(name=name)
    segment.buf[: len(data)] = data
    segment.close()


def append_to(shared: Any, value: object) -> None:
    shared.append(value)


def write_and_close(file: Any) -> None:
    os.write(file, b"from the process")


class Unpicklable:
    """Is pickled, and cannot be unpickled."""

    def __reduce__(self) -> Any:
        return fail, ()


class Closed:
    """Is given with a descriptor that is closed by the time it is sent, as by another thread."""

    def __reduce__(self) -> Any:
        assert_spawning(self)
        return DupFd, (DupFd(NOT_OPEN),)


class Handed:
    """Something that a library may register with `multiprocessing`, to be shared in another way than it is pickled."""

    def __init__(self, how: str) -> None:
        self.how = how

    @classmethod
    @contextlib.contextmanager
    def registered(cls) -> Iterator[None]:
        ForkingPickler.register(cls, lambda _: (cls, ("by a reducer",)))
        try:
            yield
        finally:
            del ForkingPickler._extra_reducers[cls]  # type: ignore[attr-defined]  # the stub does not know it


class Shares(ProcessActor):
    """Has something that `multiprocessing` shares."""

    def __init__(self, shared: Any) -> None:
        super().__init__()
        self._shared = shared

    def put(self, value: object) -> None:
        self._shared.put(value)

    def append(self, value: object) -> None:
        self._shared.append(value)

    def lengths(self) -> list[int]:
        """Return the lengths of the lists in a list, each of which is a proxy that comes from the manager."""
        return [len(inner) for inner in self._shared]

    def add(self, times: int) -> None:
        for _ in range(times):
            with self._shared.get_lock():
                self._shared.value += 1

    def locked(self) -> bool:
        return bool(self._shared.acquire(timeout=0.01))

    def wait(self) -> bool:
        return bool(self._shared.wait(PATIENCE))

    def write(self, text: str) -> None:
        data = text.encode()
        self._shared.buf[: len(data)] = data

    def how(self) -> str:
        return str(self._shared.how)

    def write_to(self, name: str, text: str) -> None:
        write_to(name, text.encode())

    def length_of(self, shared: Any) -> int:
        return len(shared)

    def send(self, value: object) -> None:
        self._shared.send(value)

    def who(self) -> dict[str, Any]:
        current, parent = multiprocessing.current_process(), multiprocessing.parent_process()
        assert parent is not None
        return {
            "pid": os.getpid(),
            "current": [current.name, current.pid, current.daemon],
            "parent": [parent.name, parent.pid, parent.is_alive()],
            "key": bytes(current.authkey),
        }

    def own_process(self) -> object:
        return self.actor_ref.process  # type: ignore[attr-defined]  # it is one that has it

    def squares(self, method: str | None) -> list[int]:
        """Return what processes of this one compute."""
        context: Any = multiprocessing.get_context(method) if method else get_context()
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            return list(pool.map(square, range(3)))


class Holder(ProcessActor):
    """Makes a segment of shared memory and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self._segment = SharedMemory(create=True, size=64)

    def name(self) -> str:
        return self._segment.name
