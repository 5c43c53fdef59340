"""Nodes of a Ray cluster and hosts that die at random under load: each task ends once and truthfully, and is gone.

`SUBACTORS_STORMS` is how many times something is killed; a few, if it is not set.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import stormy_host
from processes_and_waits import descendants_of, wait_until
from ray_clusters import PATIENCE, RayCluster
from subactors.actors.wire.node import LEASE
from subactors.runtime.control.other_hosts import past_view

pytestmark = pytest.mark.slow

ROUNDS: Final = int(os.environ.get("SUBACTORS_STORMS", "4"))
TASKS: Final = 12


class StormyHost:
    """A `stormy_host` in a process of its own.

    Attributes:
        ended: status, reason and result of each task that it has told of, in the order in which it did.
    """

    def __init__(self, state: Path, cluster: RayCluster, nodes: int = 2) -> None:
        self.ended: list[tuple[str, str, str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, stormy_host.__file__, json.dumps([str(state), cluster.address, nodes, TASKS])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> tuple[list[str], dict[str, str]]:
        """Have it run tasks; return their ids, and the addresses of the nodes, once one works."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        tasks = self.next("tasks")
        return tasks, self.next("nodes")

    def next(self, wanted: str) -> Any:
        """Return the next thing that it says of a kind, and note the ends that it tells of before."""
        while (said := self._said()) is not None:
            kind, value = said
            if kind == "ended":
                self.ended.append(tuple(value))
            if kind == wanted:
                return value
        raise AssertionError(f"the host has ended, with status {self.process.wait()}, and not said: {wanted}")

    def kill(self) -> None:
        """Kill it, and note what it had told before."""
        self.process.kill()
        while (said := self._said()) is not None:
            if said[0] == "ended":
                self.ended.append(tuple(said[1]))
        self.process.wait()

    def _said(self) -> tuple[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return tuple(json.loads(line)) if line.endswith("\n") else None

    def close(self) -> None:
        self.kill()
        self.process.communicate()


# --- what is killed -------------------------------------------------------------------------------------------------


def below(name: str) -> list[psutil.Process]:
    return [psutil.Process(process.pid) for process in descendants_of(os.getpid()) if process.name == name]


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()  # so that none of them does anything for another's end
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def agent_at(address: str) -> psutil.Process:
    port = int(address.rpartition(":")[2])
    return next(
        agent for agent in below("subactors-node") if port in {one.laddr.port for one in agent.net_connections()}
    )


class Strike:
    """Kills something of a host or of its nodes.

    Args:
        cluster: the cluster.
        host: the host.
        nodes: address of each agent.
        chance: chooses among them.
    """

    def __init__(self, cluster: RayCluster, host: StormyHost, nodes: dict[str, str], chance: random.Random) -> None:
        self.cluster, self.host, self.nodes, self.chance = cluster, host, nodes, chance

    def agent(self) -> None:
        self.chance.choice(below("subactors-node")).kill()

    def zygote(self) -> None:
        agents = below("subactors-node")
        self.chance.choice([child for agent in agents for child in agent.children() if "zyg" in child.name()]).kill()

    def driver(self) -> None:
        for driver in below("subactors-ray"):
            driver.kill()

    def raylet(self) -> None:
        self.cluster.do("kill", "second")

    def node(self) -> None:
        """All of it at once, as when its machine loses power."""
        raylet, agent = psutil.Process(int(self.cluster.do("pid", "second"))), agent_at(self.nodes["second"])
        kill_all([*agent.children(recursive=True), agent, *raylet.children(recursive=True), raylet])
        self.cluster.do("kill", "second")

    def kill_host(self) -> None:
        for _ in range(3):  # so that there are results that must not be lost
            self.host.next("ended")
        self.host.kill()


STRIKES: Final[dict[str, Callable[[Strike], None]]] = {
    "agent": Strike.agent,
    "zygote": Strike.zygote,
    "driver": Strike.driver,
    "raylet": Strike.raylet,
    "node": Strike.node,
    "host": Strike.kill_host,
}


# --- what is left ---------------------------------------------------------------------------------------------------


def check_ends(tasks: list[str], ended: list[tuple[str, str, str, Any]]) -> None:
    """Check that each task has ended once, and truthfully."""
    assert sorted(task for task, *_ in ended) == sorted(tasks)
    for task, status, reason, result in ended:
        if status == "completed":
            number = tasks.index(task)
            assert result == number * number
        else:
            assert status == "failed"
            assert " was lost (" in reason or "zygote" in reason


def check_journal(state: Path, tasks: list[str], told: list[tuple[str, str, str, Any]]) -> None:
    """Check what the journal has of a host that was killed: what it had told, and a truthful end of all others."""
    known = {task: (status, reason, result) for task, status, reason, result in told}
    for number, task in enumerate(tasks):
        view = past_view(state, task)
        assert view is not None
        if task in known:
            assert (view.status, view.reason, view.result) == known[task]
        elif view.status == "completed":
            assert view.result == number * number
        else:
            assert view.status == "failed"
            assert "host" in view.reason


def left() -> list[str]:
    """What runs of hosts and nodes, but for the cluster itself."""
    names = [process.name for process in descendants_of(os.getpid()) if not process.ended]
    return [name for name in names if name not in {"ray-nodes", "ray-cluster"}]


@pytest.fixture
def hosts(tmp_path: Path, cluster: RayCluster) -> Iterator[Callable[[], StormyHost]]:
    """Makes hosts, with one state folder."""
    made: list[StormyHost] = []

    def make() -> StormyHost:
        made.append(StormyHost(tmp_path, cluster))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_whatever_dies_at_random_costs_its_tasks_one_truthful_end_each_and_leaves_nothing(
    hosts: Callable[[], StormyHost], cluster: RayCluster, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
    kinds = [kind for _ in range(-(-ROUNDS // len(STRIKES))) for kind in chance.sample([*STRIKES], len(STRIKES))]
    host = hosts()
    for kind in kinds[:ROUNDS]:
        cluster.has("second")
        before = len(host.ended)
        tasks, nodes = host.begin()
        STRIKES[kind](Strike(cluster, host, nodes, chance))
        if kind == "host":
            wait_until(lambda: not left(), "nothing is left of it", limit=LEASE + PATIENCE)
            told, host = host.ended[before:], hosts()
            again, _ = host.begin()
            host.next("over")
            check_ends(again, host.ended)
            check_journal(tmp_path, tasks, told)
        else:
            host.next("over")
            check_ends(tasks, host.ended[before:])
            wait_until(lambda: "sleep" not in left(), "nothing is left of its tasks", limit=PATIENCE)
        print(kind, Counter(status for _, status, *_ in host.ended[before:] or told))

    cluster.has("second")
    before = len(host.ended)
    tasks, _ = host.begin()
    host.next("over")
    check_ends(tasks, host.ended[before:])
    assert {status for _, status, *_ in host.ended[before:]} == {"completed"}
