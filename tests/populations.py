"""Populations: processes that fork anew as fast as they are killed, and actors and tasks that leave some.

As a program, `python populations.py KIND NAME`, it is the first of one, and has all of it called NAME. One that nobody
ends does so by itself after a while.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

__all__ = ["KINDS", "Kind", "is_extinct", "leave_tree", "leaves", "members", "new_name", "start_population"]

Kind = Literal["comet", "comets in sessions", "branching", "stopped"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

LIFE: Final = 20.0
SLOTS: Final = 8
STOPPED: Final = 100
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36


def new_name() -> str:
    """Return a name for a population, which is short enough for one of a process."""
    return f"pop{os.urandom(5).hex()}"


def members(name: str) -> list[int]:
    """Return who of a population can be seen to live; some may be missed, as they come and go."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text()
            except OSError:
                continue
            if f"({name})" in state and state.rpartition(")")[2].split()[0] not in {"Z", "X"}:
                found.append(int(entry.name))
    return found


def is_extinct(name: str) -> bool:
    """Whether several looks find nobody."""
    return not any(members(name) for _ in range(5))


def start_population(kind: Kind, name: str, environ: Mapping[str, str] | None = None) -> None:
    """Start a population in a session of its own, with an empty environment if none is given."""
    command = [sys.executable, "-I", "-S", __file__, kind, name]
    with subprocess.Popen(command, env=environ or {}, start_new_session=True, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.read(1)  # it lives
        first.returncode = 0  # whoever it is a child of then waits for it


def leave_tree() -> None:
    """Have daemons of this process's children become children of whoever started this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def leaves(task: Any) -> str:
    """Leave a population, as a task's entrypoint; the text is its kind and its name."""
    kind, name = task.text.split("/")
    start_population(kind, name)
    return "left"


def _comet(is_over: Callable[[], bool]) -> None:
    while not is_over():
        if os.fork():
            return


def _comets_in_sessions(is_over: Callable[[], bool]) -> None:
    for _ in range(3):
        if not os.fork():
            break
    while not is_over():
        if os.fork():
            return
        os.setsid()


def _branching(is_over: Callable[[], bool]) -> None:
    """Each generation also brings those lines back that have not been heard of.

    A line that was only slow ends when it sees that another has its place, or they would fill the machine.
    """
    heard = memoryview(mmap.mmap(-1, 8 * SLOTS)).cast("d")
    holders = memoryview(mmap.mmap(-1, 8 * SLOTS)).cast("d")
    own = 0
    mine = holders[own] = time.monotonic()
    while not is_over():
        for line in range(SLOTS):
            if time.monotonic() - heard[line] > 0.02:
                holder = heard[line] = holders[line] = time.monotonic()
                if not os.fork():
                    os.setsid()
                    own, mine = line, holder
                    break
        if holders[own] != mine:
            return
        heard[own] = time.monotonic()
        if os.fork():
            return


def _stopped(is_over: Callable[[], bool]) -> None:
    """Some stop themselves for good, once there is the next."""
    generation = 0
    while not is_over():
        generation += 1
        if os.fork():
            if generation < STOPPED:
                os.kill(os.getpid(), signal.SIGSTOP)
            return
        os.setsid()


def _live(kind: str, name: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    end = time.monotonic() + LIFE
    os.write(1, b"x")
    os.close(1)
    work: dict[str, Callable[[Callable[[], bool]], Any]] = {
        "comet": _comet,
        "comets in sessions": _comets_in_sessions,
        "branching": _branching,
        "stopped": _stopped,
    }
    work[kind](lambda: time.monotonic() > end)
    os._exit(0)


if __name__ == "__main__":
    _live(*sys.argv[1:])
