"""A soak, bounded in time and count: tasks with random faults, and several threads that start, stop, view and wait.

`SUBACTORS_SOAK` is how many tasks there are; 200, if it is not set. A failure names the seed of the
random choices.
"""

from __future__ import annotations

import gc
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import psutil
import pytest
from processes_and_waits import Holdings, wait_until
from subactors.runtime import Runtime, TaskEnded, TaskStarted, TaskView
from subactors.runtime.team.config import Settings
from subactors.runtime.testing import fault_team
from teams import PATIENCE, run_and_wait

TASKS: Final = int(os.environ.get("SUBACTORS_SOAK", "200"))
THREADS: Final = 4
GROWTH: Final = 100_000_000
"""Bytes by which the host may be larger in the end: what its allocator keeps, whatever the number of tasks."""

AGENTS: Final = {
    # agent: (how often it is chosen, statuses that it may end with when nobody stops it)
    "echo": (30, {"completed"}),
    "sibling": (10, {"completed"}),
    "restarts": (6, {"completed"}),
    "wait_for_stop": (10, set()),
    "raise_error": (5, {"failed"}),
    "exit_without_answer": (5, {"failed"}),
    "segfault": (3, {"failed"}),
    "hang_in_python": (2, set()),
    "hang_in_c": (2, set()),
    "ignore_signals": (2, set()),
    "leak_memory": (1, {"failed"}),
    "fork_daemon": (4, {"completed"}),
    "flood_output": (3, {"completed"}),
    "flood_messages": (3, {"completed"}),
    "fill_stderr": (2, {"completed"}),
    "break_protocol": (3, {"failed"}),
    "unknown_message": (3, {"failed"}),
    "half_a_frame": (3, {"failed"}),
    "close_channel": (1, {"failed"}),
}
TEXTS: Final = {"flood_output": "3", "flood_messages": "2000", "fill_stderr": "3", "restarts": "1"}


class Soak:
    """One soak: what was started, and what is known of how it must end."""

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.started: dict[str, tuple[str, str]] = {}
        self.ended: dict[str, TaskView] = {}
        self._stopped: set[str] = set()
        self._chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
        self._lock = threading.Lock()
        self._left = TASKS

    def work(self) -> None:
        """Do what chance says, until there is no task left to start; in each of several threads."""
        while (chosen := self._choose()) is not None:
            agent, text, dice = chosen
            task_id = self.runtime.run(agent, text)
            with self._lock:
                self.started[task_id] = agent, text
            if dice < 0.2:
                self.runtime.view(task_id)
            elif dice < 0.25:
                self.runtime.list()
            elif dice < 0.3:
                self.runtime.wait([task_id], mode="any", timeout=dice / 10)
            elif dice < 0.4:
                self._stop_any()
            if not AGENTS[agent][1] or dice > 0.9:
                with self._lock:
                    self._stopped.add(task_id)
                self._note(self.runtime.stop(task_id)[0])
            else:
                (view,) = self.runtime.wait([task_id], timeout=PATIENCE)
                self._note(view)

    def _stop_any(self) -> None:
        """Stop a task that any of the threads has started, which may end, or be stopped, in this moment."""
        with self._lock:
            task_id = self._chance.choice(list(self.started)[-2 * THREADS :])
            self._stopped.add(task_id)
        view = self.runtime.stop(task_id)[0]
        assert view.ended, view

    def _choose(self) -> tuple[str, str, float] | None:
        with self._lock:
            if not self._left:
                return None
            self._left -= 1
            (agent,) = self._chance.choices(list(AGENTS), [often for often, _ in AGENTS.values()])
            text = TEXTS.get(agent, f"task {self._left}")
            if agent == "sibling":
                text = json.dumps({"number": self._left % 20, "go_on": os.devnull})
            return agent, text, self._chance.random()

    def _note(self, view: TaskView) -> None:
        with self._lock:
            # Not its output, which would be what the host has grown by.
            self.ended[view.id] = msgspec.structs.replace(view, output=view.output[:100])

    def check(self, view: TaskView) -> None:
        """A task ended as it had to."""
        agent, text = self.started[view.id]
        allowed = AGENTS[agent][1]
        if view.id in self._stopped:
            # A stop races with what the task does by itself, and either is right.
            allowed = allowed | {"stopped"}
        assert view.status in allowed, view
        if view.status != "completed":
            assert view.reason, view
        elif agent == "echo":
            assert (view.result, view.output) == (text, text)
        elif agent == "sibling":
            number = json.loads(text)["number"]
            assert view.result == {"number": number, "total": 6 * sum(each * each for each in range(number * 100))}
        elif agent == "restarts":
            assert (view.result, view.attempts) == ("done in attempt 2", 2)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    team: dict[str, Any] = fault_team(max_running=THREADS * 3, max_tasks=200, max_output=200_000, stop_grace=0.2)
    team["agents"]["leak_memory"]["limits"] = {"memory": "100MB"}
    team["agents"]["sibling"] = {"entrypoint": "healthy_entrypoints:works_in_steps"}
    team["agents"]["restarts"] = {
        "entrypoint": "crashing_entrypoints:crashes_at_first",
        "restart": {"policy": "transient", "backoff": 0.01},
    }
    with Runtime.from_mapping(team) as runtime:
        for _ in range(5):
            run_and_wait(runtime, "echo", "warm up")
        yield runtime


@pytest.mark.slow
@pytest.mark.timeout(120 + TASKS)
def test_after_a_soak_each_task_has_ended_once_and_rightly_and_the_host_is_as_it_was(runtime: Runtime) -> None:
    host = psutil.Process()
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    soak = Soak(runtime, seed)
    starts: Counter[str] = Counter()
    ends: dict[str, list[str]] = {}

    with runtime.events() as events:

        def follow() -> None:
            for event in events:
                if isinstance(event, TaskStarted):
                    starts[event.task.id] += 1
                elif isinstance(event, TaskEnded):
                    ends.setdefault(event.task.id, []).append(event.task.status)

        follower = threading.Thread(target=follow)
        # The sampler's thread and others are there by now.
        gc.collect()
        before, size = Holdings(), host.memory_info().rss
        follower.start()
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                for future in [pool.submit(soak.work) for _ in range(THREADS)]:
                    future.result()
        finally:
            events.close()
            follower.join()

    assert len(soak.started) == TASKS
    assert soak.ended.keys() == soak.started.keys()
    for view in soak.ended.values():
        soak.check(view)
    assert starts == Counter(soak.started.keys())
    assert {task_id: [view.status] for task_id, view in soak.ended.items()} == ends
    # Those that stand by are others than before, each with its channel and its pidfd.
    standby = Settings().standby
    wait_until(lambda: len(before.new_processes()) <= standby, "no process is left", limit=PATIENCE)
    gc.collect()
    wait_until(lambda: len(before.new_descriptors()) <= 2 * standby, "no descriptor is left", limit=PATIENCE)
    assert before.new_threads() == []
    grown = host.memory_info().rss - size
    statuses = Counter(view.status for view in soak.ended.values())
    print(f"{TASKS} tasks, {dict(statuses)}: the host has grown by {grown / 1e6:.1f} MB.")
    assert grown < GROWTH
