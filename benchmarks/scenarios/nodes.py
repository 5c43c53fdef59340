"""Tasks on nodes: what the benchmark of nodes measures beside starts, fan-outs and memory; see `benchmarks.nodes`."""

from __future__ import annotations

import json
from time import monotonic
from typing import Final

from subactors.runtime import Settings

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from . import fan_out, memory, start
from .base import Scenario, Size, come_to_rest, pause

__all__ = ["NODE_SCENARIOS", "STANDING_BY"]

STANDING_BY: Final = "start, processes standing by"
"""What the start is called by a process that was forked ahead, as by default."""

_MEGABYTE: Final = 1e6
_FEW_OF_SLOW_ONES: Final = 3
_SLOW_MEGABYTES: Final = 8
"""What a slow contender says, of many megabytes."""

_CONTENDERS: Final = ("subactors", "node-tcp", "node-tls", "node-ssh", "node-ray", "ray")


def _starts(contender: Contender, size: Size, record: Recorder) -> None:
    """Start one task after the other: each in a fresh process, and with as many standing by as users have."""
    start.measure(contender, size, record)
    if isinstance(contender, Subactors):
        contender.close()
        start.measure(contender, size, record, STANDING_BY, standby=Settings().standby)


def _asks(contender: Contender, size: Size, record: Recorder) -> None:
    """Have a task ask its host what becomes of itself, over and over, and say how long each answer took."""
    contender.open(2)
    if not isinstance(contender, Subactors):
        _echoes(contender, size, record)
        return
    (view,) = contender.runtime.wait([contender.start_id("asks", str(size.samples))])
    if view.status != "completed":
        raise RuntimeError(f"The task that asks has failed: {view.reason}")
    asked, nested = json.loads(view.result)
    for took in asked:
        record.add("round trip", took, "s")
    for took in nested:
        record.add("nested task", took, "s")


def _echoes(contender: Contender, size: Size, record: Recorder) -> None:
    """Ask the other way round, where a task cannot ask its host."""
    ask = contender.open_echo()
    for sample in range(2 * size.samples):
        began = monotonic()
        ask(b"m")
        if sample >= size.samples:
            record.add("round trip", monotonic() - began, "s")


def _output(contender: Contender, size: Size, record: Recorder) -> None:
    """Have a task say many megabytes (`tasks`, as sizes have no better name for it), in small and in large pieces."""
    (megabytes,) = size.tasks
    if contender.slow:
        megabytes = min(megabytes, _SLOW_MEGABYTES)
    if isinstance(contender, Subactors):
        contender.open(1, max_output=int(3 * megabytes * _MEGABYTE))
    else:
        contender.open(1)
    for _ in range(size.samples):
        for length in (4096, 65_536):
            pieces = max(1, int(megabytes * _MEGABYTE / length))
            rate = pieces * length / _MEGABYTE / contender.output(pieces, length)
            record.add(f"output in pieces of {length // 1024} kB", rate, "MB/s")


def _kill(contender: Contender, size: Size, record: Recorder) -> None:
    """Kill the process of an idle task, and wait until the host knows."""
    contender.open(1)
    if isinstance(contender, Subactors):
        contender.listen()
    contender.start("speak").outcome()
    come_to_rest(contender)
    for _ in range(min(size.samples, _FEW_OF_SLOW_ONES) if contender.slow else size.samples):
        pause(contender)
        record.add("kill to told", contender.kill(), "s")


NODE_SCENARIOS: Final[dict[str, Scenario]] = {
    "node-start": Scenario(
        "node-start",
        "start of a task to its first message in the host",
        _starts,
        _CONTENDERS,
        full=Size(rounds=3, samples=40),
        quick=Size(rounds=1, samples=10),
    ),
    "node-fan-out": Scenario(
        "node-fan-out",
        "fan-out of N one-second tasks: wall time beyond the second",
        fan_out.measure,
        _CONTENDERS,
        full=Size(rounds=3, samples=1, tasks=(20, 100, 500)),
        quick=Size(rounds=1, samples=1, tasks=(20, 100)),
        limit=180.0,
    ),
    "node-asks": Scenario(
        "node-asks",
        "a task asks its host something, and has another run",
        _asks,
        _CONTENDERS,
        full=Size(rounds=3, samples=300),
        quick=Size(rounds=1, samples=50),
        at_once=False,
    ),
    "node-output": Scenario(
        "node-output",
        "output of a task",
        _output,
        _CONTENDERS,
        full=Size(rounds=3, samples=2, tasks=(200,)),
        quick=Size(rounds=1, samples=1, tasks=(50,)),
        at_once=False,
    ),
    "node-kill": Scenario(
        "node-kill",
        "SIGKILL of a task's process to the host knows",
        _kill,
        _CONTENDERS,
        full=Size(rounds=3, samples=20),
        quick=Size(rounds=1, samples=5),
    ),
    "node-memory": Scenario(
        "node-memory",
        "memory of an idle task",
        memory.measure,
        _CONTENDERS,
        full=Size(rounds=2, samples=1, tasks=(50,)),
        quick=Size(rounds=1, samples=1, tasks=(20,)),
        limit=180.0,
    ),
}
