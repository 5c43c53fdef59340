"""Functions that tests submit; tasks find them by this module's name."""

from __future__ import annotations

import asyncio
import builtins
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "add",
    "add_later",
    "call",
    "crash",
    "exit_silently",
    "fail_at",
    "note",
    "own_pid",
    "raise_it",
    "square",
    "stop_iteration",
    "wait_for",
]


def add(first: int, second: int = 1) -> int:
    """Two numbers together."""
    return first + second


async def add_later(first: int, second: int = 1) -> int:
    """As `add`, in an event loop."""
    await asyncio.sleep(0)
    return first + second


def call(function: Callable[[], object]) -> object:
    """Return what a function returns."""
    return function()


def square(number: int) -> int:
    """A number times itself."""
    return number * number


def own_pid(_number: int = 0) -> int:
    """Where it runs."""
    return os.getpid()


def fail_at(number: int, bad: int = 7) -> int:
    """The number, unless it is the bad one."""
    if number == bad:
        raise ValueError(f"not {bad}")
    return number


def raise_it(kind: str, *arguments: object) -> None:
    """Raise an exception of one of Python's own types."""
    raise getattr(builtins, kind)(*arguments)


def stop_iteration() -> None:
    """Raise what ends generators."""
    raise StopIteration(3)


def crash(*_: object) -> None:
    """End the process as a fault in C code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def exit_silently() -> None:
    """End the process as `sys.exit` of a library does."""
    os._exit(3)


def wait_for(path: str) -> str:
    """Wait until a file is there, which `processes_and_waits.put` has made; return what it holds."""
    print("waiting", flush=True)
    while not Path(path).exists():
        time.sleep(0.005)
    return Path(path).read_text()


def note(path: str, line: str) -> str:
    """Append a line to a file."""
    with Path(path).open("a") as file:
        file.write(f"{line}\n")
    return line
