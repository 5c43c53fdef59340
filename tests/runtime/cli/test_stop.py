"""`stop`: tasks of other processes, and what they have started."""

from __future__ import annotations

import json
from pathlib import Path

from live_runs import FIRST, SECOND, UNFINISHED, live_run, running
from run_folders import host, past_run, subactors, task_row
from subactors.runtime.runs.journal import Journal


def test_stop_has_the_host_stop_a_task_and_prints_how_it_ended(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        done = subactors("stop", "0001", root=tmp_path)
        assert run.stopped == [FIRST]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{FIRST} (worker) has ended after 0.0 s: stopped.\nStopped at once.\n"
        f"With it ended {SECOND} (helper): stopped. With it.\n"
    )


def test_stop_of_a_task_that_has_ended_says_so_and_ends_with_1(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(2, status="failed", reason="No luck."))
    with live_run(tmp_path, running(FIRST, status="completed")):
        done = subactors("stop", FIRST, root=tmp_path)
        assert (done.returncode, done.stderr) == (1, f"subactors: Task {FIRST} has ended already: completed.\n")
        done = subactors("stop", SECOND, root=tmp_path)
        assert done.returncode == 1
        assert done.stderr == f"subactors: Task {SECOND} has ended already: failed. No luck.\n"


def test_stop_of_a_task_whose_host_does_not_answer_says_so_and_ends_with_1(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        journal = Journal(holder.run / "journal.sqlite", {})
        journal.write([task_row(1, **UNFINISHED)])
        journal.close()
        done = subactors("stop", FIRST, root=tmp_path)
    assert done.returncode == 1
    assert f"{FIRST} is running. The host (process {holder.program.pid}) does not answer" in done.stderr


def test_stop_of_a_task_whose_host_was_killed_says_that_it_has_ended(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, **UNFINISHED))
    done = subactors("stop", FIRST, root=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"subactors: Task {FIRST} has ended already: failed. The host died.\n"


def test_stop_of_several_ids_stops_them_all_and_says_of_each_how_it_ended(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    with live_run(tmp_path, running(FIRST)) as one, live_run(tmp_path, running(third)) as other:
        done = subactors("stop", FIRST, third, "0003", root=tmp_path)
        assert (one.stopped, other.stopped) == ([FIRST], [third])
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if "has ended after" in line] == [FIRST, third]


def test_stop_of_several_stops_those_that_are_there_and_ends_with_1_if_one_is_not(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    with live_run(tmp_path, running(FIRST), running(third, status="completed")) as run:
        done = subactors("stop", "nothing", third, FIRST, root=tmp_path)
        assert run.stopped == [FIRST]
    assert done.returncode == 1
    unknown, ended = done.stderr.splitlines()
    assert unknown.startswith("subactors: There is no task 'nothing'")
    assert ended == f"subactors: Task {third} has ended already: completed."


def test_a_task_and_what_it_started_may_be_stopped_together(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST), running(SECOND, status="stopped")):
        done = subactors("stop", SECOND, FIRST, root=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"With it ended {SECOND} (helper): stopped. With it."


def test_as_many_tasks_of_one_host_as_one_likes_are_stopped_together(tmp_path: Path) -> None:
    ids = [f"agent_task_{number:08x}" for number in range(100, 400)]
    with live_run(tmp_path, *map(running, ids)) as run:
        done = subactors("stop", *ids, root=tmp_path)
        assert sorted(run.stopped) == ids
    assert (done.returncode, done.stderr) == (0, "")


def test_all_tasks_are_stopped_and_those_that_others_started_fall_with_them(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    ended = running("agent_task_00000004", status="completed")
    with live_run(tmp_path, running(FIRST), running(SECOND, parent=FIRST), ended) as one:
        with live_run(tmp_path, running(third)) as other:
            done = subactors("stop", "--all", "--json", root=tmp_path)
        assert (one.stopped, other.stopped) == ([FIRST], [third])
    tasks = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(task["id"], task["run"]) for task in tasks} == {
        (FIRST, str(one.folder.path)),
        (SECOND, str(one.folder.path)),
        (third, str(other.folder.path)),
        (SECOND, str(other.folder.path)),
    }
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tasks_of_one_run_are_stopped_alone(tmp_path: Path) -> None:
    third = "agent_task_00000003"
    with live_run(tmp_path, running(FIRST)) as one, live_run(tmp_path, running(third)) as other:
        done = subactors("stop", "--quiet", "--run", other.folder.path.name[-8:], root=tmp_path)
        assert (one.stopped, other.stopped) == ([], [third])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_to_stop_all_where_nothing_runs_is_no_fault(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1))
    done = subactors("stop", "--all", root=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"subactors: No tasks are running in {tmp_path}.\n")
