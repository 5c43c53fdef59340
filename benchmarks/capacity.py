"""What follows from measured costs: where one runtime is saturated, how many machines that makes, latency under load.

It computes and simulates; it measures nothing and writes nothing.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from typing import Any, Final

from .simulation import Costs, Host, Simulation, Workload

__all__ = [
    "DESCRIPTOR_LIMIT",
    "DISK",
    "GIGABYTE",
    "MEGABYTE",
    "MEMORY_SHARE",
    "PLANNED",
    "SIMULATED",
    "Capacity",
    "Loaded",
    "Machine",
    "Model",
    "slowed",
]

MEGABYTE: Final = 1_000_000
GIGABYTE: Final = 1_000_000_000

DESCRIPTOR_LIMIT: Final = 524_288
"""What systemd gives a program as its hard limit."""

DISK: Final = 200.0
"""Megabytes a second that a disk takes."""

MEMORY_SHARE: Final = 0.8
"""Of a machine's memory that tasks may take."""

PLANNED: Final = 0.7
"""Of what is saturated first, how much is planned with."""

_LEAST_SHARE: Final = 0.25
"""Of the cores: a fair share beside a few others, who use more only while nothing else wants to."""

SIMULATED: Final = 3000
"""Tasks in each simulation of steady arrivals; the first tenth is not counted."""


@dataclass(frozen=True)
class Machine:
    """A machine: cores, and bytes of memory."""

    cores: int
    memory: float

    def __str__(self) -> str:
        return f"{self.cores} cores, {self.memory / GIGABYTE:.0f} GB"


@dataclass(frozen=True)
class Loaded:
    """A host under load: shares, tasks a second, and latencies in seconds, sorted."""

    load: float
    rate: float
    run: list[float]
    start: list[float]
    used: dict[str, float]


@dataclass(frozen=True)
class Capacity:
    """What one runtime on one machine can do with one kind of task.

    Attributes:
        rates: tasks a second at which each resource would be saturated, by its name.
        places: tasks at once for which there is room, by name.
        length: seconds that a task lives.
    """

    rates: dict[str, float]
    places: dict[str, float]
    length: float

    @property
    def rate(self) -> float:
        """Tasks a second at which the first resource is saturated."""
        return min(self.rates.values())

    @property
    def concurrent(self) -> float:
        """Tasks at once that one runtime holds, planned with some reserve in what is a rate."""
        return min(PLANNED * self.rate * self.length, *self.places.values())

    @property
    def first(self) -> str:
        """What is saturated first when the number of tasks grows."""
        at = self._saturated_at
        return min(at, key=lambda name: at[name])

    @property
    def most(self) -> float:
        """Tasks at once with which the first is saturated."""
        return min(self._saturated_at.values())

    @property
    def planned_first(self) -> str:
        """What bounds the tasks at once that are planned with."""
        planned = {name: PLANNED * rate * self.length for name, rate in self.rates.items()} | self.places
        return min(planned, key=lambda name: planned[name])

    @property
    def _saturated_at(self) -> dict[str, float]:
        return {name: rate * self.length for name, rate in self.rates.items()} | self.places


class Model:
    """What follows from measured costs.

    Args:
        measured: what `costs.json` holds.
    """

    def __init__(self, measured: dict[str, Any]) -> None:
        self.measured = measured
        self._task: dict[str, float] = measured["task"]

    def costs(self, workload: Workload) -> Costs:
        """Return what the simulation needs; of what the host does at a start, half comes before the fork."""
        task, turn, output = self._task, self.measured["turn"], self.measured["output_megabyte"]
        supervisor, io = task["supervisor_start"] / 2, task["io_start"] / 2
        return Costs(
            accept=task["call"] + supervisor,
            launch=io,
            fork=task["zygote_start"],
            child_start=self.measured["llm_child_start"] if workload.turns else task["child_start"],
            started=io + supervisor,
            child_end=task["child_end"],
            reap=task["zygote_end"],
            ended=task["supervisor_end"] + task["io_end"],
            turn_child=turn["child"],
            turn_host=turn["supervisor"] + turn["io"],
            output=output["io"],
            output_child=output["child"],
            commit=self.measured["journal"]["commit"],
            write=self.measured["journal"]["write"],
        )

    def capacity(self, workload: Workload, machine: Machine) -> Capacity:
        """Return where each resource is saturated: one divided by what a task takes of it."""
        costs = self.costs(workload)
        writes = 3 + workload.turns
        interpreter = (
            costs.accept
            + costs.launch
            + costs.started
            + costs.ended
            + workload.turns * costs.turn_host
            + workload.output * costs.output
        )
        zygote = costs.fork + costs.reap
        # As if each write had a commit of its own; under load many share one.
        journal = writes * (costs.commit + costs.write)
        child = (
            costs.child_start
            + costs.child_end
            + workload.turns * costs.turn_child
            + workload.output * costs.output_child
        )
        written = self.measured["journal"]["bytes_per_task"] / MEGABYTE * (writes / 3) + workload.output
        memory = self.measured["memory"]
        each = memory["llm_task" if workload.turns else "task"] + memory["host_per_running_task"]
        return Capacity(
            rates={
                "forks (zygote)": 1 / zygote,
                "host's interpreter": 1 / interpreter,
                "journal": 1 / journal,
                "cores": machine.cores / (interpreter + zygote + journal + child),
                "disk": DISK / written,
            },
            places={
                "memory": (machine.memory * MEMORY_SHARE - memory["base"]) / each,
                "descriptors": DESCRIPTOR_LIMIT / self.measured["descriptors"],
            },
            length=workload.length,
        )

    def mailbox_rate(self) -> float:
        """Return at how many plain tasks a second the supervisor's mailbox alone would be saturated."""
        return 1 / (self._task["supervisor_start"] + self._task["supervisor_end"])

    def machines(self, workload: Workload, machine: Machine, tasks: int, *, runtimes: bool) -> tuple[int, int]:
        """Return how many machines so many tasks at once need, and runtimes on each: one, or as many as it can feed."""
        capacity = self.capacity(workload, machine)
        most = 1
        if runtimes:
            # Cores, memory and disk are the machine's; the threads of which a runtime has one come with each.
            shared = min(capacity.rates["cores"], capacity.rates["disk"])
            whole = min(PLANNED * shared * capacity.length, capacity.places["memory"])
            most = max(1, math.ceil(whole / capacity.concurrent - 1e-9))
            return math.ceil(tasks / min(whole, most * capacity.concurrent)), most
        return math.ceil(tasks / capacity.concurrent), most

    # --- simulated --------------------------------------------------------------------------------------------------

    def simulated_fan_out(self, count: int, cores: int, others: float = 0.0) -> float:
        """Return by how much so many tasks of a second take longer than it, when started at once.

        Args:
            count: how many.
            cores: of the machine.
            others: how many of its cores are used by others: everything takes longer by as much.
        """
        simulation = Simulation()
        workload = Workload("fan-out", 1.0)
        host = Host(simulation, slowed(self.costs(workload), 1 - others / cores), cores)
        simulation.start(host.fan_out(workload, count))
        simulation.run()
        return max(host.ends) - workload.length

    def simulated_alone(self, cores: int, others: float = 0.0) -> tuple[float, float]:
        """Return the latencies of `run` and of a start when the runtime has nothing else to do.

        What uses one core at a time gets a fair share beside the others, and not only what they leave.
        """
        simulation = Simulation()
        workload = Workload("alone", 1.0)
        host = Host(simulation, slowed(self.costs(workload), cores / (others + 1)), cores)
        simulation.start(host.fan_out(workload, 1))
        simulation.run()
        return host.run_latencies[0], host.start_latencies[0]

    def simulated_load(self, workload: Workload, machine: Machine, load: float) -> Loaded:
        """Let tasks arrive at a share of what the machine can take, independent of each other."""
        rate = load * self.capacity(workload, machine).rate
        simulation = Simulation()
        host = Host(simulation, self.costs(workload), machine.cores)
        chance = random.Random(1)  # noqa: S311 - nothing is secret here, and a page is to be the same each time
        until = SIMULATED / rate
        simulation.start(host.arrivals(workload, rate, until, chance))
        simulation.run(until)
        used = {station.name: station.used / until / station.servers for station in host.stations}
        skipped = len(host.start_latencies) // 10
        return Loaded(load, rate, sorted(host.run_latencies[skipped:]), sorted(host.start_latencies[skipped:]), used)


def slowed(costs: Costs, share: float) -> Costs:
    """Return what takes longer because only a share of the cores is to be had; some of them always is."""
    share = min(1.0, max(share, _LEAST_SHARE))
    return Costs(**{name: seconds / share for name, seconds in asdict(costs).items()})
