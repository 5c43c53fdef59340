"""Nodes that die at random under load: each task ends once and truthfully, and nothing of it is left."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from processes_and_waits import descendants_of, is_gone, wait_until
from ssh_server import needs_sshd, ssh_place
from subactors.runtime import Runtime, TaskEnded
from subactors.runtime.nodes import ssh
from subactors.runtime.team.places import SshPlace
from teams import PATIENCE

pytestmark = [needs_sshd, pytest.mark.slow]

ROUNDS: Final = int(os.environ.get("SUBACTORS_STORMS", "3"))
TASKS: Final = 12

TEAM: dict[str, Any] = {"agents": {"worker": {"entrypoint": "node_entrypoints:works_a_little"}}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPlace]:
    with ssh_place(tmp_path_factory.mktemp("lab"), nodes=2) as lab:
        yield lab


def below(name: str) -> list[psutil.Process]:
    return [psutil.Process(process.pid) for process in descendants_of(os.getpid()) if process.name == name]


def strike(rng: random.Random) -> str:
    """Kill an agent, a zygote of a node, or a line to one."""
    agents = below("subactors-node")
    zygotes = [child for agent in agents for child in agent.children() if child.name() == "subactors-zyg"]
    lines = [process for process in psutil.Process().children() if process.name() == "ssh"]
    what, victims = rng.choice([("agent", agents), ("zygote", zygotes), ("line", lines)])
    if victims:
        rng.choice(victims).kill()
    return what


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_nodes_that_die_at_random_cost_their_tasks_one_truthful_end_each(
    lab: SshPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ssh, "_AGAIN", 0.1)
    rng = random.Random(20)  # noqa: S311 - it hides nothing
    ends: Counter[str] = Counter()
    settings = {"standby": 2, "stop_grace": 0.5, "max_running": 50, "max_tasks": 10_000, "state_dir": tmp_path}
    with (
        Runtime.from_mapping(TEAM, places=(lab,), place=lab.name, **settings) as runtime,
        runtime.events(limit=100_000) as events,
    ):
        for _ in range(ROUNDS):
            tasks = [str(runtime.run("worker", str(number))) for number in range(TASKS)]
            wait_until(lambda tasks=tasks: any(runtime.view(task).output for task in tasks), "work", limit=PATIENCE)
            strike(rng)

            views = runtime.wait(tasks, timeout=PATIENCE)

            for number, view in enumerate(views):
                if view.status == "completed":
                    assert view.result == number * number
                else:
                    assert view.status == "failed"
                    assert " was lost (" in view.reason or "zygote" in view.reason
            pids = [int(view.output.split()[0]) for view in views if view.output]
            wait_until(lambda pids=pids: all(map(is_gone, pids)), "nothing is left", limit=PATIENCE)
        wait_until(lambda: below("subactors-node"), "a node is back", limit=PATIENCE)
        last = str(runtime.run("worker", "0"))
        for event in events:
            if isinstance(event, TaskEnded):
                ends[event.task.id] += 1
                if event.task.id == last:
                    break

    del ends[last]
    assert len(ends) == ROUNDS * TASKS
    assert set(ends.values()) == {1}
