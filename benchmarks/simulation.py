"""A simulation of one host and its tasks: who waits for whom when many tasks want the same few threads and cores.

Its input is what tasks cost (`costs.json`); it measures nothing and knows no clock but its own. Hosts share nothing,
so many hosts are this one, many times.

It is written out here, on `heapq`, and not with simpy: of such a library it would use processes, queues and a clock,
which are a page of code, and its test can run wherever the product's tests do.

The model. A host has cores, and three threads of which each does one thing at a time: the interpreter (everything in
Python in the host: its callers, the supervisor's mailbox, the I/O thread, which share one lock), the journal's thread,
and the zygote. Who has such a thread still waits for a core; cores are shared in turns, as the kernel's scheduler does.
A commit takes all writes that wait. A host with nodes has zygotes and tasks there: each node has cores, a zygote and an
agent, which does one thing at a time. The way between host and node takes no time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

__all__ = ["Costs", "Host", "Node", "Simulation", "Station", "Workload"]

_SLICE: Final = 0.001
"""Seconds that one keeps a core while others wait for it."""

Step: TypeAlias = Callable[[Callable[[], None]], None]
"""What a process waits for: called with what goes on when it has happened."""

Steps: TypeAlias = Generator[Step, None, None]


@dataclass(frozen=True)
class Costs:
    """What tasks cost, in CPU seconds, bytes and descriptors; see `costs.py` for how each is measured.

    Attributes:
        accept: in the host's interpreter, until a task is accepted.
        launch: in the interpreter, until the zygote has been asked.
        fork: in the zygote.
        child_start: in the task's process, until its code runs.
        started: in the interpreter, to hear of that and of the first output.
        child_end: in the task's process, for its exit.
        reap: in the zygote.
        ended: in the interpreter, to hear of the end and tell it.
        turn_child: in the task's process, for a turn of an agent.
        turn_host: in the interpreter, for that turn.
        output: in the interpreter, for a megabyte of output.
        output_child: in the task's process, for it.
        commit: in the journal's thread, for each transaction.
        write: in the journal's thread, for each write in it.
        agent_start: in the interpreter of a node's agent, until its zygote has been asked.
        agent_end: in the same, to hear of the end and tell the host.
    """

    accept: float = 0.0
    launch: float = 0.0
    fork: float = 0.0
    child_start: float = 0.0
    started: float = 0.0
    child_end: float = 0.0
    reap: float = 0.0
    ended: float = 0.0
    turn_child: float = 0.0
    turn_host: float = 0.0
    output: float = 0.0
    output_child: float = 0.0
    commit: float = 0.0
    write: float = 0.0
    agent_start: float = 0.0
    agent_end: float = 0.0


@dataclass(frozen=True)
class Workload:
    """What tasks do.

    Attributes:
        name: in tables.
        length: seconds that a task would take on a machine of its own that costs nothing.
        turns: of an agent, each with a request to a model and a tool call; 0 for plain code.
        output: megabytes that a task says.
    """

    name: str
    length: float
    turns: int = 0
    output: float = 0.0


class Simulation:
    """A clock and what is due; processes are generators that yield what they wait for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, delay: float, callback: Callable[[], None]) -> None:
        """Have a call made after so many seconds."""
        heapq.heappush(self._due, (self.now + delay, next(self._order), callback))

    def start(self, process: Steps) -> None:
        """Have a process begin now; it goes on until its end."""

        def go_on() -> None:
            step = next(process, None)
            if step is not None:
                step(go_on)

        self.at(0.0, go_on)

    def wait(self, delay: float) -> Step:
        """Let time pass."""
        return lambda go_on: self.at(delay, go_on)

    def run(self, until: float = float("inf")) -> None:
        """Make all calls that are due up to a time."""
        while self._due and self._due[0][0] <= until:
            self.now, _, callback = heapq.heappop(self._due)
            callback()


@dataclass
class Station:
    """Something of which there are so many, with a queue before it, in order of arrival."""

    name: str
    servers: int
    busy: int = 0
    used: float = 0.0
    queue: deque[Callable[[], None]] = field(default_factory=deque)

    def take(self, granted: Callable[[], None]) -> None:
        """Call back with one of them taken."""
        if self.busy < self.servers:
            self.busy += 1
            granted()
        else:
            self.queue.append(granted)

    def give(self) -> None:
        """Give one back: to the next in the queue."""
        if self.queue:
            self.queue.popleft()()
        else:
            self.busy -= 1


class Node:
    """Where tasks' processes are: another machine, or the host's own.

    Args:
        cores: the machine's.
        zygote: which forks there; None: one of its own.

    Attributes:
        running: tasks that are there, or on their way.
    """

    def __init__(self, cores: Station, zygote: Station | None = None) -> None:
        self.cores = cores
        self.zygote = zygote or Station("zygote of a node", 1)
        self.agent = Station("agent of a node", 1)
        self.running = 0


class Host:
    """One machine with one runtime, and what becomes of the tasks that it is given.

    Args:
        simulation: the clock.
        costs: of its tasks.
        cores: how many it has.
        nodes: where its tasks run, the fewest first; none: on itself.

    Attributes:
        run_latencies: seconds from each call of `run` to its return.
        start_latencies: seconds from each call to the task's first output.
        ends: when each task ended.
        running: tasks that have been accepted and have not ended.
        most_running: the most there were at once.
    """

    def __init__(self, simulation: Simulation, costs: Costs, cores: int | Station, nodes: Sequence[Node] = ()) -> None:
        self._simulation = simulation
        self._costs = costs
        self.cores = Station("cores", cores) if isinstance(cores, int) else cores
        self.interpreter = Station("host's interpreter", 1)
        self.zygote = Station("zygote (forks)", 1)
        self.journal = Station("journal", 1)
        self.nodes = list(nodes) or [Node(self.cores, self.zygote)]
        self.run_latencies: list[float] = []
        self.start_latencies: list[float] = []
        self.ends: list[float] = []
        self.running = 0
        self.most_running = 0
        self.commits = 0
        self._writes: list[Callable[[], None]] = []

    @property
    def stations(self) -> list[Station]:
        """All that can be saturated."""
        return [self.zygote, self.interpreter, self.journal, self.cores]

    def compute(self, seconds: float, station: Station | None = None, cores: Station | None = None) -> Step:
        """Use a core for so long, of the host if nothing else is said, and one of a station as long as that takes."""
        of = cores or self.cores

        def begin(go_on: Callable[[], None]) -> None:
            if seconds <= 0:
                go_on()
            elif station is None:
                self._use_core(of, seconds, go_on)
            else:
                station.used += seconds
                station.take(lambda: self._use_core(of, seconds, lambda: self._leave(station, go_on)))

        return begin

    @staticmethod
    def _leave(station: Station, go_on: Callable[[], None]) -> None:
        station.give()
        go_on()

    def _use_core(self, cores: Station, seconds: float, go_on: Callable[[], None]) -> None:
        def granted() -> None:
            piece = min(seconds, _SLICE)
            cores.used += piece
            self._simulation.at(piece, lambda: over(seconds - piece))

        def over(left: float) -> None:
            cores.give()
            if left > 1e-12:  # noqa: PLR2004 - what rounding leaves of nothing
                self._use_core(cores, left, go_on)
            else:
                go_on()

        cores.take(granted)

    def commit(self) -> Step:
        """Have a write committed, with all others that wait by then."""

        def begin(go_on: Callable[[], None]) -> None:
            self._writes.append(go_on)
            if not self.journal.busy:
                self.journal.busy = 1
                self._commit_waiting()

        return begin

    def _commit_waiting(self) -> None:
        batch, self._writes = self._writes, []
        seconds = self._costs.commit + len(batch) * self._costs.write
        self.journal.used += seconds

        def committed() -> None:
            self.commits += 1
            for go_on in batch:
                go_on()
            if self._writes:
                self._commit_waiting()
            else:
                self.journal.busy = 0

        self._use_core(self.cores, seconds, committed)

    # --- what is simulated ------------------------------------------------------------------------------------------

    def call_run(self, workload: Workload) -> Steps:
        """Be one call of `Runtime.run`, which returns when the task is in the journal."""
        began = self._simulation.now
        yield self.compute(self._costs.accept, self.interpreter)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        self._simulation.start(self._task(workload, began))
        yield self.commit()
        self.run_latencies.append(self._simulation.now - began)

    def fan_out(self, workload: Workload, count: int) -> Steps:
        """Be a program that calls `run` so many times, each time when the last call has returned."""
        for _ in range(count):
            yield from self.call_run(workload)

    def arrivals(self, workload: Workload, rate: float, until: float, chance: random.Random) -> Steps:
        """Be many who call `run`, independent of each other, so many a second in all, up to a time."""
        while self._simulation.now < until:
            yield self._simulation.wait(chance.expovariate(rate))
            self._simulation.start(self.call_run(workload))

    def _task(self, workload: Workload, began: float) -> Steps:
        costs = self._costs
        node = min(self.nodes, key=lambda each: each.running)
        node.running += 1
        yield self.compute(costs.launch, self.interpreter)
        yield self.compute(costs.agent_start, node.agent, node.cores)
        yield self.compute(costs.fork, node.zygote, node.cores)
        yield self.compute(costs.child_start, None, node.cores)
        self._simulation.start(self._host_hears_of_start(began))
        pieces = max(1, workload.turns)
        for _ in range(pieces):
            yield self._simulation.wait(workload.length / pieces)
            yield self.compute(workload.output / pieces * costs.output_child, None, node.cores)
            self._simulation.start(self._alone(self.compute(workload.output / pieces * costs.output, self.interpreter)))
            if workload.turns:
                yield self.compute(costs.turn_child, None, node.cores)
                self._simulation.start(self._alone(self.compute(costs.turn_host, self.interpreter), self.commit()))
        yield self.compute(costs.child_end, None, node.cores)
        yield self.compute(costs.reap, node.zygote, node.cores)
        yield self.compute(costs.agent_end, node.agent, node.cores)
        yield self.compute(costs.ended, self.interpreter)
        yield self.commit()
        node.running -= 1
        self.running -= 1
        self.ends.append(self._simulation.now)

    def _host_hears_of_start(self, began: float) -> Steps:
        yield self.compute(self._costs.started, self.interpreter)
        self.start_latencies.append(self._simulation.now - began)
        yield self.commit()

    @staticmethod
    def _alone(*steps: Step) -> Generator[Step, None, Any]:
        yield from steps
