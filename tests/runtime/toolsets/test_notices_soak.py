"""Notices beside every other way to learn of an end, in random order: each end is told once, or was seen before."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime import OrchestratorTools, Runtime
from teams import entrypoint_team, model

TASKS = int(os.environ.get("SUBACTORS_SOAK_TASKS", "150"))
"""More of them make a soak of hours; 2000 take half a minute."""

MOST_AT_ONCE = 60


class Soak:
    """An orchestrator that does at random what one may do, and notes what it has learnt."""

    def __init__(self, toolset: OrchestratorTools, seed: int) -> None:
        self.toolset = toolset
        self.chance = random.Random(seed)  # noqa: S311 - a soak is to be repeatable
        self.started: list[str] = []
        self.told: list[str] = []
        self.seen: set[str] = set()

    @property
    def unknown(self) -> list[str]:
        """The tasks of whose ends it has not heard."""
        known = {*self.told, *self.seen}
        return [task for task in self.started if task not in known]

    def call(self, name: str, **arguments: Any) -> Any:
        return self.toolset.call(name, json.dumps(arguments))

    def start(self) -> None:
        answer = self.call("run_background_agent", agent=self.chance.choice(["echo", "raises"]), task="x")
        self.started.append(answer.data["task_id"])

    def view(self) -> None:
        answer = self.call("view_background_agent", task_id=self.chance.choice(self.unknown))
        self.see([answer.data] if answer.data["status"] in {"completed", "failed", "stopped"} else [])

    def stop(self) -> None:
        answer = self.call("stop_background_agent", task_id=self.chance.choice(self.unknown))
        self.see([] if answer.is_error else answer.data["tasks"])

    def wait(self) -> None:
        ids = self.chance.sample(self.unknown, min(3, len(self.unknown)))
        answer = self.call("wait_background_agents", task_ids=ids, mode="any", timeout=self.chance.choice([0, 0.01, 1]))
        self.see([task for task in answer.data["tasks"] if task["done"]])

    def see(self, tasks: list[dict[str, Any]]) -> None:
        self.seen |= {task["id"] for task in tasks}

    def hear(self) -> None:
        told = re.findall(r"^(agent_task_\w+) \(", self.toolset.notices(), re.MULTILINE)
        assert not self.seen.intersection(told), "it had seen the end"
        self.told += told


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_of_many_ends_is_told_once_or_was_seen(tmp_path: Path) -> None:
    boss = model("streams", sub_agents=["echo", "raises"], toolsets=[{"type": "background_agents"}])
    settings = {"max_tasks": 5000, "poll_wait": 0, "standby": 0, "stop_grace": 0.5, "state_dir": tmp_path}
    with Runtime.from_mapping(entrypoint_team(boss=boss), **settings) as runtime, runtime.toolset("boss") as toolset:
        soak = Soak(toolset, seed=17)
        while len(soak.started) < TASKS:
            if not soak.unknown or (len(soak.unknown) < MOST_AT_ONCE and soak.chance.random() < 0.7):
                soak.start()
            else:
                soak.chance.choice([soak.view, soak.stop, soak.wait, soak.hear, soak.hear])()
        runtime.wait(timeout=60)
        while soak.unknown:
            before = len(soak.unknown)
            soak.hear()
            assert len(soak.unknown) < before, "an end was lost"
        soak.hear()

    assert len(soak.told) == len({*soak.told})
    assert {*soak.told} | soak.seen == {*soak.started}
    assert len(soak.told) > TASKS // 10
