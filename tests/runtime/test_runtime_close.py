"""The end of a `Runtime`: what is at work, who waits, and who comes too late."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import submitted_functions as functions
from first_forms import first_always
from processes_and_waits import is_gone, wait_until
from subactors.runtime import Runtime, RuntimeClosedError, TaskEnded, TaskFailed, TaskStopped
from teams import entrypoint_team, run_and_wait, shared_runtime, speaking
from waiting_threads import in_threads, waiters


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


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
    monkeypatch.setattr("subactors.runtime.host._CLOSE_MARGIN", 1.0)
    monkeypatch.setattr("subactors.runtime.runs.upkeep.recover", lambda _root: is_over.wait())
    runtime = Runtime.from_mapping(entrypoint_team())
    runtime.close()
    assert runtime._host.housekeeping.is_alive()
    is_over.set()
    runtime._host.housekeeping.join()


@first_always(
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
    keep=3,
    ids=["run", "list", "view", "wait", "stop", "events", "toolset"],
)
def test_a_closed_runtime_refuses_everything(use: Callable[[Runtime], Any]) -> None:
    runtime = Runtime.from_mapping(entrypoint_team())
    runtime.close()

    with pytest.raises(RuntimeClosedError, match="The runtime is closed"):
        use(runtime)


def test_a_closed_runtime_answers_for_the_tasks_that_it_remembers() -> None:
    with Runtime.from_mapping(entrypoint_team(), stop_grace=0.3) as runtime:
        completed, failed = runtime.submit(abs, -5), runtime.submit(int, "five")
        wait_until(lambda: completed.done() and failed.done(), "both have ended, and nobody has read it")
        stopped = runtime.submit(time.sleep, 60)

    assert completed.result() == completed.view().result == runtime.view(completed).result == 5
    with pytest.raises(TaskFailed, match="ValueError: invalid literal"):
        failed.result()
    with pytest.raises(TaskStopped, match="Stopped by the end of the runtime"):
        stopped.result()
    assert stopped.output() == ""
    assert [view.status for view in runtime.wait([completed, failed, stopped])] == ["completed", "failed", "stopped"]
    assert [view.status for view in runtime.stop(stopped, completed)] == ["stopped", "completed"]
    assert set(runtime.as_completed([completed, stopped])) == {completed, stopped}


def test_a_closed_runtime_knows_the_output_and_the_large_results_of_its_tasks() -> None:
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        task = runtime.submit(functions.says, "x" * 3_000_000)
        wait_until(task.done, "it has ended")

    assert len(task.result()) == 3_000_000
    assert "x" * 100_000 in task.output()


def test_who_waits_for_a_task_while_the_runtime_closes_is_told_how_it_has_ended() -> None:
    runtime = Runtime.from_mapping(entrypoint_team(), stop_grace=0.3)
    task = runtime._handle(speaking(runtime, "deaf"), "deaf")

    def ask() -> Any:
        while not runtime._host.is_closed:
            task.done()
        return task.result()

    stopped, closed = in_threads(ask, runtime.close)

    assert isinstance(stopped, TaskStopped)
    assert closed is None


def test_whoever_waits_or_asks_while_the_runtime_is_closed_gets_an_answer() -> None:
    runtime = Runtime.from_mapping(entrypoint_team(), stop_grace=0.2)
    task_id = speaking(runtime, "deaf")

    def ask_until_refused() -> Any:
        while True:
            runtime.list()

    def close() -> None:
        wait_until(lambda: waiters(runtime), "somebody waits")
        runtime.close()

    waited, stopped, refused, closed = in_threads(
        lambda: runtime.wait([task_id]),
        lambda: runtime.stop(task_id)[0],
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
