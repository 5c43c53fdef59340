"""Continuing tasks of earlier runs: of hosts that were closed or killed, and of such as live in another process.

`SUBACTORS_KILLS` is how many times a host is killed at a random moment; three, if it is not set.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from killed_hosts import FINISHER, TEAM, host, killed_host, last_said, long_call, resumed
from processes_and_waits import wait_until
from subactors.runtime import RunError, Runtime, StateError
from subactors.runtime.agent.continuation import EFFECTS_UNKNOWN
from subactors.runtime.control.other_hosts import past_view, tasks_of
from subactors.runtime.runs import journal
from subactors.runtime.runs.folder import runs
from subactors.runtime.runs.overview import overviews
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.runs.upkeep import recover
from teams import PATIENCE, plan, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


def test_after_a_kill_of_the_host_in_a_call_a_task_goes_on_and_does_nothing_again(tmp_path: Path) -> None:
    first = [["shell", {"cmd": f"echo once >> '{tmp_path / 'done'}'"}]]
    steps = plan(first, long_call(tmp_path), [["shell", {"cmd": "echo last"}]], "answers")
    task_id = killed_host(tmp_path / "state", "plans", steps, tmp_path / "begun")

    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        view = resumed(runtime, task_id)
        former = runtime.view(task_id)

    assert (view.status, view.continues, view.task) == ("completed", task_id, steps), view.reason
    done, unknown, last = json.loads(view.result)
    assert unknown == EFFECTS_UNKNOWN
    assert "Effects unknown" not in done
    assert "last" in last
    assert (tmp_path / "done").read_text() == "once\n"
    assert (tmp_path / "begun").read_text() == "begun\n"
    assert (former.status, former.reason) == ("failed", "The host died.")


@pytest.mark.usefixtures("own_zygote")
def test_what_a_closed_runtime_stopped_goes_on_only_if_it_is_asked_for(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        task = runtime.run("plans", plan(long_call(tmp_path), {"answer": "done"}))
        wait_until((tmp_path / "begun").exists, "the call has begun", limit=PATIENCE)

    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        runtime._host.housekeeping.join()
        assert runtime.list() == []
        assert runtime.view(task.id).status == "stopped"
        assert resumed(runtime, task.id).result == "done"
        assert [view.continues for view in runtime.list()] == [task.id]


def test_a_task_that_was_to_be_near_another_goes_on_in_a_run_that_does_not_know_that_one(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = runtime.run("shows", "First.", near=runtime.submit(len, "x"))
        first.result(PATIENCE)
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        assert resumed(runtime, first.id, "Second.").status == "completed"


def test_a_task_that_completed_in_an_earlier_run_goes_on_with_a_message(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        with pytest.raises(RunError, match="has completed"):
            runtime.resume(first.id)
        second = resumed(runtime, first.id, "Second.")
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        third = resumed(runtime, second.id, "Third.")

    messages = json.loads(third.result)["messages"]
    assert [message["content"] for message in messages if message["role"] == "user"][1:] == ["Second.", "Third."]


def test_a_task_that_an_earlier_run_had_queued_begins_anew(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0, max_running=1) as runtime:
        runtime.run("plans", plan(long_call(tmp_path), {"answer": "x"}))
        queued = runtime.run("shows", "First.")
        assert queued.status == "queued"
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        messages = json.loads(resumed(runtime, queued.id).result)["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]


def test_the_ends_of_tasks_that_died_with_their_host_are_told(tmp_path: Path) -> None:
    child = plan(long_call(tmp_path), {"answer": "x"})
    start = [["run_background_agent", {"agent": "plans", "task": child}]]
    wait = [["shell", {"cmd": "sleep 600"}]]
    boss = killed_host(tmp_path / "state", "boss", plan(start, wait, {"answer": "done"}), tmp_path / "begun")
    recover(tmp_path / "state")

    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        view = resumed(runtime, boss)
        path = runtime._host.folder.journal
    with JournalReader(path, live=False) as reader:
        told = str([message for message in reader.messages(view.id) if message["role"] == "user"])

    assert view.result == "done"
    assert "(plans): failed after" in told
    assert "The host died." in told


def test_an_answer_that_is_kept_back_is_the_result_when_the_host_dies(tmp_path: Path) -> None:
    state = tmp_path / "state"
    start = [["run_background_agent", {"agent": "plans", "task": plan(long_call(tmp_path), {"answer": "x"})}]]
    with host(state, "boss", plan(start, {"answer": "kept back"}, {"answer": "after all"})) as (program, task_id):
        wait_until((tmp_path / "begun").exists, "the call has begun", limit=PATIENCE)
        wait_until(lambda: last_said(state, task_id).get("content") == "kept back", "it answers", limit=PATIENCE)
        (running,) = [task.view for task in tasks_of(state).tasks if task.view.id == task_id]
        program.kill()
        program.wait()

    seen = past_view(state, task_id)
    recover(state)
    recovered = past_view(state, task_id)
    with Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime:
        resumed_view = resumed(runtime, task_id)

    assert running.result is None
    for view in (seen, recovered):
        assert view is not None
        assert (view.status, view.reason, view.result) == ("failed", "The host died.", "kept back")
    assert resumed_view.result == "after all"


def test_the_results_of_what_it_had_started_can_be_viewed_by_a_task_that_is_continued_again_and_again(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    start = [["run_background_agent", {"agent": "says_much", "task": "x"}]]
    view = [["view_background_agent", {"task_id": "{id 0}"}]]
    steps = plan(start, [["wait_background_agents", {}]], long_call(tmp_path), long_call(tmp_path), view, "answers")
    boss = killed_host(state, "boss", steps, tmp_path / "begun")
    (tmp_path / "begun").unlink()
    with Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime:
        boss = runtime.resume(boss).id
        wait_until((tmp_path / "begun").exists, "it is continued", limit=PATIENCE)

    with Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime:
        *_, seen = json.loads(resumed(runtime, boss).result)
        child = seen.split()[0]
        stranger = run_and_wait(runtime, "boss", plan([["view_background_agent", {"task_id": child}]], "answers"))

    assert "the end of it" in seen
    assert f"There is no task '{child}' here" in stranger.result


def test_a_wait_may_name_what_the_earlier_run_had_started_beside_what_runs_now(tmp_path: Path) -> None:
    state = tmp_path / "state"
    start = [["run_background_agent", {"agent": "says_much", "task": "x"}]]
    wait = [["wait_background_agents", {"task_ids": ["{id 0}", "{id 1}"]}]]
    first = [["wait_background_agents", {"task_ids": ["{id 1}", "{id 0}"], "mode": "any"}]]
    steps = plan(start, [["wait_background_agents", {}]], long_call(tmp_path), start, first, wait, "answers")
    boss = killed_host(state, "boss", steps, tmp_path / "begun")

    with Runtime.from_mapping(TEAM, state_dir=state, standby=0) as runtime:
        *_, any_of_them, both = json.loads(resumed(runtime, boss).result)
        former = re.findall(r"agent_task_\w+", both)[0]
        unknown = [["wait_background_agents", {"task_ids": [former]}]]
        stranger = run_and_wait(runtime, "boss", plan(unknown, "answers"))

    assert "the end of it" in any_of_them
    assert both.count("the end of it") == 2
    assert f"There is no task '{former}' here" in stranger.result


def test_a_folder_of_its_own_goes_along_from_run_to_run(tmp_path: Path) -> None:
    keep = [["shell", {"cmd": "echo mine > file"}]]
    steps = plan(keep, long_call(tmp_path), [["shell", {"cmd": "cat file"}]], "answers")
    task_id = killed_host(tmp_path / "state", "private", steps, tmp_path / "begun")

    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        *_, found = json.loads(resumed(runtime, task_id).result)
    assert "mine" in found


def test_an_agent_that_the_team_does_not_have_any_more_is_named(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
    team = {"agents": {"plans": TEAM["agents"]["plans"]}}
    with (
        Runtime.from_mapping(team, state_dir=tmp_path, standby=0) as runtime,
        pytest.raises(RunError, match="There is no agent 'shows' in the team"),
    ):
        runtime.resume(first.id, "Second.")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE task SET options = '{\"limits\": 7}' WHERE id = ?",
        "UPDATE message SET body = '{' WHERE task = ?",
        "UPDATE message SET body = '[]' WHERE task = ?",
        "UPDATE message SET body = x'00ff' WHERE task = ?",
    ],
)
def test_a_damaged_conversation_is_named_and_starts_nothing(tmp_path: Path, damage: str) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
        runtime._host.journal.write([(damage, (first.id,))])
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        with pytest.raises(StateError, match="cannot be read"):
            runtime.resume(first.id, "Second.")
        assert runtime.list() == []


def test_a_journal_that_cannot_be_read_is_named_where_a_task_may_be_in_it(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
    (run,) = runs(tmp_path)
    (run / "journal.sqlite").write_bytes(b"no database" * 100)
    with (
        Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime,
        pytest.raises(StateError, match=rf"That of {run.name} cannot be read: file is not a database"),
    ):
        runtime.resume(first.id, "Second.")


def test_a_journal_of_an_earlier_version_can_be_gone_on_with(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first = run_and_wait(runtime, "shows", "First.")
        lost = ["ALTER TABLE task DROP COLUMN continues", "ALTER TABLE task DROP COLUMN options", "DROP TABLE letter"]
        lost.append("ALTER TABLE task DROP COLUMN owed")
        runtime._host.journal.write([(statement, ()) for statement in lost])
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        assert len(json.loads(resumed(runtime, first.id, "Second.").result)["messages"]) == 4


# --- at any moment --------------------------------------------------------------------------------------------------

KILLS: Final = int(os.environ.get("SUBACTORS_KILLS", "3"))
CALLS: Final = 12


def finish(state: Path, task: str, kill_after: float | None) -> str:
    """Run a host that finishes the work, or is killed first; return what the task answered."""
    left = [view.id for run in overviews(state) for view in run.open_ends]
    assert len(left) <= 1
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", FINISHER, json.dumps([TEAM, str(state), "".join(left), task])],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        if kill_after is not None:
            program.stdout.readline()
            time.sleep(kill_after)
            program.kill()
        return program.stdout.read().removeprefix("begun\n")


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * KILLS)
def test_whatever_moment_its_host_is_killed_at_a_task_is_finished_and_nothing_is_done_twice(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
    file = tmp_path / "done"
    call = "echo {number} >> '{file}'; sleep 0.{pause}; echo answer {number}"
    calls = [call.format(number=number, file=file, pause=chance.randrange(10, 30)) for number in range(CALLS)]
    task = plan(*([["shell", {"cmd": command}]] for command in calls), "answers")
    answered = ""
    for kill in range(KILLS + 1):
        answered = finish(tmp_path / "state", task, None if kill == KILLS else chance.random() * 0.6)
        if answered:
            break

    answers = json.loads(answered)
    assert len(answers) == CALLS
    done = Counter(int(number) for number in file.read_text().split())
    for number, answer in enumerate(answers):
        assert answer == EFFECTS_UNKNOWN or f"answer {number}" in answer
        assert done[number] == 1 or (answer == EFFECTS_UNKNOWN and not done[number])


def test_a_turn_is_in_the_journal_before_its_calls_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What goes with the next commit would wait for ever, as nothing else is written.
    monkeypatch.setattr(journal, "_IN_TIME", PATIENCE)
    with Runtime.from_mapping(TEAM, state_dir=tmp_path / "state", standby=0) as runtime:
        task = runtime.run("plans", plan(long_call(tmp_path)))
        wait_until((tmp_path / "begun").exists, "the call has begun", limit=PATIENCE)
        assert last_said(tmp_path / "state", task.id)["tool_calls"]
        runtime.stop(task)
