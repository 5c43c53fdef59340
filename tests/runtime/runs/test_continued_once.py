"""Who continues a task, where several hosts could: one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from killed_hosts import TEAM, continuing_host, host, killed_host, long_call, resumed
from processes_and_waits import wait_until
from subactors.runtime import RunError, Runtime, RuntimeClosedError
from subactors.runtime.control.other_hosts import tasks_of
from teams import PATIENCE, plan, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


def test_a_task_that_runs_in_another_host_is_not_continued(tmp_path: Path) -> None:
    with (
        host(tmp_path / "state", "plans", plan(long_call(tmp_path), {"answer": "x"})) as (program, task_id),
        Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime,
    ):
        with pytest.raises(RunError, match=rf"is \w+, in a host that lives \(process {program.pid}\)"):
            runtime.resume(task_id)
        assert runtime.list() == []


def test_what_another_process_continues_already_is_not_continued_twice_at_a_time(tmp_path: Path) -> None:
    state = tmp_path / "state"
    steps = plan(long_call(tmp_path), [["shell", {"cmd": f"touch '{tmp_path / 'again'}'; sleep 600"}]], {"answer": "x"})
    task_id = killed_host(state, "plans", steps, tmp_path / "begun")
    with continuing_host(state, task_id) as program:
        wait_until((tmp_path / "again").exists, "it is continued", limit=PATIENCE)
        with (
            Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime,
            pytest.raises(RunError, match=rf"is being continued already, by agent_task_\w+, in process {program.pid}"),
        ):
            runtime.resume(task_id)


def test_of_two_hosts_in_one_process_only_one_continues_a_task(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        steps = plan({"answer": "x"}, {"wait_for": str(tmp_path / "go")}, {"answer": "y"})
        task_id = run_and_wait(runtime, "plans", steps).id
    with (
        Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as first,
        Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as second,
    ):
        task = first.resume(task_id, "More.")
        for other in (second, first):
            with pytest.raises(RunError, match=rf"already, by {task.id}, in process {os.getpid()}"):
                other.resume(task_id, "More.")
        first.stop(task)
        (tmp_path / "go").touch()
        assert resumed(second, task_id, "More.").ended


def test_to_continue_a_task_no_journal_of_another_run_is_opened(tmp_path: Path) -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "sqlite3.connect" else None)
    with (
        host(tmp_path / "state", "shows", "First."),
        Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime,
    ):
        task_id = run_and_wait(runtime, "shows", "First.").id
        opened.clear()
        assert resumed(runtime, task_id, "Second.").status == "completed"
    assert opened == []


def test_a_host_that_is_closed_while_it_looks_a_task_up_keeps_nobody_from_continuing_it(tmp_path: Path) -> None:
    is_asked, is_closed = threading.Event(), threading.Event()
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as first:
        task_id = run_and_wait(first, "plans", plan({"answer": "x"})).id
        host = first._host
        host.journal.query(("SELECT 1", ()), lambda _: (is_asked.set(), is_closed.wait(PATIENCE)))
        assert is_asked.wait(PATIENCE)  # what comes now is not taken together with that
        with ThreadPoolExecutor(2) as threads:
            lookup = threads.submit(first.resume, task_id, "More.")
            wait_until(lambda: len(host.journal._queue) > 0, "the journal is asked", limit=PATIENCE)
            threads.submit(first.close)
            with pytest.raises(RuntimeClosedError):
                lookup.result(PATIENCE)
            is_closed.set()
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as second:
        assert resumed(second, task_id, plan({"answer": "y"})).status == "completed"


@pytest.mark.parametrize("runs_here", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_of_two_hosts_that_continue_a_task_in_the_same_moment_one_is_refused(tmp_path: Path, runs_here: bool) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        task_id = run_and_wait(runtime, "shows", "First.").id
        folder = runtime._host.folder.path
        if runs_here:
            _claimed_by_another_host(runtime, folder, task_id)
    if not runs_here:
        with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
            _claimed_by_another_host(runtime, folder, task_id)


CLAIMER: Final = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subactors.runtime.runs.claims import Claim
claim = Claim.take(Path(sys.argv[1]), sys.argv[2])
print("claimed", flush=True)
sys.stdin.read()
"""
"""A host that has begun to continue a task, and gets no further until it is killed."""


def _claimed_by_another_host(runtime: Runtime, run: Path, task_id: str) -> None:
    """See that a runtime does not continue a task while another host is about to, and does when that has died."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIMER, str(run), task_id],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        with pytest.raises(RunError, match=f"is being continued already, in process {program.pid}"):
            runtime.resume(task_id, "Second.")
        program.kill()
    assert resumed(runtime, task_id, "Second.").status == "completed"
    assert resumed(runtime, task_id, "Third.").status == "completed"


@pytest.mark.slow
def test_what_another_host_continues_is_not_continued_where_it_had_run(tmp_path: Path) -> None:
    steps = plan(long_call(tmp_path), [["shell", {"cmd": f"touch '{tmp_path / 'again'}'; sleep 600"}]], {"answer": "x"})
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        task_id = runtime.run("plans", steps).id
        wait_until((tmp_path / "begun").exists, "the call has begun", limit=PATIENCE)
        runtime.stop([task_id])
        with continuing_host(tmp_path / "state", task_id) as program:
            wait_until((tmp_path / "again").exists, "it is continued", limit=PATIENCE)
            with pytest.raises(RunError, match=rf"already, by agent_task_\w+, in process {program.pid}"):
                runtime.resume(task_id)


def test_a_task_that_has_ended_in_a_host_that_lives_is_continued_in_another(tmp_path: Path) -> None:
    with (
        host(tmp_path / "state", "shows", "First.") as (_, task_id),
        Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime,
    ):
        wait_until(lambda: _has_ended(tmp_path / "state", task_id), "it has ended", limit=PATIENCE)
        view = resumed(runtime, task_id, "Second.")
    assert len(json.loads(view.result)["messages"]) == 4


def _has_ended(state: Path, task_id: str) -> bool:
    return any(task.view.id == task_id and task.view.ended for task in tasks_of(state).tasks)
