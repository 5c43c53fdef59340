"""Entrypoints that are stopped in the middle of something; a test reads in a file, or in the output, what became of it.

They run in the tasks' processes. The task's text is the file, where there is one.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from subactors.runtime import EntrypointTask

__all__ = ["BUSY"]

_LONG = 600.0
"""Seconds; nobody waits for them to pass."""


def _steps(task: EntrypointTask) -> Iterator[int]:
    try:
        yield 1
    finally:
        task.emit("closed")


def holds_a_generator(task: EntrypointTask) -> None:
    """Be stopped while a generator waits in the middle of a `try`."""
    held = _steps(task)
    task.emit(f"step {next(held)} ")
    time.sleep(_LONG)


def exits_with_a_generator(task: EntrypointTask) -> None:
    """The same, but exit."""
    held = _steps(task)
    task.emit(f"step {next(held)} ")
    sys.exit(1)


def _loop() -> None:
    while True:
        pass


def _lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _join() -> None:
    thread = threading.Thread(target=time.sleep, args=(_LONG,), daemon=True)
    thread.start()
    thread.join()


def _read() -> None:
    reader, _ = os.pipe()
    os.read(reader, 1)


BUSY: dict[str, Callable[[], object]] = {
    "sleep": lambda: time.sleep(_LONG),
    "loop": _loop,
    "lock": _lock,
    "join": _join,
    "queue": lambda: queue.Queue[None]().get(),
    "event": lambda: threading.Event().wait(),
    "subprocess": lambda: subprocess.run(["/bin/sleep", "600"], check=True),
    "read": _read,
    "event loop": lambda: asyncio.run(asyncio.sleep(_LONG)),
}
"""What a function may be in when its stop comes."""


def tidies_up(task: EntrypointTask) -> None:
    """Be busy with what the task's text names, and tidy up whatever happens."""
    task.emit("so far ")
    try:
        BUSY[task.text]()
    finally:
        print("tidied up")


async def blocks_its_loop(task: EntrypointTask) -> None:
    """Be a coroutine that never lets its loop go on."""
    task.emit("so far ")
    try:
        time.sleep(_LONG)  # noqa: ASYNC251 - that is the point
    finally:
        task.emit("tidied up")


async def tidies_up_at_length(task: EntrypointTask) -> None:
    """Be a coroutine that, cancelled, needs most of the grace period."""
    task.emit("so far ")
    try:
        await asyncio.sleep(_LONG)
    finally:
        await asyncio.sleep(float(task.text))
        task.emit("tidied up")


def ends_by_itself(task: EntrypointTask) -> str:
    """Look for the stop, and need most of the grace period to answer."""
    task.emit("so far ")
    while not task.stop_requested:
        time.sleep(0.01)
    time.sleep(float(task.text))
    return "half of it"


def sees_the_stop_and_goes_on(task: EntrypointTask) -> None:
    """Look for the stop, but come to no end."""
    task.emit("so far ")
    task.wait_for_stop(_LONG)
    try:
        time.sleep(_LONG)
    finally:
        task.emit("tidied up")


def answers_when_interrupted(task: EntrypointTask) -> str:
    """Take the exception for what it is."""
    task.emit("so far ")
    try:
        time.sleep(_LONG)
    except KeyboardInterrupt:
        return "half of it"
    return "all of it"


def fails_when_interrupted(task: EntrypointTask) -> None:
    """Fail while tidying up."""
    task.emit("so far ")
    try:
        time.sleep(_LONG)
    finally:
        raise OSError("no room to save")


def swallows(task: EntrypointTask) -> None:
    """Catch everything, and go on."""
    task.emit("so far ")
    while True:
        try:
            time.sleep(_LONG)
        except BaseException:  # noqa: BLE001 - that is the point
            task.emit("swallowed ")


def is_in_c(task: EntrypointTask) -> None:
    """Be in C code with the interpreter's lock held."""
    task.emit("so far ")
    try:
        collections.deque(itertools.repeat(None), maxlen=0)
    finally:
        task.emit("tidied up")


def tidies_up_for_too_long(task: EntrypointTask) -> None:
    """Tidy up without an end."""
    task.emit("so far ")
    try:
        time.sleep(_LONG)
    finally:
        task.emit("begun ")
        time.sleep(_LONG)


def speaks_without_end(task: EntrypointTask) -> None:
    """Say one thing after the other, in as many messages."""
    try:
        while True:
            task.emit("word " * 100)
    finally:
        task.emit("\ntidied up")


def has_a_handler(task: EntrypointTask) -> str:
    """Have a handler for Ctrl-C of its own, which is called as it would be."""
    heard = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: heard.set())
    task.emit("so far ")
    heard.wait()
    return "heard"
