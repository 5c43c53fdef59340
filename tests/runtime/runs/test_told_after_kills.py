"""Ends that are owed when a host is killed: the task that continues its orchestrator is told of each, once.

`SUBACTORS_KILLS` is how many times the host is killed at a random moment; three, if it is not set.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from subactors.runtime.control.other_hosts import tasks_of
from subactors.runtime.runs.folder import RunFiles, runs
from subactors.runtime.runs.reader import JournalReader
from teams import entrypoint_team, plan
from told_orchestrators import agents, start, told

KILLS: Final = int(os.environ.get("SUBACTORS_KILLS", "3"))
TASKS: Final = 200
AT_A_TIME: Final = 10

HOST: Final = """
import json, sys
from subactors.runtime import Runtime
team, state, task_id, task, settings = json.loads(sys.argv[1])
with Runtime.from_mapping(team, state_dir=state, **settings) as runtime:
    task = runtime.resume(task_id) if task_id else runtime.run("waiting", task)
    print(task.id, flush=True)
    print(task.result(), flush=True)
"""
"""A host that has an orchestrator work, or go on with its work, to its end."""

SETTINGS: Final[dict[str, Any]] = {"standby": 0, "poll_wait": 0.2, "max_tasks": 10_000, "max_running": 40}


def live(state: Path, orchestrator: str, task: str, kill_after: float | None) -> tuple[str, str]:
    """Have a host live for so many seconds, or to the end; return the orchestrator's id, and what it has answered."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    given = json.dumps([entrypoint_team(**agents()), str(state), orchestrator, task, SETTINGS])
    with subprocess.Popen(
        [sys.executable, "-c", HOST, given],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        begun = program.stdout.readline().strip()
        if kill_after is not None:
            time.sleep(kill_after)  # the moment is what is tried
            program.kill()
        return begun, program.stdout.read().strip()


def messages_of(state: Path, task_id: str) -> list[dict[str, Any]]:
    """Return the conversation of a task, of whatever run it is."""
    for run in runs(state):
        with JournalReader(RunFiles(run).journal, live=False) as reader:
            if task_id in reader.ids():
                return reader.messages(task_id)
    raise AssertionError(task_id)


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * KILLS)
def test_whatever_moments_a_host_is_killed_at_its_orchestrator_is_told_of_each_end_once(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
    starts = [[start("echo", f"{turn} {number}") for number in range(AT_A_TIME)] for turn in range(TASKS // AT_A_TIME)]
    task = plan(*starts, *({"answer": f"answer {number}"} for number in range(100)))
    orchestrator, answered = "", ""
    for kill in range(KILLS + 1):
        orchestrator, answered = live(tmp_path, orchestrator, task, None if kill == KILLS else chance.random() * 2.0)
        if answered:
            break

    assert answered.startswith("answer ")
    messages = messages_of(tmp_path, orchestrator)
    answers = [str(message["content"]) for message in messages if message["role"] == "tool"]
    known = re.findall(r"^(?:Started|Queued) (agent_task_\w+)", "\n".join(answers), re.MULTILINE)
    assert len(known) == len(answers)
    assert sum(len(message.get("tool_calls") or ()) for message in messages) == TASKS
    times = told(messages)
    assert {task_id: times[task_id] for task_id in known} == dict.fromkeys(known, 1)
    # Of a call whose answer was not written it does not know the task; of its end it is told all the same.
    assert set(times.values()) == {1}
    started = {each.view.id for each in tasks_of(tmp_path).tasks if each.view.agent == "echo"}
    assert set(times) == started
