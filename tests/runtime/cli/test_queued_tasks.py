"""Queued tasks on the command line: in lists, in views, stopped, and of hosts that were killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import host, subactors
from subactors.runtime import Runtime
from subactors.runtime.runs.upkeep import prune, recover
from teams import entrypoint_team

HOST = """
import sys
from subactors.runtime import Runtime

waits = {"entrypoint": "entrypoints:waits"}
runtime = Runtime.from_mapping({"agents": {"waits": waits}}, state_dir=sys.argv[1], max_running=1)
for _ in range(3):
    runtime.run("waits", "go")
print(runtime.list()[0].id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime whose only slot is taken, with two tasks in its queue."""
    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path, max_running=1, standby=0) as runtime:
        for _ in range(3):
            runtime.run("waits", "Do it.")
        yield runtime


def test_a_table_shows_the_place_of_each_queued_task(runtime: Runtime, tmp_path: Path) -> None:
    done = subactors("ps", root=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[1:]
    assert [view.id for view in runtime.list()] == [row.split()[0] for row in rows]
    assert "place" not in rows[0]
    for place, row in enumerate(rows[1:], 1):
        assert row.split()[2:5] == ["queued", "-", "-"]
        assert row.endswith(f"(place {place} in the queue) Do it.")


def test_tables_can_be_of_queued_tasks_only(runtime: Runtime, tmp_path: Path) -> None:
    done = subactors("ps", "--status", "queued", "--json", root=tmp_path)
    tasks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(task["id"], task["queue_place"]) for task in tasks] == [
        (view.id, view.queue_place) for view in runtime.list()[1:]
    ]


def test_a_view_of_a_queued_task_tells_since_when_and_at_which_place(runtime: Runtime, tmp_path: Path) -> None:
    queued = runtime.list()[2]
    done = subactors("view", queued.id, root=tmp_path)
    facts = {name: fact.strip() for name, _, fact in (line.partition(":") for line in done.stdout.splitlines())}
    assert (facts["Status"], facts["Place"], facts["Queued"]) == ("queued", "2 in the queue", queued.queued_at)
    assert not facts.keys() & {"Started", "Runtime", "Process", "Attempts"}


def test_a_queued_task_is_stopped_from_another_process(runtime: Runtime, tmp_path: Path) -> None:
    queued = runtime.list()[1]
    done = subactors("stop", queued.id, root=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Stopped by `subactors stop` while it was queued." in done.stdout
    assert [view.status for view in runtime.list()][1:] == ["stopped", "queued"]
    assert runtime.list()[2].queue_place == 1


def test_what_a_killed_host_had_queued_has_failed_and_never_run(tmp_path: Path) -> None:
    with host(tmp_path, HOST) as killed:
        killed.kill()
        before = [json.loads(line) for line in subactors("ps", "--all", "--json", root=tmp_path).stdout.splitlines()]
        assert len(recover(tmp_path)) == 3
        after = [json.loads(line) for line in subactors("ps", "--all", "--json", root=tmp_path).stdout.splitlines()]
    for tasks in (before, after):
        assert [(task["status"], task["reason"], task["attempts"]) for task in tasks] == [
            ("failed", "The host died.", 1),
            *[("failed", "The host died while the task was queued.", 0)] * 2,
        ]
        for task in tasks[1:]:
            assert (task["started_at"], task["runtime"]) == (None, 0.0)
            assert task["ended_at"] >= task["queued_at"]
    assert "unread" not in str(prune(tmp_path, keep=0.0, unread=True).kept)
