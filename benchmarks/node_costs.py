"""Costs of tasks on nodes, by where they arise: `python -m benchmarks.node_costs` writes `node_costs.json`.

As `costs.py`, of which this is the part for nodes: CPU times by thread and process, memory, descriptors, and bytes
between host and node. The node is an agent on this machine. The same is measured of local tasks in turn, so that both
are of one machine at one time. It takes about two minutes, and judges nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from . import gate
from .holding import Gate, settle
from .loopback import TcpLauncher, tcp_place
from .measured import AT_ONCE, MEGABYTE, PIECES, ROUNDS, Measured, zygote_below
from .processes import proportional_memory, unique_memory
from .results import machine, versions
from .usage import Look, open_descriptors, process_seconds, scheduled

__all__ = ["NODE_FILE", "main", "measure_nodes"]

NODE_FILE: Final = Path(__file__).parent / "node_costs.json"

_HELD: Final = 60
_REMEMBERED: Final = 100
_MEMORY_ROUNDS: Final = 5
_SAMPLES: Final = 40
_FAN_OUTS: Final = (20, 50, 100)
_SECONDS: Final = 4.0
"""For which idle tasks are watched."""

_IDLE: Final = (40, 160)
"""How many idle tasks: what grows from the one to the other is each task's, and looks of which there are fewer when
there are more tasks are not."""

_TURNS: Final = ("take_one_turn", "take_turns")

_Figures = dict[str, float]


class _NodeLook(Look):
    """What host, agent and the zygote that forks the tasks have used up to a moment."""

    def __init__(self, zygote: int, agent: int | None) -> None:
        super().__init__(zygote)
        self.agent = process_seconds(agent) if agent is not None else 0.0
        self.agent_main = scheduled(Path(f"/proc/{agent}/task/{agent}")) if agent is not None else 0.0

    def since(self, before: _NodeLook) -> _Figures:
        """Return what each has used since."""
        names = ("supervisor", "io", "journal", "zygote", "agent", "agent_main", "reaped")
        return {name: getattr(self, name) - getattr(before, name) for name in names}


class _Measured(Measured):
    """What is measured of tasks on a node, or here.

    Args:
        folder: for its files.
        launcher: of the node; None: tasks run here.
        settings: that name the place.
    """

    def __init__(self, folder: Path, launcher: TcpLauncher | None, settings: dict[str, Any]) -> None:
        super().__init__(folder, max(*_FAN_OUTS, *_IDLE), **settings)
        self.work("stream", "1", 1)
        self._agent = next(iter(launcher.agents.values())).pid if launcher is not None else None
        self.zygote = zygote_below(self._agent or os.getpid())

    @contextlib.contextmanager
    def held(self, count: int, noted: Callable[[list[str]], None] | None = None) -> Iterator[list[int]]:
        """Have so many tasks wait; gives their processes' ids."""
        barrier = Gate(self._folder)
        ids = [self.runtime.run("held", str(barrier.path)).id for _ in range(count)]
        if noted is not None:
            noted(ids)
        barrier.wait_for(count)
        settle()
        yield [view.pid for view in self.runtime.list() if view.id in set(ids) and view.pid is not None]
        barrier.open()
        self.runtime.wait(ids)
        settle()

    def look(self) -> _NodeLook:
        """Look."""
        return _NodeLook(self.zygote, self._agent)

    def task(self) -> tuple[_Figures, _Figures]:
        """Return CPU seconds of one task, and what else it takes while it runs."""
        calls: list[float] = []
        memory, agent_memory = unique_memory(os.getpid()), self._agent_memory()
        descriptors, agent_descriptors = open_descriptors(), self._agent_descriptors()
        before, began = self.look(), time.thread_time()
        with self.held(_HELD, lambda _: calls.append(time.thread_time() - began)) as pids:
            start = self.look().since(before)
            taken = {
                "host_descriptors": float(open_descriptors() - descriptors),
                "agent_descriptors": float(self._agent_descriptors() - agent_descriptors),
                "host_memory": float(unique_memory(os.getpid()) - memory),
                "agent_memory": float(self._agent_memory() - agent_memory),
                "memory": float(sum(map(unique_memory, pids))),
            }
            child = sum(map(process_seconds, pids))
            listed = self.look()
        end = self.look().since(listed)
        seconds = {
            "call": calls[0],
            **{f"{name}_start": start[name] for name in ("supervisor", "io", "agent", "agent_main", "zygote")},
            "child_start": child,
            **{f"{name}_end": end[name] for name in ("supervisor", "io", "agent", "agent_main", "zygote")},
            "child_end": max(0.0, end["reaped"] - child),
        }
        return _each(seconds, _HELD), _each(taken, _HELD)

    def second(self) -> _Figures:
        """Return CPU seconds a second of host and agent, without tasks and for each idle task."""
        quiet = self._seconds_of_a_second()
        few, many = (self._idle_seconds(count) for count in _IDLE)
        each = {f"{name}_per_task": max(0.0, many[name] - few[name]) / (_IDLE[1] - _IDLE[0]) for name in quiet}
        return {**quiet, **each}

    def _idle_seconds(self, count: int) -> _Figures:
        with self.held(count):
            return self._seconds_of_a_second()

    def _seconds_of_a_second(self) -> _Figures:
        before = self.look()
        time.sleep(_SECONDS)
        used = self.look().since(before)
        return {"host": (used["supervisor"] + used["io"]) / _SECONDS, "agent": used["agent"] / _SECONDS}

    def output(self) -> _Figures:
        """Return CPU seconds of a megabyte of output, in pieces of 4 kB."""
        before = self.look()
        self.work("stream", str(PIECES), 1)
        settle()
        used = self.look().since(before)
        size = PIECES * len(gate.PIECE) / MEGABYTE
        return {"io": used["io"] / size, "agent": used["agent"] / size, "child": used["reaped"] / size}

    def agent_per_ended_task(self) -> float:
        """Return by how much the agent grows for each task that has ended."""
        self.work("stream", "0", _REMEMBERED)
        grown, now = [], self._agent_memory()
        for _ in range(_MEMORY_ROUNDS):
            self.work("stream", "0", _REMEMBERED)
            before, now = now, self._agent_memory()
            grown.append((now - before) / _REMEMBERED)
        return max(0.0, statistics.median(grown))

    def base(self) -> _Figures:
        """Return what agent and zygote take without tasks."""
        agent = proportional_memory(self._agent) if self._agent is not None else 0
        return {"agent": float(agent), "zygote": float(proportional_memory(self.zygote))}

    def observed(self) -> dict[str, Any]:
        """Return, by the clock, how long one start takes after the other, and fan-outs beyond their second."""
        return {
            "alone": self.spans(_SAMPLES),
            "fan_outs": {str(count): self.fan_out(count) for count in _FAN_OUTS},
        }

    def _agent_memory(self) -> int:
        return unique_memory(self._agent) if self._agent is not None else 0

    def _agent_descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._agent}/fd").iterdir())) if self._agent is not None else 0


def _each(figures: _Figures, count: int) -> _Figures:
    return {name: max(0.0, value) / count for name, value in figures.items()}


def _medians(rounds: list[_Figures]) -> _Figures:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


@contextlib.contextmanager
def _opened(folder: Path, *, on_node: bool, counts: bool = False) -> Iterator[tuple[_Measured, TcpLauncher | None]]:
    """Have a runtime with a node, or without."""
    with contextlib.ExitStack() as steps:
        launcher, settings = None, dict[str, Any]()
        if on_node:
            place, launcher = steps.enter_context(tcp_place(counts=counts))
            settings = {"places": {"cluster": place}, "place": "cluster"}
        measured = _Measured(folder, launcher, settings)
        steps.enter_context(measured.runtime)
        yield measured, launcher


def _bytes(folder: Path) -> _Figures:
    """Return the bytes between host and node for a task, for a second of one that idles, and of a node without."""
    with _opened(folder, on_node=True, counts=True) as (measured, launcher):
        assert launcher is not None  # noqa: S101 - it was asked for
        (relay,) = launcher.relays.values()

        def counted(work: Callable[..., None], *arguments: Any) -> tuple[int, int]:
            settle()
            before = relay.to_node, relay.to_host
            work(*arguments)
            settle()
            return relay.to_node - before[0], relay.to_host - before[1]

        task = counted(measured.work, "stream", "0", AT_ONCE)
        one, many = (sum(counted(measured.work, agent, "x", AT_ONCE)) for agent in _TURNS)
        quiet = sum(counted(time.sleep, _SECONDS))
        with measured.held(AT_ONCE):
            idle = sum(counted(time.sleep, _SECONDS))
        return {
            "task_to_node": task[0] / AT_ONCE,
            "task_to_host": task[1] / AT_ONCE,
            "turn": max(0, many - one) / AT_ONCE / (gate.TURNS - 1),
            "second_per_node": quiet / _SECONDS,
            "second_per_task": max(0, idle - quiet) / _SECONDS / AT_ONCE,
        }


def measure_nodes() -> dict[str, Any]:
    """Measure everything; returns what goes into the file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    with tempfile.TemporaryDirectory(prefix="sb-", dir="/tmp") as name:
        root = Path(name)
        os.environ["SUBACTORS_STATE_DIR"] = str(root / "nodes")  # where agents keep their files
        here, there = list[Any](), list[Any]()
        for number in range(ROUNDS):
            for on_node, rounds in ((False, here), (True, there)):
                folder = root / f"{number}{on_node}"
                folder.mkdir()
                with _opened(folder, on_node=on_node) as (measured, _):
                    base = measured.base()
                    seconds, taken = measured.task()
                    rounds.append((seconds, taken, measured.output(), base))
        for where, rounds in (("local", here), ("node", there)):
            task, taken, output, base = (_medians([each[part] for each in rounds]) for part in range(4))
            found[where] = {"task": task, "taken": taken, "output_megabyte": output, "base": base}
        (root / "spans").mkdir()
        with _opened(root / "spans", on_node=True) as (measured, _):
            found["node"]["second"] = measured.second()
            found["node"]["agent_per_ended_task"] = measured.agent_per_ended_task()
            found["node"]["observed"] = measured.observed()
        (root / "bytes").mkdir()
        found["node"]["bytes"] = _bytes(root / "bytes")
    return found


def main() -> None:
    """Parse the command line, measure, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node_costs", description=__doc__)
    parser.add_argument("--out", metavar="FILE", type=Path, default=NODE_FILE, help="node_costs.json here by default")
    given = parser.parse_args()
    given.out.write_text(json.dumps(measure_nodes(), indent=1) + "\n")


if __name__ == "__main__":
    main()
