"""Restarts: when a task whose process has ended is started again, and what the next attempt goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from journals import asked_of_journal, journal
from processes_and_waits import is_gone, wait_until
from subactors.runtime import Event, Runtime, TaskEnded, TaskRestarting
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.tasks.messages import StopTasks
from teams import PATIENCE, entrypoint, model, run_and_wait, speaking

# --- tasks ----------------------------------------------------------------------------------------------------------

SOON: Final = {"backoff": 0.01}


def crashing(function: str, policy: str = "transient", **more: Any) -> dict[str, Any]:
    """An agent that is a function of `crashing_entrypoints`, with a restart policy."""
    return {"entrypoint": f"crashing_entrypoints:{function}", "restart": {"policy": policy, **SOON, **more}}


TEAM: Final[dict[str, Any]] = {
    "agents": {
        "transient": crashing("crashes_at_first"),
        "temporary": {"entrypoint": "crashing_entrypoints:crashes_at_first"},
        "once": crashing("crashes_at_first", max_restarts=1, period=77),
        "never": crashing("crashes_at_first", max_restarts=0),
        "permanent": crashing("completes", "permanent", max_restarts=2),
        "transient_completes": crashing("completes"),
        "raises": crashing("raises", max_restarts=2),
        "told": crashing("crashes_when_told"),
        "told_slow": crashing("crashes_when_told", backoff=600, max_backoff=600),
        "told_limited": {**crashing("crashes_when_told", backoff=600, max_backoff=600), "limits": {"wall_clock": 1.5}},
        "missing": crashing("no_such_function"),
        "no_key": {
            "model": "openai/gpt-4o",
            "restart": {"policy": "permanent", **SOON},
        },
        "thinker": {
            **model("thinks_without_end", max_iterations=3, toolsets=[{"type": "think"}]),
            "restart": {"policy": "permanent", **SOON},
        },
        "limited": {**entrypoint("floods", limits={"output": 5000}), "restart": {"policy": "permanent", **SOON}},
        "remembers": {
            "model": "python/crashing_entrypoints:remembers",
            "toolsets": [{"type": "shell"}],
            "restart": {"policy": "transient", **SOON},
        },
        "delegates": {
            "model": "python/crashing_entrypoints:delegates_and_crashes",
            "sub_agents": ["waits"],
            "toolsets": [{"type": "background_agents", "on_finish": "stop"}],
            "restart": {"policy": "transient", **SOON},
        },
        "waits": entrypoint("waits"),
        "echo": entrypoint("echo"),
    }
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(
        TEAM, state_dir=tmp_path_factory.mktemp("restarts"), stop_grace=1.0, max_tasks=1000, standby=0, **place
    ) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def statuses(runtime: Runtime, task_id: str) -> list[tuple[str, int]]:
    """Every status that the journal has of a task, in order, with the attempt."""
    rows = asked_of_journal(runtime, "SELECT status, attempt FROM transition WHERE task = ?", task_id)
    return [(status, attempt) for status, attempt in rows]


def crash(folder: Path, attempt: int) -> None:
    """Have this attempt of an agent that is `crashes_when_told` crash."""
    (folder / str(attempt)).touch()


def status_of(runtime: Runtime, task_id: str) -> str:
    return runtime.view(task_id).status


def test_a_crashed_transient_task_is_started_again_until_it_completes(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "transient", "2")

    assert (view.status, view.reason, view.result) == ("completed", "", "done in attempt 3")
    assert view.attempts == 3
    assert view.output == "attempt 1\nattempt 2\nattempt 3\n"
    assert statuses(runtime, view.id) == [
        ("starting", 1),
        ("running", 1),
        ("restarting", 1),
        ("starting", 2),
        ("running", 2),
        ("restarting", 2),
        ("starting", 3),
        ("running", 3),
        ("completed", 3),
    ]


def test_a_temporary_task_is_never_started_again(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "temporary", "1")
    assert (view.status, view.attempts, view.output) == ("failed", 1, "attempt 1\n")
    assert "exit status 3" in view.reason
    assert "started again" not in view.reason


def test_a_transient_task_is_not_started_again_after_a_normal_end(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "transient_completes")
    assert (view.status, view.attempts, view.result) == ("completed", 1, 1)


def test_a_task_that_raises_is_started_again_too(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "raises")
    assert (view.status, view.attempts) == ("failed", 3)
    assert view.reason.startswith("ValueError: attempt 3\n")


def test_a_permanent_task_begins_anew_after_a_normal_end_until_it_may_no_more(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "permanent")

    assert (view.status, view.attempts, view.result) == ("completed", 3, 3)
    assert view.output == "attempt 1\nattempt 2\nattempt 3\n"
    assert "started again 2 times" in view.reason


def test_a_task_that_crashes_too_often_is_failed_and_the_reason_says_how_often(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "once", "5")

    assert (view.status, view.attempts) == ("failed", 2)
    assert "exit status 3" in view.reason
    assert "started again once within 77 s" in view.reason


def test_a_task_that_may_be_started_again_no_times_is_failed_at_its_first_crash(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "never", "5")

    assert (view.status, view.attempts) == ("failed", 1)
    assert "started again" not in view.reason


def test_between_two_attempts_a_task_is_restarting_with_the_reason(runtime: Runtime, tmp_path: Path) -> None:
    with runtime.events() as events:
        task_id = speaking(runtime, "told_slow", str(tmp_path))
        crash(tmp_path, 1)
        wait_until(lambda: status_of(runtime, task_id) == "restarting", "the first attempt has crashed")
        view = runtime.view(task_id)
        (listed,) = (other for other in runtime.list() if other.id == task_id)
        stopped = runtime.stop(task_id)[0]
        seen: list[Event] = []
        while not seen or not isinstance(seen[-1], TaskEnded):
            event = events.next(PATIENCE)
            assert event is not None
            seen.append(event)

    assert "exit status 3" in view.reason
    assert (view.attempts, view.output) == (1, "attempt 1\n")
    assert not view.ended
    assert (listed.status, listed.reason) == ("restarting", view.reason)
    (restarting,) = (event for event in seen if isinstance(event, TaskRestarting))
    assert restarting.task.id == task_id
    assert restarting.task.reason == view.reason
    assert 0.75 * 600 <= restarting.delay <= 600
    assert stopped.status == "stopped"


def test_a_stop_between_two_attempts_ends_the_task_at_once(runtime: Runtime, tmp_path: Path) -> None:
    task_id = speaking(runtime, "told_slow", str(tmp_path))
    crash(tmp_path, 1)
    wait_until(lambda: status_of(runtime, task_id) == "restarting", "the first attempt has crashed")

    view = runtime.stop(task_id)[0]

    assert (view.status, view.attempts, view.output) == ("stopped", 1, "attempt 1\n")
    assert "waited to be started again" in view.reason
    assert [status for status, _ in statuses(runtime, task_id)][-2:] == ["stopping", "stopped"]


def test_a_stopped_task_is_not_started_again(runtime: Runtime, tmp_path: Path) -> None:
    task_id = speaking(runtime, "told", str(tmp_path))
    view = runtime.stop(task_id)[0]
    assert (view.status, view.attempts) == ("stopped", 1)


def test_a_task_is_not_started_again_that_crashes_while_it_is_being_stopped(runtime: Runtime) -> None:
    ran: list[str] = [runtime.run("transient", "3").id for _ in range(5)]
    views = [runtime.stop(task_id)[0] for task_id in ran]
    assert {view.status for view in views} == {"stopped"}
    wait_until(lambda: all(view.ended for view in runtime.list() if view.id in ran), "all have ended")


@pytest.mark.parametrize(("agent", "words"), [("missing", "no_such_function"), ("no_key", "OPENAI_API_KEY")])
def test_a_wrong_configuration_is_not_tried_again(
    runtime: Runtime, agent: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    view = run_and_wait(runtime, agent)
    assert (view.status, view.attempts) == ("failed", 1)
    assert words in view.reason


@pytest.mark.parametrize(("agent", "words"), [("limited", "The limit output"), ("thinker", "max_iterations")])
def test_a_task_that_has_reached_a_limit_is_not_started_again(runtime: Runtime, agent: str, words: str) -> None:
    view = run_and_wait(runtime, agent, "100")
    assert (view.status, view.attempts) == ("failed", 1)
    assert words in view.reason


def test_the_limit_on_time_ends_a_task_that_waits_for_its_next_attempt(runtime: Runtime, tmp_path: Path) -> None:
    task_id = speaking(runtime, "told_limited", str(tmp_path))
    crash(tmp_path, 1)
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert (view.status, view.attempts) == ("failed", 1)
    assert "The limit wall_clock of 1.5 s was reached" in view.reason


def test_a_crashed_loop_goes_on_from_its_last_finished_turn(runtime: Runtime, tmp_path: Path) -> None:
    view = run_and_wait(runtime, "remembers", json.dumps({"folder": str(tmp_path)}))

    assert (view.status, view.attempts) == ("completed", 2), view.reason
    answer = json.loads(view.result)
    assert answer["roles"][-4:] == ["assistant", "tool", "assistant", "tool"]
    assert answer["said"] == ["Turn 1.", "Turn 2."]
    assert (tmp_path / "calls").read_text() == "turn 1\nturn 2\n"
    asked = [line.split() for line in (tmp_path / "attempts").read_text().splitlines()]
    assert [turn for _, turn in asked] == ["1", "2", "3", "3"]
    assert len({pid for pid, _ in asked}) == 2
    kept = asked_of_journal(runtime, "SELECT body FROM message WHERE task = ? ORDER BY number", view.id)
    assert [json.loads(body)["role"] for (body,) in kept] == [*answer["roles"], "assistant"]


def test_what_a_crashed_attempt_has_started_goes_on_and_the_next_attempt_can_view_it(
    runtime: Runtime, tmp_path: Path
) -> None:
    known = {view.id for view in runtime.list()}
    view = run_and_wait(runtime, "delegates", json.dumps({"folder": str(tmp_path), "agent": "waits"}))

    assert (view.status, view.attempts) == ("completed", 2), view.reason
    (child,) = (other for other in runtime.list() if other.id not in known and other.id != view.id)
    assert child.id in view.result
    assert "running" in view.result or "starting" in view.result
    assert (child.parent, child.attempts) == (view.id, 1)
    (ended,) = runtime.wait([child.id], timeout=PATIENCE)
    assert ended.status == "stopped"
    assert ended.reason.startswith("Stopped, because delegates had ended")


def test_each_attempt_has_a_process_of_its_own_and_the_view_shows_the_latest(runtime: Runtime, tmp_path: Path) -> None:
    task_id = speaking(runtime, "told", str(tmp_path))
    first = runtime.view(task_id).pid
    assert first is not None
    crash(tmp_path, 1)
    wait_until(lambda: "attempt 2" in runtime.view(task_id).output, "the second attempt")
    second = runtime.view(task_id)
    runtime.stop(task_id)

    assert is_gone(first)
    assert second.pid not in {None, first, os.getpid()}
    assert (second.status, second.reason, second.attempts) == ("running", "", 2)


# --- races, each order forced ---------------------------------------------------------------------------------------


class HeldJournal:
    """Keeps a run's journal from being written and read for as long as it is open.

    A lock on the file would be waited for no longer than a moment.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._lock = runtime._host.journal._lock

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_stop_that_comes_when_the_end_is_decided_but_not_written_changes_nothing(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    told = tmp_path / "end"
    team = {"agents": {"waits_for_file": entrypoint("waits_for_file")}}
    with Runtime.from_mapping(team, state_dir=tmp_path / "state", standby=0, **place) as runtime:
        task_id = speaking(runtime, "waits_for_file", str(told))
        with HeldJournal(runtime):
            told.touch()
            wait_until(lambda: _stands_still(runtime, task_id), "the end is decided")
            stopping = runtime._host.ask(StopTasks([task_id]))
            seen = runtime.view(task_id)  # asked after the stop, so answered after it was taken
        (view,) = stopping.result(PATIENCE).tasks
        path = journal(runtime)

    assert not seen.ended
    assert (view.status, view.result) == ("completed", "the file is there")
    with JournalReader(path, live=False) as reader:
        kept = reader.task(task_id)
    assert kept is not None
    assert (kept.status, kept.reason, kept.result) == ("completed", "", "the file is there")


def test_a_limit_that_is_reached_while_the_next_attempt_is_being_prepared_ends_the_task_for_good(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    agent = {**crashing("crashes_when_told"), "limits": {"wall_clock": 4.0}}
    with Runtime.from_mapping({"agents": {"told": agent}}, state_dir=tmp_path / "state", standby=0, **place) as runtime:
        task_id = speaking(runtime, "told", str(tmp_path))
        with HeldJournal(runtime):  # so that the conversation to go on from is asked for, and does not come
            crash(tmp_path, 1)
            wait_until(lambda: status_of(runtime, task_id) == "restarting", "the first attempt has crashed")
            wait_until(lambda: _stands_still(runtime, task_id), "the end is decided")
        (view,) = runtime.wait([task_id], timeout=PATIENCE)
        pid = runtime.view(task_id).pid

    assert (view.status, view.attempts, view.output) == ("failed", 1, "attempt 1\n")
    assert "The limit wall_clock of 4 s was reached" in view.reason
    assert pid is None


def _stands_still(runtime: Runtime, task_id: str) -> bool:
    """Whether the runtime of a task no longer grows, as its end has been decided."""
    return runtime.view(task_id).runtime == runtime.view(task_id).runtime
