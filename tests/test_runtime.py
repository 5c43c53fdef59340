"""`Runtime`, as a program uses it."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from observing import is_gone, wait_until
from subactors.runtime import (
    CapacityError,
    EmptyTaskError,
    Runtime,
    RuntimeClosedError,
    StateError,
    SubactorsError,
    TaskEnded,
    TaskView,
    TeamFileError,
    UnknownAgentError,
    UnknownTaskError,
)
from teams import entrypoint, entrypoint_team, model, run_and_wait, shared_runtime, speaking, task_ids


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


def in_threads(*actions: Callable[[], Any]) -> list[Any]:
    """Do things at the same time, and return what came of each: its value, or its exception."""
    outcomes: list[Any] = [None] * len(actions)

    def act(number: int, action: Callable[[], Any]) -> None:
        try:
            outcomes[number] = action()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcomes[number] = error

    threads = [threading.Thread(target=act, args=(number, action)) for number, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_returns_while_the_tasks_process_is_still_starting() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        task_id = runtime.run("echo", "hello")  # the zygote needs a while until it can fork

        view = runtime.view(task_id)
        assert (view.status, view.pid, view.output, view.result) == ("starting", None, "", None)
        (ended,) = runtime.wait([task_id])
        assert ended.status == "completed"


def test_a_task_id_says_what_it_is_and_is_new_each_time(runtime: Runtime) -> None:
    ids = {runtime.run("echo", "hello") for _ in range(3)}

    assert len(ids) == 3
    assert all(task_id.startswith("agent_task_") for task_id in ids)
    runtime.wait(list(ids))


def test_an_unknown_agent_is_refused_with_the_agents_there_are() -> None:
    with (
        Runtime.from_mapping({"agents": {"cook": entrypoint("echo"), "waiter": entrypoint("waits")}}) as runtime,
        pytest.raises(UnknownAgentError, match=r"no agent 'chef' in the team\. Available: cook, waiter\."),
    ):
        runtime.run("chef", "Cook.")


@pytest.mark.parametrize("task", ["", " \n\t"])
def test_an_empty_task_is_refused(runtime: Runtime, task: str) -> None:
    with pytest.raises(EmptyTaskError, match="Say what the agent is to do"):
        runtime.run("echo", task)


def test_a_task_beyond_the_limit_of_running_ones_is_refused_until_one_has_ended() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_running=2) as runtime:
        first, second = runtime.run("waits", "1"), runtime.run("waits", "2")

        with pytest.raises(CapacityError, match="2 tasks are running, and 2 is the limit"):
            runtime.run("echo", "3")

        assert task_ids(runtime.list()) == [first, second]
        runtime.stop(first)
        assert run_and_wait(runtime, "echo", "3").result == "3"


def test_half_characters_in_a_task_become_whole_ones_or_are_replaced(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "echo", "\ud83d\ude00 and \ud800", expected_output="\ud800")

    assert (view.task, view.result) == ("😀 and �", "😀 and �")


@pytest.mark.parametrize(
    "misuse",
    [
        lambda runtime: runtime.run("echo", None),
        lambda runtime: runtime.run(["echo"], "x"),
        lambda runtime: runtime.run("echo", "x", expected_output=5),
        lambda runtime: runtime.view([]),
        lambda runtime: runtime.stop(None),
        lambda runtime: runtime.wait([5]),
        lambda runtime: runtime.wait([runtime.run("echo", "x")], timeout="5"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_and_hurt_nobody(
    runtime: Runtime, misuse: Callable[[Any], Any]
) -> None:
    with pytest.raises(TypeError, match="Expected `"):
        misuse(runtime)

    assert run_and_wait(runtime, "echo").status == "completed"


def test_a_host_without_descriptors_is_told_and_goes_on_when_it_has_some(tmp_path: Path) -> None:
    # One that stands by needs no new descriptor.
    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = [os.dup(0)]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (used[0] + 1, hard))
            with contextlib.suppress(OSError):
                while True:
                    used.append(os.dup(0))

            with pytest.raises(SubactorsError, match="Too many open files"):
                runtime.run("echo", "x")
            assert len(runtime.list()) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in used:
                os.close(descriptor)

        assert run_and_wait(runtime, "echo").status == "completed"

    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path) as later:
        assert [view.status for view in later.history()] == ["completed", "completed"]


# --- view, list -----------------------------------------------------------------------------------------------------


def test_a_task_can_be_viewed_in_every_state() -> None:
    with Runtime.from_mapping(entrypoint_team(), stop_grace=0.3) as runtime:
        task_id = runtime.run("deaf", "Sit.")
        starting = runtime.view(task_id)
        wait_until(lambda: runtime.view(task_id).output, "it has spoken")
        running = runtime.view(task_id)
        stop = threading.Thread(target=runtime.stop, args=(task_id,))
        stop.start()
        wait_until(lambda: runtime.view(task_id).status != "running", "it is being stopped")
        stopping = runtime.view(task_id)
        stop.join()
        stopped = runtime.view(task_id)

        views = [starting, running, stopping, stopped]
        assert [view.status for view in views] == ["starting", "running", "stopping", "stopped"]
        assert [view.ended for view in views] == [False, False, False, True]
        assert [view.output for view in views] == ["", *["so far "] * 3]
        assert [bool(view.reason) for view in views] == [False, False, False, True]
        assert [bool(view.pid) for view in views] == [False, True, True, False]
        assert {(view.id, view.agent, view.task, view.parent) for view in views} == {(task_id, "deaf", "Sit.", None)}
        runtimes = [view.runtime for view in views]
        assert runtimes == sorted(runtimes)
        assert runtime.view(task_id).runtime == stopped.runtime  # it no longer grows


def test_list_has_the_oldest_first_with_the_end_of_their_output() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        first = speaking(runtime, "waits")
        second = runtime.run("says", "x" * 5000 + " the end")
        third = runtime.run("echo", "hello")
        runtime.wait([second, third])

        views = runtime.list()

        assert task_ids(views) == [first, second, third]
        assert views[0].output == "so far "
        assert views[1].output.endswith(" the end")
        assert len(views[1].output) < 1000
        assert views[1].output_size == 5008


@pytest.mark.parametrize(
    "ask",
    [
        lambda runtime, task_id: runtime.view(task_id),
        lambda runtime, task_id: runtime.stop(task_id),
        lambda runtime, task_id: runtime.wait([task_id]),
    ],
    ids=["view", "stop", "wait"],
)
def test_an_unknown_id_is_refused_with_the_ids_there_are(ask: Callable[[Runtime, str], Any]) -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        with pytest.raises(UnknownTaskError, match=r"no task 'agent_task_0' here\. No task has been started yet\."):
            ask(runtime, "agent_task_0")

        ids = [runtime.run("echo", "x"), runtime.run("echo", "y")]
        with pytest.raises(UnknownTaskError, match=rf"Known tasks: {ids[0]}, {ids[1]}\."):
            ask(runtime, "agent_task_0")


# --- wait -----------------------------------------------------------------------------------------------------------


def test_wait_for_all_returns_them_in_the_order_given(runtime: Runtime) -> None:
    first, second = runtime.run("echo", "1"), runtime.run("echo", "2")

    assert [view.result for view in runtime.wait([second, first])] == ["2", "1"]


def test_wait_for_any_returns_those_that_have_ended(runtime: Runtime) -> None:
    waiting, echo = runtime.run("waits", "x"), runtime.run("echo", "x")

    assert task_ids(runtime.wait([waiting, echo], mode="any")) == [echo]

    runtime.stop(waiting)


def test_wait_without_ids_is_for_all_there_are_now(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        assert runtime.wait() == []
        ids = [speaking(runtime, "waits_for_file", str(gate)), runtime.run("echo", "x")]
        waiting: list[TaskView] = []
        thread = threading.Thread(target=lambda: waiting.extend(runtime.wait()))
        thread.start()
        wait_until(lambda: _waiters(runtime), "it waits")
        later = speaking(runtime, "waits")

        gate.touch()
        thread.join()

        assert task_ids(waiting) == ids
        assert not runtime.view(later).ended


def _waiters(runtime: Runtime) -> int:
    supervisor = runtime._supervisor._actor_weakref()
    return len(supervisor._registry.waiters) if supervisor is not None else 0


@pytest.mark.parametrize("timeout", [0, 0.01, -1.0])
def test_wait_returns_what_has_ended_when_the_time_is_over(runtime: Runtime, timeout: float) -> None:
    ended = run_and_wait(runtime, "echo").id
    waiting = runtime.run("waits", "x")

    assert task_ids(runtime.wait([waiting, ended], timeout=timeout)) == [ended]
    assert runtime.wait([waiting], mode="any", timeout=timeout) == []

    runtime.stop(waiting)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e10])
def test_wait_takes_any_timeout(runtime: Runtime, timeout: float) -> None:
    assert task_ids(runtime.wait([task_id := runtime.run("echo", "x")], timeout=timeout)) == [task_id]


def test_a_wait_that_is_over_is_forgotten(runtime: Runtime) -> None:
    waiting, echo = runtime.run("waits", "x"), runtime.run("echo", "x")

    runtime.wait([waiting], timeout=0)
    runtime.wait([echo], timeout=3600)

    assert _waiters(runtime) == 0
    soon = time.monotonic() + 60  # when others are due that end processes
    assert [timer.due for due, _, timer in runtime._system._io._timers if due > soon and not timer.cancelled] == []
    runtime.stop(waiting)


def test_wait_for_nothing_returns_at_once(runtime: Runtime) -> None:
    assert runtime.wait([]) == []


def test_wait_for_one_task_twice_returns_it_once(runtime: Runtime) -> None:
    task_id = runtime.run("echo", "x")

    assert task_ids(runtime.wait([task_id, task_id])) == [task_id]
    assert task_ids(runtime.wait([task_id, task_id], mode="any")) == [task_id]


def test_wait_refuses_one_id_that_is_no_list(runtime: Runtime) -> None:
    with pytest.raises(TypeError, match=r"wait\(\[task_id\]\)"):
        runtime.wait("agent_task_1")


def test_wait_refuses_another_mode(runtime: Runtime) -> None:
    with pytest.raises(ValueError, match="'all' or 'any'"):
        runtime.wait([], mode="some")  # type: ignore[arg-type]  # on purpose


def test_wait_returns_when_a_task_is_stopped(runtime: Runtime) -> None:
    task_id = speaking(runtime, "waits")

    waited, stopped = in_threads(lambda: runtime.wait([task_id]), lambda: runtime.stop(task_id))

    assert waited[0].status == stopped.status == "stopped"


# --- stop -----------------------------------------------------------------------------------------------------------


def test_stop_returns_the_tasks_view_when_its_process_is_gone(runtime: Runtime) -> None:
    task_id = speaking(runtime, "deaf")
    pid = runtime.view(task_id).pid
    assert pid is not None

    view = runtime.stop(task_id)

    assert (view.id, view.status, view.output) == (task_id, "stopped", "so far ")
    assert is_gone(pid)


@pytest.mark.parametrize(("agent", "status"), [("echo", "completed"), ("raises", "failed"), ("waits", "stopped")])
def test_stop_of_a_task_that_has_ended_returns_it_as_it_is(runtime: Runtime, agent: str, status: str) -> None:
    task_id = runtime.run(agent, "x")
    ended = runtime.stop(task_id) if agent == "waits" else runtime.wait([task_id])[0]

    assert runtime.stop(task_id) == ended
    assert ended.status == status


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_of_the_program_win_over_those_of_the_team() -> None:
    team = {**entrypoint_team(), "runtime": {"max_running": 1, "max_tasks": 7}}

    with Runtime.from_mapping(team, max_running=2) as runtime:
        settings = runtime.team.settings
        ids = [runtime.run("waits", "x") for _ in range(2)]
        with pytest.raises(CapacityError, match="2 is the limit"):
            runtime.run("waits", "x")
        assert len(ids) == 2

    assert (settings.max_running, settings.max_tasks, settings.stop_grace) == (2, 7, 2.0)


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match="no setting 'max_runing'; settings are max_running, max_tasks"):
        Runtime.from_mapping(entrypoint_team(), max_runing=2)


@pytest.mark.parametrize("setting", [{"max_running": "2"}, {"max_running": 2.5}, {"stop_grace": None}])
def test_a_setting_of_the_wrong_type_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"Expected .*{next(iter(setting))}"):
        Runtime.from_mapping(entrypoint_team(), **setting)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_running": 0},
        {"max_tasks": -1},
        {"max_output": 0},
        {"stop_grace": -0.1},
        {"stop_grace": math.inf},
        {"stop_grace": math.nan},
        {"model_idle_timeout": 0},
    ],
)
def test_a_setting_out_of_its_range_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"The setting {next(iter(setting))} is"):
        Runtime.from_mapping(entrypoint_team(), **setting)


@pytest.mark.parametrize("grace", [0, 1e15])
def test_any_grace_period_that_a_team_may_have_works(grace: float) -> None:
    with Runtime.from_mapping(entrypoint_team(), stop_grace=grace) as runtime:
        assert runtime.stop(speaking(runtime, "waits")).status == "stopped"
        speaking(runtime, "waits")


def test_a_team_file_with_a_mistake_is_refused_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text("agents:\n  cook:\n    entrypoint: entrypoints:echo\n    instrucion: Cook.\n")

    with pytest.raises(TeamFileError) as caught:
        Runtime.from_file(path)

    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (4, "agents.cook.instrucion")


def test_a_mapping_with_a_mistake_is_refused() -> None:
    with pytest.raises(TeamFileError, match="sub_agents"):
        Runtime.from_mapping({"agents": {"cook": entrypoint("echo", sub_agents=["nobody"])}})


def test_a_team_file_runs(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text("agents:\n  cook:\n    entrypoint: entrypoints:echo\nruntime:\n  max_running: 3\n")

    with Runtime.from_file(path) as runtime:
        assert run_and_wait(runtime, "cook", "soup").result == "soup"
        assert runtime.team.settings.max_running == 3


def test_what_is_expected_reaches_the_agent(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "report", expected_output="three lines").result["expected_output"] == "three lines"
    assert run_and_wait(runtime, "report").result["expected_output"] is None


# --- memory ---------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_the_oldest_task_whose_result_was_read_is_forgotten() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_tasks=3) as runtime:
        running = runtime.run("waits", "x")
        unread = runtime.run("echo", "unread")
        read = run_and_wait(runtime, "echo", "read").id
        wait_until(lambda: all(view.ended for view in runtime.list() if view.id != running), "they have ended")

        new = runtime.run("echo", "new")

        assert task_ids(runtime.list()) == [running, unread, new]
        with pytest.raises(UnknownTaskError, match=read):
            runtime.view(read)


def test_a_result_that_nobody_has_read_is_never_dropped() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_tasks=2) as runtime:
        ids = [runtime.run("echo", "1"), runtime.run("echo", "2")]
        # A list shows that they have ended, but not their whole results.
        wait_until(lambda: all(view.ended for view in runtime.list()), "they have ended")

        with pytest.raises(CapacityError, match=r"2 tasks are remembered.*2 have ended whose results nobody has read"):
            runtime.run("echo", "3")
        assert task_ids(runtime.list()) == ids

        assert runtime.view(ids[1]).result == "2"
        third = runtime.run("echo", "3")
        assert task_ids(runtime.list()) == [ids[0], third]


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_run_keeps_its_files_in_a_folder_of_its_own_in_the_state_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    for _ in range(2):
        with Runtime.from_mapping(entrypoint_team(), state_dir=folder) as runtime:
            run_and_wait(runtime, "prints")

    runs = list(folder.iterdir())
    assert len(runs) == 2
    for path in [folder, *runs, *(inner for run in runs for inner in run.iterdir() if inner.is_dir())]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_without_a_state_folder_it_is_the_one_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBACTORS_STATE_DIR", str(tmp_path / "state"))
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        run_and_wait(runtime, "prints")

    assert len(list((tmp_path / "state").iterdir())) == 1


def test_a_state_folder_that_cannot_be_used_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="file"):
        Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path / "file")


def test_a_relative_state_folder_stays_where_it_was_when_the_host_changes_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Runtime.from_mapping(entrypoint_team(), state_dir="state") as runtime:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

        assert "Fatal Python error" in run_and_wait(runtime, "segfaults").reason

    assert list((tmp_path / "state").iterdir())


# --- threads --------------------------------------------------------------------------------------------------------


def test_every_method_may_be_called_from_many_threads_at_once(runtime: Runtime) -> None:
    def work(number: int) -> str:
        done = runtime.run("echo", str(number))
        waiting = runtime.run("waits", "x")
        assert {done, waiting} <= set(task_ids(runtime.list()))
        with runtime.events() as events:
            (view,) = runtime.wait([done])
            assert runtime.view(done).result == view.result
            assert runtime.stop(waiting).status == "stopped"
            assert events.next(timeout=20) is not None
        with pytest.raises(UnknownTaskError):
            runtime.view("nobody")
        return str(view.result)

    assert in_threads(*[lambda number=number: work(number) for number in range(8)]) == [str(n) for n in range(8)]


# --- close ----------------------------------------------------------------------------------------------------------


def test_close_ends_all_tasks_and_their_events_tell_why() -> None:
    runtime = Runtime.from_mapping(entrypoint_team(), stop_grace=0.3)
    events = runtime.events()
    ids = [speaking(runtime, agent) for agent in ("waits", "deaf", "waits_async")]
    pids = [view.pid for view in runtime.list()]

    runtime.close()

    assert all(pid is not None and is_gone(pid) for pid in pids)
    ends = {event.task.id: event.task for event in events if isinstance(event, TaskEnded)}
    assert set(ends) == set(ids)
    assert all(end.status == "stopped" for end in ends.values())
    assert all(end.reason.startswith("Stopped by the end of the runtime") for end in ends.values())


def test_close_may_be_repeated_and_called_from_several_threads() -> None:
    runtime = Runtime.from_mapping(entrypoint_team())
    speaking(runtime, "waits")

    assert in_threads(*[runtime.close] * 4) == [None] * 4
    runtime.close()


def test_close_while_the_zygote_is_still_starting() -> None:
    runtime = Runtime.from_mapping(entrypoint_team())
    runtime.run("echo", "x")

    runtime.close()


def test_close_of_a_runtime_that_was_never_used() -> None:
    Runtime.from_mapping(entrypoint_team()).close()


def test_close_does_not_wait_for_ever_for_a_look_at_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr("subactors.runtime._runtime._CLOSE_MARGIN", 1.0)
    monkeypatch.setattr("subactors.runtime._past_runs.recover", lambda _root: is_over.wait())
    runtime = Runtime.from_mapping(entrypoint_team())
    runtime.close()
    assert runtime._housekeeping.is_alive()
    is_over.set()
    runtime._housekeeping.join()


@pytest.mark.parametrize(
    "use",
    [
        lambda runtime: runtime.run("echo", "x"),
        lambda runtime: runtime.list(),
        lambda runtime: runtime.view("x"),
        lambda runtime: runtime.wait(),
        lambda runtime: runtime.stop("x"),
        lambda runtime: runtime.events(),
        lambda runtime: runtime.toolset("echo"),
    ],
    ids=["run", "list", "view", "wait", "stop", "events", "toolset"],
)
def test_a_closed_runtime_refuses_everything(use: Callable[[Runtime], Any]) -> None:
    runtime = Runtime.from_mapping(entrypoint_team())
    runtime.close()

    with pytest.raises(RuntimeClosedError, match="The runtime is closed"):
        use(runtime)


def test_whoever_waits_or_asks_while_the_runtime_is_closed_gets_an_answer() -> None:
    runtime = Runtime.from_mapping(entrypoint_team(), stop_grace=0.2)
    task_id = speaking(runtime, "deaf")

    def ask_until_refused() -> Any:
        while True:
            runtime.list()

    def close() -> None:
        wait_until(lambda: _waiters(runtime), "somebody waits")
        runtime.close()

    waited, stopped, refused, closed = in_threads(
        lambda: runtime.wait([task_id]),
        lambda: runtime.stop(task_id),
        ask_until_refused,
        close,
    )

    assert waited[0].status == stopped.status == "stopped"
    assert isinstance(refused, RuntimeClosedError)
    assert closed is None


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # what this test is about
def test_a_process_forked_from_the_host_is_told_to_make_a_runtime_of_its_own(runtime: Runtime) -> None:
    def use_in_child(results: Any) -> None:
        refused = []
        for use in (runtime.list, lambda: runtime.run("echo", "x"), runtime.events, lambda: runtime.toolset("echo")):
            try:
                use()
            except RuntimeClosedError as error:
                refused.append(str(error))
        runtime.close()  # has no part in it
        results.send(refused)

    ours, theirs = multiprocessing.Pipe()
    # Safe enough here: no other thread of this process holds a lock that the child needs.
    child = multiprocessing.get_context("fork").Process(target=use_in_child, args=(theirs,))
    child.start()
    theirs.close()
    with ours:
        refused = ours.recv()
    child.join()
    child.close()

    assert len(refused) == 4
    assert all("Make a new one here." in text for text in refused)
    assert run_and_wait(runtime, "echo").status == "completed"


def test_a_second_runtime_does_not_see_the_tasks_of_the_first(runtime: Runtime) -> None:
    task_id = run_and_wait(runtime, "echo").id

    with Runtime.from_mapping(entrypoint_team()) as other:
        assert other.list() == []
        with pytest.raises(SubactorsError):
            other.view(task_id)


def test_a_python_model_and_an_entrypoint_run_side_by_side() -> None:
    team = {"agents": {"shower": model("shows_its_conversation"), "cook": entrypoint("echo")}}
    with Runtime.from_mapping(team) as runtime:
        ids = [runtime.run("shower", "Show."), runtime.run("cook", "Cook.")]
        shown, cooked = runtime.wait(ids)

    assert json.loads(shown.result)["tools"] == []
    assert cooked.result == "Cook."
