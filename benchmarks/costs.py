"""Measures what tasks cost in each place that could be the first to be saturated: `python -m benchmarks.costs`.

CPU times by thread and process, not wall time, so that a machine with other work changes them little; memory, written
bytes and descriptors; and a few spans of wall time, against which the simulation in `scale.py` is checked. It writes
`costs.json` and judges nothing. It takes less than a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.schema import note_status

from . import gate
from .holding import Gate, settle
from .measured import AT_ONCE, MEGABYTE, PIECES, ROUNDS, Measured, zygote_below
from .model_server import ModelServer
from .processes import proportional_memory, unique_memory
from .results import machine, versions
from .usage import Look, open_descriptors, process_seconds, scheduled, written_bytes
from .work import ask_model

__all__ = ["FILE", "JournalCosts", "TaskCosts", "main", "measure"]

FILE: Final = Path(__file__).parent / "costs.json"

_HELD: Final = 80
_LLM: Final = 40
_REMEMBERED: Final = 200
_MEMORY_ROUNDS: Final = 5
_REQUESTS: Final = 30
_COMMITS: Final = 300
_BATCH: Final = 100
_SAMPLES: Final = 60
_FAN_OUTS: Final = (20, 100, 300)


@dataclass(frozen=True)
class TaskCosts:
    """CPU seconds of one task, by where and when they are spent. The host's Python threads share one interpreter lock.

    Attributes:
        call: in the thread that calls `run`.
        supervisor_start: in the supervisor's mailbox, until the task's first output.
        io_start: in the I/O thread, until then.
        zygote_start: in the zygote: the fork.
        child_start: in the task's own process, until it waits.
        supervisor_end: in the mailbox, from then on.
        io_end: in the I/O thread.
        zygote_end: in the zygote: reaping.
        child_end: in the task's own process: its exit.
    """

    call: float
    supervisor_start: float
    io_start: float
    zygote_start: float
    child_start: float
    supervisor_end: float
    io_end: float
    zygote_end: float
    child_end: float


@dataclass(frozen=True)
class JournalCosts:
    """CPU seconds of the journal's thread, and what reaches the disk.

    Attributes:
        commit: for a transaction, whatever is in it.
        write: for each write in it.
        wall: seconds that a commit of one write takes, by the clock.
        bytes_per_task: written by the host for a task that says a word, journal and output together.
    """

    commit: float
    write: float
    wall: float
    bytes_per_task: float


# --- measuring ------------------------------------------------------------------------------------------------------


class _Measured(Measured):
    """What is measured of tasks on this machine."""

    def __init__(self, folder: Path, base_url: str) -> None:
        os.environ["SUBACTORS_BENCHMARK_KEY"] = "none"
        model = {
            "provider": "openai",
            "model": "hold",
            "base_url": base_url,
            "token_key": "SUBACTORS_BENCHMARK_KEY",
        }
        agent = {"model": "hold", "instruction": "Answer.", "toolsets": [{"type": "think"}]}
        super().__init__(folder, max(_FAN_OUTS), models={"hold": model}, agents={"llm": agent})
        self.work("stream", "1", 1)
        self.work("take_one_turn", "x", 1)
        self.zygote = zygote_below(os.getpid())

    def plain(self) -> tuple[TaskCosts, float, float, float]:
        """Hold many tasks; returns costs, memory of a task and of the host for it, and the host's descriptors."""
        barrier = Gate(self._folder)
        memory, descriptors = unique_memory(os.getpid()), open_descriptors()
        before = Look(self.zygote)
        began = time.thread_time()
        ids = [self.runtime.run("held", str(barrier.path)) for _ in range(_HELD)]
        call = time.thread_time() - began
        barrier.wait_for(_HELD)
        settle()
        held = Look(self.zygote)
        descriptors = open_descriptors() - descriptors
        host_memory = unique_memory(os.getpid()) - memory
        pids = [view.pid for view in self.runtime.list() if view.id in set(ids) and view.pid is not None]
        child = sum(map(process_seconds, pids))
        task_memory = sum(map(unique_memory, pids))
        listed = Look(self.zygote)
        barrier.open()
        self.runtime.wait(ids)
        settle()
        after = Look(self.zygote)
        costs = TaskCosts(
            call=call / _HELD,
            supervisor_start=(held.supervisor - before.supervisor) / _HELD,
            io_start=(held.io - before.io) / _HELD,
            zygote_start=(held.zygote - before.zygote) / _HELD,
            child_start=child / _HELD,
            supervisor_end=(after.supervisor - listed.supervisor) / _HELD,
            io_end=(after.io - listed.io) / _HELD,
            zygote_end=(after.zygote - listed.zygote) / _HELD,
            child_end=max(0.0, after.reaped - before.reaped - child) / _HELD,
        )
        return costs, task_memory / _HELD, max(0.0, host_memory / _HELD), descriptors / _HELD

    def turn(self) -> dict[str, float]:
        """Measure what each further turn of an agent costs beside its request to a model."""
        many = [self._of_agent("take_turns") for _ in range(ROUNDS)]
        one = [self._of_agent("take_one_turn") for _ in range(ROUNDS)]
        more = gate.TURNS - 1
        return {
            name: max(
                0.0, statistics.median(each[name] for each in many) - statistics.median(each[name] for each in one)
            )
            / more
            for name in many[0]
        }

    def _of_agent(self, agent: str) -> dict[str, float]:
        before = Look(self.zygote)
        self.work(agent, "x", AT_ONCE)
        settle()
        after = Look(self.zygote)
        return {
            "supervisor": (after.supervisor - before.supervisor) / AT_ONCE,
            "io": (after.io - before.io) / AT_ONCE,
            "journal": (after.journal - before.journal) / AT_ONCE,
            "child": (after.reaped - before.reaped) / AT_ONCE,
        }

    def llm(self, server: ModelServer) -> tuple[float, float]:
        """Have agents wait for a model's second answer; returns CPU seconds and memory of a task's process."""
        ids = [self.runtime.run("llm", "Work.") for _ in range(_LLM)]
        for _ in range(2 * _LLM):
            server.next_request()
        settle()
        pids = [view.pid for view in self.runtime.list() if view.id in set(ids) and view.pid is not None]
        seconds = sum(map(process_seconds, pids)) / _LLM
        memory = sum(map(unique_memory, pids)) / _LLM
        for task_id in ids:
            self.runtime.stop(task_id)
        return seconds, memory

    def output(self) -> dict[str, float]:
        """Measure what a megabyte of output costs, in pieces of 4 kB."""
        size = PIECES * len(gate.PIECE) / MEGABYTE
        before = Look(self.zygote)
        self.work("stream", str(PIECES), 1)
        settle()
        after = Look(self.zygote)
        return {"io": (after.io - before.io) / size, "child": (after.reaped - before.reaped) / size}

    def remembered(self) -> tuple[float, float]:
        """Run many short tasks; returns the host's memory for one that is remembered, and bytes written for it."""
        self.work("stream", "0", _REMEMBERED)
        written, grown, memory = written_bytes(), [], self._own_memory()
        # The memory that an allocator takes at once for much later is no task's: hence the median.
        for _ in range(_MEMORY_ROUNDS):
            self.work("stream", "0", _REMEMBERED)
            before, memory = memory, self._own_memory()
            grown.append((memory - before) / _REMEMBERED)
        written = written_bytes() - written
        return max(0.0, statistics.median(grown)), written / (_MEMORY_ROUNDS * _REMEMBERED)

    @staticmethod
    def _own_memory() -> int:
        gc.collect()
        return unique_memory(os.getpid())


def _request_seconds(base_url: str) -> float:
    """Return the CPU seconds of a request to a model and its streamed answer, in the process that makes it."""
    from openai import AsyncOpenAI  # noqa: PLC0415 - a second; the runtime's host has no use for it

    async def ask() -> float:
        client = AsyncOpenAI(base_url=base_url, api_key="none")
        await ask_model(base_url, client)
        began = time.thread_time()
        for _ in range(_REQUESTS):
            await ask_model(base_url, client)
        return (time.thread_time() - began) / _REQUESTS

    return asyncio.run(ask())


def _journal(folder: Path) -> tuple[float, float, float]:
    """Return the CPU seconds of a commit, of each write in it, and the seconds that a commit of one write takes."""
    journal = Journal(folder / "journal.sqlite", {})
    statements = note_status("x", "running", "", 1)
    thread = next(thread for thread in threading.enumerate() if thread.name == "subactors-journal")
    own = Path(f"/proc/self/task/{thread.native_id}")

    def commit(writes: int) -> float:
        began = scheduled(own)
        for _ in range(_COMMITS):
            done = threading.Event()
            journal.write(statements * writes, done.set)
            done.wait()
        return (scheduled(own) - began) / _COMMITS

    commit(1)
    clock = time.monotonic()
    one = commit(1)
    wall = (time.monotonic() - clock) / _COMMITS
    many = commit(_BATCH)
    journal.close()
    write = (many - one) / (_BATCH - 1)
    return max(0.0, one - write), write, wall


def _median(costs: list[TaskCosts]) -> TaskCosts:
    fields = [asdict(each) for each in costs]
    return TaskCosts(**{name: statistics.median(each[name] for each in fields) for name in fields[0]})


def measure() -> dict[str, Any]:
    """Measure everything; returns what goes into the file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="sb-", dir="/tmp") as name, ModelServer() as server:
        folder = Path(name)
        commit, write, wall = _journal(folder)
        request = _request_seconds(server.base_url)
        for _ in range(_REQUESTS + 1):
            server.next_request()
        measured = _Measured(folder, server.base_url)
        with measured.runtime:
            base = proportional_memory(os.getpid()) + proportional_memory(measured.zygote)
            rounds = [measured.plain() for _ in range(ROUNDS)]
            task = _median([each[0] for each in rounds])
            turn = measured.turn()
            llm_seconds, llm_memory = measured.llm(server)
            output = measured.output()
            remembered, written = measured.remembered()
            observed = {
                "alone": measured.spans(_SAMPLES),
                "fan_outs": {str(count): measured.fan_out(count) for count in _FAN_OUTS},
            }
    turn["child"] += request
    return {
        "machine": machine(),
        "versions": versions(),
        "descriptor_limit": most,
        "task": asdict(task),
        "llm_child_start": max(task.child_start, llm_seconds - 2 * turn["child"]),
        "turn": turn,
        "output_megabyte": output,
        "journal": asdict(JournalCosts(commit, write, wall, written)),
        "memory": {
            "base": base,
            "task": statistics.median(each[1] for each in rounds),
            "llm_task": llm_memory,
            "host_per_running_task": rounds[0][2],
            "host_per_remembered_task": remembered,
        },
        "descriptors": rounds[-1][3],
        "observed": observed,
    }


def main() -> int:
    """Parse the command line, measure, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--out", metavar="FILE", type=Path, default=FILE, help="where to write; costs.json by default")
    given = parser.parse_args()
    given.out.write_text(json.dumps(measure(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
