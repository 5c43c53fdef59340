"""Populations: processes that fork anew as fast as they are killed, and actors and tasks that leave some.

As a program, `python populations.py KIND PULSE`, it is the first of one. PULSE is a file that all of it write to, as
who lives for the time of a fork only is seen by nobody. One that nobody ends does so by itself after a while.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

__all__ = ["KINDS", "Kind", "generations", "is_extinct", "leave_tree", "leaves", "new_pulse", "start_population"]

Kind = Literal["comet", "comets in sessions", "branching", "stopped"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
IsOver: TypeAlias = Callable[[], bool]

LIFE: Final = 20.0
STILL: Final = 0.5
BEAT: Final = struct.Struct("=qd")
SLOTS: Final = 8
STOPPED: Final = 100
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36


def new_pulse(folder: Path) -> Path:
    """Return a file for a population to write to, with a short name, which its processes have as well."""
    pulse = folder / f"pop{os.urandom(5).hex()}"
    pulse.write_bytes(BEAT.pack(0, 0.0))
    return pulse


def generations(pulse: Path) -> int:
    """How many have been born, about."""
    return int(BEAT.unpack(pulse.read_bytes())[0])


def is_extinct(pulse: Path) -> bool:
    """Whether nobody has been born lately, nor can be seen to live."""
    if time.monotonic() - BEAT.unpack(pulse.read_bytes())[1] < STILL:
        return False
    return not _has_members(pulse.name)


def _has_members(name: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text()
            except OSError:
                continue
            if f"({name})" in state and state.rpartition(")")[2].split()[0] not in {"Z", "X"}:
                return True
    return False


def start_population(kind: Kind, pulse: str, environ: Mapping[str, str] | None = None) -> None:
    """Start a population in a session of its own, with an empty environment if none is given."""
    command = [sys.executable, "-I", "-S", __file__, kind, pulse]
    with subprocess.Popen(command, env=environ or {}, start_new_session=True, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.read(1)  # it lives
        first.returncode = 0  # whoever it is a child of then waits for it


def leave_tree() -> None:
    """Have daemons of this process's children become children of whoever started this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def leaves(task: Any) -> str:
    """Leave a population, as a task's entrypoint; the text is its kind and where its pulse is."""
    kind, pulse = task.text.split(":")
    start_population(kind, pulse)
    return "left"


def _comet(is_over: IsOver) -> None:
    while not is_over():
        if os.fork():
            return


def _comets_in_sessions(is_over: IsOver) -> None:
    for _ in range(3):
        if not os.fork():
            break
    while not is_over():
        if os.fork():
            return
        os.setsid()


def _branching(is_over: IsOver) -> None:
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


def _stopped(is_over: IsOver) -> None:
    """Some stop themselves for good, once there is the next."""
    generation = 0
    while not is_over():
        generation += 1
        if os.fork():
            if generation < STOPPED:
                os.kill(os.getpid(), signal.SIGSTOP)
            return
        os.setsid()


def _live(kind: str, pulse: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_NAME, Path(pulse).name.encode(), 0, 0, 0)
    with open(pulse, "r+b") as file:  # noqa: PTH123 - an open file is what is mapped
        beat = mmap.mmap(file.fileno(), BEAT.size)
    end = time.monotonic() + LIFE

    def is_over() -> bool:
        """Beat once, as each of them does who comes here."""
        now = time.monotonic()
        beat[:] = BEAT.pack(BEAT.unpack(beat[:])[0] + 1, now)
        return now > end

    is_over()
    os.write(1, b"x")
    os.close(1)
    work: dict[str, Callable[[IsOver], Any]] = {
        "comet": _comet,
        "comets in sessions": _comets_in_sessions,
        "branching": _branching,
        "stopped": _stopped,
    }
    work[kind](is_over)
    os._exit(0)


if __name__ == "__main__":
    _live(*sys.argv[1:])
