"""`Runtime`, as a program uses it: run, view, list and stop, from any thread."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import is_gone, wait_until
from subactors.runtime import (
    CapacityError,
    EmptyTaskError,
    Runtime,
    SubactorsError,
    UnknownAgentError,
    UnknownTaskError,
)
from teams import entrypoint, entrypoint_team, model, run_and_wait, shared_runtime, speaking, task_ids
from waiting_threads import in_threads


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_returns_while_the_tasks_process_is_still_starting() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        task_id = runtime.run("echo", "hello")  # the zygote needs a while until it can fork

        view = runtime.view(task_id)
        assert (view.status, view.pid, view.output, view.result) == ("starting", None, "", None)
        (ended,) = runtime.wait([task_id])
        assert ended.status == "completed"


def test_a_task_id_says_what_it_is_and_is_new_each_time(runtime: Runtime) -> None:
    ids = {runtime.run("echo", "hello").id for _ in range(3)}

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


def test_without_a_queue_a_task_beyond_the_limit_of_running_ones_is_refused_until_one_has_ended() -> None:
    with Runtime.from_mapping(entrypoint_team(), max_running=2, max_queued=0) as runtime:
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
    with pytest.raises(TypeError, match=r"it must be|A task.s handle or id is wanted|Several tasks are wanted"):
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

            (view,) = runtime.wait([runtime.run("echo", "x")], timeout=30.0)
            assert view.status == "failed"
            assert re.fullmatch(r"It could not be started: .*Too many open files.*", view.reason)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in used:
                os.close(descriptor)

        assert run_and_wait(runtime, "echo").status == "completed"

    with Runtime.from_mapping(entrypoint_team(), state_dir=tmp_path) as later:
        assert [view.status for view in later.history()] == ["completed", "failed", "completed"]


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
        lambda runtime, task_id: runtime.stop(task_id)[0],
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


# --- stop -----------------------------------------------------------------------------------------------------------


def test_stop_returns_the_tasks_view_when_its_process_is_gone(runtime: Runtime) -> None:
    task_id = speaking(runtime, "deaf")
    pid = runtime.view(task_id).pid
    assert pid is not None

    view = runtime.stop(task_id)[0]

    assert (view.id, view.status, view.output) == (task_id, "stopped", "so far ")
    assert is_gone(pid)


@pytest.mark.parametrize(("agent", "status"), [("echo", "completed"), ("raises", "failed"), ("waits", "stopped")])
def test_stop_of_a_task_that_has_ended_returns_it_as_it_is(runtime: Runtime, agent: str, status: str) -> None:
    task_id = runtime.run(agent, "x")
    ended = runtime.stop(task_id)[0] if agent == "waits" else runtime.wait([task_id])[0]

    assert runtime.stop(task_id)[0] == ended
    assert ended.status == status


def test_what_is_expected_reaches_the_agent(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "report", expected_output="three lines").result["expected_output"] == "three lines"
    assert run_and_wait(runtime, "report").result["expected_output"] is None


# --- threads --------------------------------------------------------------------------------------------------------


def test_every_method_may_be_called_from_many_threads_at_once(runtime: Runtime) -> None:
    def work(number: int) -> str:
        done = runtime.run("echo", str(number))
        waiting = runtime.run("waits", "x")
        assert {done, waiting} <= set(task_ids(runtime.list()))
        with runtime.events() as events:
            (view,) = runtime.wait([done])
            assert runtime.view(done).result == view.result
            assert runtime.stop(waiting)[0].status == "stopped"
            assert events.next(timeout=20) is not None
        with pytest.raises(UnknownTaskError):
            runtime.view("nobody")
        return str(view.result)

    assert in_threads(*[lambda number=number: work(number) for number in range(8)]) == [str(n) for n in range(8)]


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
