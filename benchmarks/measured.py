"""Measured: a runtime with the team whose costs are measured, here and on nodes, and its starts by the clock."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any, Final

from subactors.runtime import Runtime

from . import gate
from .holding import first_output
from .processes import descendants
from .usage import Others

__all__ = ["AT_ONCE", "MEGABYTE", "PIECES", "ROUNDS", "Measured", "zygote_below"]

ROUNDS: Final = 3

AT_ONCE: Final = 20
"""Tasks that are at work together, where only their number counts."""

PIECES: Final = 5000
"""Of output, where that is what is measured."""

MEGABYTE: Final = 1_000_000


class Measured:
    """A runtime with a team for all that is measured.

    Args:
        folder: for its files.
        at_once: how many tasks are to run together at most.
        models: of the team.
        agents: those of the team that only one benchmark has.
        settings: of the runtime.

    Attributes:
        runtime: the runtime.
        zygote: the process that forks its tasks; whoever makes this sets it.
    """

    zygote: int

    def __init__(
        self,
        folder: Path,
        at_once: int,
        *,
        models: dict[str, Any] | None = None,
        agents: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._folder = folder
        functions = {name: {"entrypoint": f"benchmarks.gate:{name}"} for name in ("held", "second", "stream")}
        thinkers = {
            name: {"model": f"python/benchmarks.gate:{name}", "instruction": "Work.", "toolsets": [{"type": "think"}]}
            for name in ("take_turns", "take_one_turn")
        }
        self.runtime = Runtime.from_mapping(
            {"agents": {**functions, **thinkers, **(agents or {})}, "models": models or {}},
            state_dir=folder / "state",
            standby=0,
            preload=["benchmarks.gate"],
            max_running=at_once + 10,
            max_tasks=100_000,
            max_output=2 * PIECES * len(gate.PIECE),
            **settings,
        )

    def work(self, agent: str, text: str, count: int) -> None:
        """Run tasks, some at once, to their ends."""
        left = count
        while left:
            ids = [self.runtime.run(agent, text) for _ in range(min(left, AT_ONCE))]
            for view in self.runtime.wait(ids):
                if view.status != "completed":
                    raise RuntimeError(f"A task did not do its work: {view.reason}")
            left -= len(ids)

    def spans(self, count: int) -> dict[str, float]:
        """Measure, by the clock, one start after the other: `run`, and from its call to the first output."""
        others = Others(self.zygote)
        run: list[float] = []
        start: list[float] = []
        with self.runtime.events() as events:
            for _ in range(count):
                began = time.monotonic()
                task_id = self.runtime.run("stream", "1").id
                run.append(time.monotonic() - began)
                first_output(events, task_id)
                start.append(time.monotonic() - began)
                self.runtime.wait([task_id])
        return {"run": statistics.median(run), "start": statistics.median(start), "others": others.cores()}

    def fan_out(self, count: int) -> dict[str, float]:
        """Measure by how much many tasks of one second, started at once, take longer than that second."""
        others = Others(self.zygote)
        spans = []
        for _ in range(ROUNDS):
            began = time.monotonic()
            self.runtime.wait([self.runtime.run("second", "x") for _ in range(count)])
            spans.append(time.monotonic() - began - 1.0)
        return {"span": statistics.median(spans), "others": others.cores()}


def zygote_below(pid: int) -> int:
    """Return the one zygote that a host or a node's agent has."""
    (zygote,) = (process.pid for process in descendants(pid) if "zygote" in process.command)
    return zygote
