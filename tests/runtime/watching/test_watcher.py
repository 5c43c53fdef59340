"""All runs and tasks in one model: hosts that live, end, are killed, hang, and runs of before."""

from __future__ import annotations

import contextlib
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from seen_tasks import seen
from subactors.runtime import CapacityError, RunError, Runtime, TaskView
from subactors.runtime.control.client import ControlClient
from subactors.runtime.runs.folder import RunFiles
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.tasks.messages import ListTasks
from subactors.runtime.tasks.watching import LONGEST_WATCH, RowChange, Sample, TaskChanges, TaskRow, WatchTasks
from subactors.runtime.vitals import ring
from subactors.runtime.watching import details, steering
from subactors.runtime.watching.model import Model
from subactors.runtime.watching.watcher import Watcher
from watched import TEAM, Watched, watched

PATIENCE = 20.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def host(root: Path) -> Iterator[Watched]:
    with watched(root) as host:
        yield host


@pytest.fixture(scope="module")
def watcher(root: Path, host: Watched) -> Iterator[Watcher]:
    del host  # it is there first
    with Watcher(root) as watcher, watcher.looking():
        yield watcher


def unread(run: Path) -> int:
    with JournalReader(RunFiles(run).journal, live=True) as reader:
        return reader.unread()


def stop(host: Watched, watcher: Watcher, task_id: str) -> None:
    with details.foreign(host.root, "", task_id) as task:
        steering.stop(task)
    seen(watcher.model, task_id, "stopped")


def in_journal(host: Watched, task_id: str) -> TaskView:
    with JournalReader(RunFiles(host.host.run).journal, live=True) as reader:
        view = reader.task(task_id)
    assert view is not None
    return view


def test_a_task_is_seen_until_its_end_and_no_look_counts_as_having_read_that(host: Watched, watcher: Watcher) -> None:
    task_id = host.start("hears", "go")
    row = seen(watcher.model, task_id, "running")
    assert (row.run, row.live, row.agent, row.ended_at) == (host.host.run.name, True, "hears", None)
    cursor = watcher.model.cursor

    with details.foreign(host.root, row.run, task_id) as task:
        steering.steer(task, "hello")
        seen(watcher.model, task_id, "completed")
        assert details.details(task)["result"] == "heard: hello"
    (change,) = [each for each in watcher.model.since(cursor).tasks if each["id"] == task_id]
    assert change["status"] == "completed"
    assert "agent" not in change
    wait_until(lambda: unread(host.host.run) > 0, "its end is in the journal")


def test_a_tree_is_seen_with_owners_first_and_falls_as_a_whole(host: Watched, watcher: Watcher) -> None:
    owner = host.start("leads", "all", [["hears", "one"], ["speaks", "two"]])
    seen(watcher.model, owner, words="all have been started")
    wait_until(lambda: len(watcher.model.falls_with(owner)) == 2, "both are seen", PATIENCE)
    below = watcher.model.falls_with(owner)
    assert [task.agent for task in below] == ["hears", "speaks"]
    order = [task.id for task in watcher.model.tasks()]
    assert order.index(owner) < order.index(below[0].id)

    stop(host, watcher, owner)
    reason = seen(watcher.model, owner, "stopped").reason
    assert "a person at `subactors dashboard`" in reason
    assert {seen(watcher.model, task.id, "stopped").status for task in below} == {"stopped"}


def test_the_tool_at_work_is_seen_with_its_beginning_and_so_does_the_journal(host: Watched, watcher: Watcher) -> None:
    task_id = host.start("calls", json.dumps([["shell", {"cmd": "sleep 600"}]]))
    wait_until(lambda: (row := watcher.model.task(task_id)) and row.tools, "the shell is at work", PATIENCE)
    row = seen(watcher.model, task_id)
    (tool,) = row.tools
    assert (tool.name, row.doing, row.doing_began_at) == ("shell", "in shell", tool.began_at)

    wait_until(lambda: in_journal(host, task_id).tools == [tool], "so does the journal")
    stop(host, watcher, task_id)


def test_a_question_is_seen_answered_and_then_gone_here_and_in_the_journal(host: Watched, watcher: Watcher) -> None:
    task_id = host.start("asks", "left or right?", {"choices": ["left", "right"]})
    wait_until(lambda: (row := watcher.model.task(task_id)) and row.questions, "it asks", PATIENCE)
    (question,) = seen(watcher.model, task_id, "waiting").questions
    wait_until(lambda: in_journal(host, task_id).questions == [question], "so does the journal")

    with details.foreign(host.root, "", task_id) as task:
        steering.answer(task, question.id, "left")
        assert seen(watcher.model, task_id, "completed").questions == []
        assert details.view(task).result == "told: left"


def test_what_a_task_says_is_read_on_from_where_a_reader_was(host: Watched, watcher: Watcher, tmp_path: Path) -> None:
    more = tmp_path / "more"
    task_id = host.start("speaks", "first", {"file": str(more)})
    seen(watcher.model, task_id, words="first")
    with details.foreign(host.root, "", task_id) as task:
        piece = details.output(task, 0)
        assert piece.data == b"first\n"
        more.write_text("second\n")
        seen(watcher.model, task_id, words="second")
        assert details.output(task, piece.end).data == b"second\n"
    stop(host, watcher, task_id)


def test_a_host_that_is_killed_is_seen_to_be_gone_and_its_tasks_have_failed(tmp_path: Path) -> None:
    with watched(tmp_path) as host, Watcher(tmp_path) as watcher, watcher.looking() as model:
        done, runs = host.start("fails", "on purpose"), host.start("speaks", "last words")
        seen(model, done, "failed")
        seen(model, runs, words="last words")
        host.host.kill()

        assert seen(model, runs, "failed").reason == "The host died."
        assert seen(model, runs).words == "last words"
        assert seen(model, done).reason == "ValueError: on purpose"
        (run,) = model.runs()
        assert (run.live, run.host_pid, run.is_former) == (False, None, False)


def test_runs_of_before_are_read_when_they_are_wanted_and_a_damaged_one_hides_no_other(tmp_path: Path) -> None:
    said = {3: json.dumps(f"two\nlines {'x' * 270}\U0001f600" * 2), 4: "null", 5: '{"a":1}'}
    answers = [task_row(number, result=result) for number, result in said.items()]
    past_run(tmp_path, task_row(1), task_row(2, status="running", runtime=None, result=None), *answers)
    broken = past_run(tmp_path)
    (broken / "journal.sqlite").write_text("nothing")
    with Watcher(tmp_path) as watcher:
        with watcher.looking() as model:
            assert model.tasks() == []
        with watcher.looking(former=True) as model:
            told = [(task.status, task.words) for task in model.tasks()]
            assert told[:2] == [("completed", "result 1"), ("failed", "")]
            assert [words[:13] for _, words in told[2:]] == ["two lines xxx", "", '{"a":1}']
            assert all(run.is_former for run in model.runs())
            count, (warning,) = watcher.warnings_after(0)
            assert (count, broken.name in warning, watcher.warnings_after(1)) == (1, True, (1, []))


def test_what_could_not_be_read_is_told_once_to_each_however_much_of_it_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.watching.watcher._WARNINGS", 2)
    with Watcher(tmp_path) as watcher:
        for number in range(1, 5):
            broken = past_run(tmp_path)
            (broken / "journal.sqlite").write_text("nothing")
            with watcher.looking(former=True):
                wait_until(lambda: watcher.warnings_after(0)[0] == number, "it is told", PATIENCE)  # noqa: B023
            (warning,) = watcher.warnings_after(number - 1)[1]
            assert broken.name in warning
        assert len(watcher.warnings_after(0)[1]) == 2


def test_as_many_hosts_are_watched_as_may_be_again_and_after_others_have_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.watching.watcher._MOST_HOSTS", 1)
    with Watcher(tmp_path) as watcher, watched(tmp_path) as first:
        task_id = first.start("speaks", "first")
        with watcher.looking() as model:
            seen(model, task_id, "running")
        with watcher.looking() as model, watched(tmp_path) as second:
            another = second.start("speaks", "second")
            wait_until(lambda: "More than 1 hosts live" in str(watcher.warnings_after(0)), "it is said", PATIENCE)
            assert model.task(another) is None
            first.host.kill()
            shutil.rmtree(first.host.run)
            seen(model, another, "running")


def test_a_host_is_asked_nothing_when_nobody_looks(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime, Watcher(tmp_path) as watcher:
        with watcher.looking() as model:
            task_id = str(runtime.run("speaks", "hello"))
            seen(model, task_id, words="hello")
        control = runtime._host._control
        assert control is not None
        wait_until(lambda: not control._connections, "the watcher has hung up")
        runtime.stop(task_id)
        with watcher.looking() as model:
            seen(model, task_id, "stopped")


def test_who_comes_back_when_a_host_has_forgotten_what_it_told_is_told_all_in_the_same_order(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        first, second = (str(runtime.run("speaks", text)) for text in ("first", "second"))
        with ControlClient(runtime._host.folder.control, PATIENCE) as client:
            told = client.ask(WatchTasks("00000000-9", 0.0), PATIENCE)
        assert (told.reset, [change.id for change in told.changed]) == (True, [first, second])


def test_what_a_journal_does_not_have_yet_keeps_its_place_while_its_host_lives() -> None:
    model, rows = Model(), [TaskRow(id=f"agent_task_{number}", agent="a", task="", status="running") for number in "12"]
    model.merge("run_1", TaskChanges(cursor="a-1", reset=True, changed=[_change(row.id) for row in rows]))
    model.take_journal("run_1", rows[1:], live=True)
    assert [task.id for task in model.tasks()] == ["agent_task_1", "agent_task_2"]
    model.take_journal("run_1", rows[1:], live=False)
    assert [task.id for task in model.tasks()] == ["agent_task_2"]


def test_those_who_have_hung_up_take_no_room_from_others_who_watch(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        socket = runtime._host.folder.control

        def can_watch() -> bool:
            with ControlClient(socket, PATIENCE) as client, contextlib.suppress(CapacityError):
                cursor = client.ask(WatchTasks(), PATIENCE).cursor
                for _ in range(10):
                    client.send(WatchTasks(cursor, LONGEST_WATCH))
                client.ask(ListTasks(), PATIENCE)  # they have been taken
                return True
            return False

        assert can_watch()
        for _ in range(10):
            wait_until(can_watch, "there is room", PATIENCE)


def test_what_tasks_used_that_have_ended_takes_few_bytes() -> None:
    model = Model()
    tracemalloc.start()
    try:
        for number in range(50):
            task_id = f"agent_task_{number:08x}"
            samples = {task_id: [Sample(float(at), at / 7, at * 1e6) for at in range(120)]}
            model.merge(
                "run_1", TaskChanges(cursor="a-1", reset=number == 0, changed=[_change(task_id)], samples=samples)
            )
            model.merge("run_1", TaskChanges(cursor="a-2", reset=False, changed=[_change(task_id, status="completed")]))
        del samples
        # What other threads allocate meanwhile is not looked at.
        here = [tracemalloc.Filter(True, file) for file in (__file__, str(ring.__file__))]
        kept = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(here).traces) / 50
    finally:
        tracemalloc.stop()

    assert model.samples(task_id, 2) == [Sample(118.0, 118 / 7, 118e6), Sample(119.0, 17.0, 119e6)]
    assert 1000 < kept < 6000


def test_no_task_watches_the_tasks_of_others(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        way = runtime._host.gateway(None)
        with pytest.raises(RunError, match="Only the host"):
            way.ask(WatchTasks()).result(PATIENCE)


def test_a_row_of_a_host_that_gives_a_way_to_files_elsewhere_as_its_id_is_left_out() -> None:
    model = Model()
    model.merge("run_1", TaskChanges(cursor="a-1", reset=True, changed=[_change("../../etc"), _change("agent_task_1")]))

    assert [task.id for task in model.tasks()] == ["agent_task_1"]


def test_a_task_stays_that_of_the_run_that_had_it_first() -> None:
    model = Model()
    for run in ("run_1", "run_2"):
        model.merge(run, TaskChanges(cursor="a-1", reset=True, changed=[_change("agent_task_1", agent=run)]))

    assert [(task.run, task.agent) for task in model.tasks()] == [("run_1", "run_1")]


def test_of_tasks_that_have_ended_the_oldest_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.watching.model._ENDED", 3)
    model = Model()
    for number in range(10):
        change = _change(f"agent_task_{number}", status="completed")
        model.merge("run_1", TaskChanges(cursor=f"a-{number}", reset=False, changed=[change]))

    assert [task.id for task in model.tasks()] == ["agent_task_7", "agent_task_8", "agent_task_9"]


def _change(task_id: str, agent: str = "worker", status: str = "running") -> RowChange:
    return msgspec.convert(
        msgspec.to_builtins(TaskRow(id=task_id, agent=agent, task="work", status=status)),  # type: ignore[arg-type]
        RowChange,
    )
