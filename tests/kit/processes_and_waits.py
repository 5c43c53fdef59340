"""What tests see from outside: processes, threads and descriptors, and the one way to wait for a state.

It looks and waits; it must never end anything.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = [
    "GONE_WITHIN",
    "OF_NO_TASK",
    "Holdings",
    "Process",
    "children_of",
    "descendants_of",
    "descriptors",
    "is_gone",
    "look_at",
    "put",
    "wait_until",
    "wait_until_at_rest",
]


OF_NO_TASK: Final = frozenset(
    {
        "subactors-zyg",
        "subactors-node",
        "subactors-relay",
        "ssh",
        "sshd",
        "cat",
        "subactors-ray",
        "ray-nodes",
        "ray-cluster",
    }
)
"""Names of processes that are there for the tasks of a host, here and on nodes."""

GONE_WITHIN: Final = 2.0
"""Seconds after the death of a host in which everything of it has ended: what is promised."""


def wait_until(condition: Callable[[], object], what: str, limit: float = 10.0) -> None:
    """Return as soon as the condition holds; fail after `limit` seconds, saying what did not come."""
    deadline = time.monotonic() + limit
    pause = 0.001
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"In {limit:g} s it did not come to this: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Process(NamedTuple):
    """A process of this machine; its start time tells it from a later one with the same number."""

    pid: int
    started: int
    name: str
    ended: bool

    def __str__(self) -> str:
        return f"{self.pid} ({self.name}{', ended but not waited for' if self.ended else ''})"


def look_at(pid: int) -> Process | None:
    """Return a process; None if there is none of that number. One that nobody has reaped yet counts as ended."""
    try:
        text = os.fsdecode(_read(f"/proc/{pid}/stat"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")  # the name itself may hold brackets
    fields = rest.split()
    return Process(pid, int(fields[19]), name, fields[0] in {"Z", "X"})


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    process = look_at(pid)
    return process is None or process.ended


def wait_until_at_rest(pid: int) -> None:
    """Wait until a process has slept through a tenth of a second, as a zygote does that has seen to itself."""
    last = "", 0.0

    def rests() -> bool:
        nonlocal last
        status = Path(f"/proc/{pid}/status").read_text()
        switches = "".join(line for line in status.splitlines() if "ctxt_switches" in line or line.startswith("State"))
        if switches != last[0] or "sleeping" not in switches:
            last = switches, time.monotonic()
        return time.monotonic() - last[1] > 0.1

    wait_until(rests, f"process {pid} is at rest")


def children_of(pid: int) -> list[int]:
    """Return a process's children; every thread has its own."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - see `_read`
            found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    except (FileNotFoundError, ProcessLookupError):
        return found
    return found


def descendants_of(pid: int) -> list[Process]:
    """Return everything below a process, but for what belongs to a cluster of Ray (`ray_cluster_program`)."""
    found: list[Process] = []
    for child in children_of(pid):
        process = look_at(child)
        if process is not None:
            found.append(process)
            if process.name != "ray-cluster":
                found += descendants_of(child)
    return found


def descriptors(pid: int | None = None) -> dict[int, str]:
    """Return the open descriptors of a process, this one if None is named, and what each stands for."""
    found: dict[int, str] = {}
    folder = f"/proc/{pid or 'self'}/fd"
    for number in os.listdir(folder):  # noqa: PTH208 - see `_read`
        try:
            found[int(number)] = os.readlink(f"{folder}/{number}")  # noqa: PTH115 - the same
        except FileNotFoundError:
            continue  # the descriptor that listed the folder
    return found


def _read(path: str) -> bytes:
    """Return what a file of `/proc` holds. Each test looks there several times, and `pathlib` takes thrice as long."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - see above
        return file.read()


class Holdings:
    """What this process holds at a moment: processes below it, threads, descriptors."""

    def __init__(self) -> None:
        self._processes = {(process.pid, process.started) for process in descendants_of(os.getpid())}
        self._threads = set(threading.enumerate())
        self._descriptors = set(descriptors().items())

    def new_processes(self) -> list[Process]:
        """Return the processes that have come since, and are still there."""
        now = descendants_of(os.getpid())
        return [process for process in now if (process.pid, process.started) not in self._processes]

    def new_threads(self) -> list[threading.Thread]:
        """Return the threads that have come since, and have not ended."""
        return [thread for thread in threading.enumerate() if thread not in self._threads]

    def new_descriptors(self) -> dict[int, str]:
        """Return the descriptors that have come since, but those of an event loop that a library keeps for later."""
        new = dict(descriptors().items() - self._descriptors)
        for number in _descriptors_of_the_kept_event_loop():
            new.pop(number, None)
        return new


def _descriptors_of_the_kept_event_loop() -> list[int]:
    events = sys.modules.get("asyncio.events")
    policy = getattr(events, "_event_loop_policy", None)
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    if loop is None or loop.is_closed():
        return []
    return [loop._selector.fileno(), loop._ssock.fileno(), loop._csock.fileno()]


def put(path: Path, text: str) -> None:
    """Make a file with a text: whoever waits for the file never finds it empty."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.rename(path)
