"""The isolation matrix, and what is left of a killed host's processes; the runner's side.

Each cell is a host of its own: healthy tasks beside one faulty one. No time is measured here, so some run side by side.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from .contenders import contender_class
from .processes import Process
from .programs import HostProgram, host_program, wait_for_note
from .results import Left, Outcome
from .scenarios.base import Size
from .work import FAULTS, LEAK

__all__ = ["QUICK", "WATCHED", "isolation", "left_behind"]

QUICK: Final = ("subactors", "forkserver", "asyncio")
"""The contenders of the matrix in a quick run."""

WATCHED: Final = 5.0
"""Seconds after the host's end at which is counted what is left."""

_AT_ONCE: Final = 4
_LIMIT: Final = 22.0
_LIMIT_OF_SLOW_ONES: Final = 90.0
"""Seconds after which a host that does not get on counts as hanging; the tasks themselves take three."""

_LINE: Final = 110
_READY: Final = 60.0


def isolation(contenders: Iterable[str]) -> list[Outcome]:
    """Fill the matrix."""
    cells = [(name, fault) for name in contenders for fault in FAULTS]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda cell: _cell(*cell), cells))


def left_behind(contenders: Iterable[str]) -> list[Left]:
    """Kill a host of each contender, and count."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [left for left in pool.map(_kill_host, contenders) if left is not None]


def _cell(name: str, fault: str) -> Outcome:
    size = json.dumps(asdict(Size(samples=FAULTS.index(fault))))
    with host_program(["isolation", name], size) as program:
        wait_for_note(program, "ready", _READY)
        died = program.wait(_LIMIT_OF_SLOW_ONES if contender_class(name).slow else _LIMIT)
        notes: dict[str, Any] = {}
        for line in program.lines():
            notes.update(line.get("note", {}))
    outcome = _judge(name, fault, notes, died)
    print(
        f"  {name:18} {fault:9} {outcome.verdict}: {outcome.task}; siblings {outcome.siblings}; {outcome.host}",
        file=sys.stderr,
        flush=True,
    )
    return outcome


def _judge(name: str, fault: str, notes: dict[str, Any], died: str) -> Outcome:
    siblings: list[str] = notes.get("siblings", [])
    well = sum(not how for how in siblings)
    task = _first_line(str(notes.get("task", "nothing was heard of it")))
    next_task = notes.get("next_task", "never asked")
    if "next_task" in notes:
        host = "alive"  # also if it hung in cleaning up after that
    elif died.startswith("still"):
        host = "hangs with it"
    else:
        host = _first_line(died) or "ended early"
    if fault == "leak" and task == "completed":
        own = contender_class(name).name != "asyncio"
        task = f"no limit: took the {LEAK // 1_000_000} MB that the benchmark allows" + ("" if own else ", of the host")
    if host != "alive":
        verdict = "lost"
    elif well < len(siblings) or next_task or "still runs" in task or task.startswith(("no limit", "returned")):
        verdict = "partly"
    else:
        verdict = "contained"
    return Outcome(
        contender=name,
        fault=fault,
        task=task,
        siblings=f"{well} of {len(siblings)}" if siblings else "lost",
        host=host,
        next_task=next_task or "ran",
        verdict=verdict,
    )


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _kill_host(name: str) -> Left | None:
    with host_program(["killed", name], json.dumps(asdict(Size(seconds=120.0)))) as program:
        note = wait_for_note(program, "tasks", _READY)
        if note is None:
            print(f"  {name}: its host did not get so far: {program.errors()}", file=sys.stderr, flush=True)
            return None
        before = program.look()
        program.program.kill()
        program.program.wait()
        left = _after(WATCHED, program.look)
        return _count(name, program, note["tasks"], before, left)


def _after(seconds: float, look: Callable[[], list[Process]]) -> list[Process]:
    """Look when so many seconds have passed; the moment is what is asked for, so it is slept for."""
    time.sleep(seconds)
    return look()


def _count(name: str, program: HostProgram, tasks: list[int], before: list[Process], left: list[Process]) -> Left:
    own = [process for process in left if process.pid in tasks and process.pid != program.program.pid]
    children = [process for process in left if process.command.endswith(" child")]
    daemons = [process for process in left if process.command.endswith(" daemon")]
    counted = Left(
        contender=name,
        seconds=WATCHED,
        started=len(before),
        left=len(left),
        tasks=len(own),
        children=len(children),
        daemons=len(daemons),
        others=len(left) - len(own) - len(children) - len(daemons),
    )
    print(f"  {name:18} {counted.left} of {counted.started} left", file=sys.stderr, flush=True)
    return counted
