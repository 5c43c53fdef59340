"""Functions that are stopped: an exception reaches them in time, those that end by themselves are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import interrupted_entrypoints
import pytest
from interrupted_entrypoints import BUSY
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from teams import PATIENCE, entrypoint, run_and_wait, speaking

GRACE = 1.0
AGENTS = [
    name
    for name, value in vars(interrupted_entrypoints).items()
    if getattr(value, "__module__", "") == "interrupted_entrypoints"
]


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    agents = {name: {"entrypoint": f"interrupted_entrypoints:{name}"} for name in AGENTS if not name.startswith("_")}
    agents |= {"echo": entrypoint("echo"), "slow_import": {"entrypoint": "slow_import:function"}}
    agents["limited"] = {"entrypoint": "interrupted_entrypoints:tidies_up", "limits": {"wall_clock": 1}}
    with Runtime.from_mapping({"agents": agents}, stop_grace=GRACE, standby=0, **place) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


def stopped(runtime: Runtime, agent: str, task: str = "go") -> TaskView:
    """Return a task that has been stopped after it had said something."""
    return runtime.stop(speaking(runtime, agent, task))[0]


INTERRUPTED = "it went on, was interrupted (KeyboardInterrupt), and ended after "


@pytest.mark.parametrize("what", BUSY)
def test_a_function_that_takes_no_notice_of_its_stop_is_interrupted_and_tidies_up(runtime: Runtime, what: str) -> None:
    view = stopped(runtime, "tidies_up", what)

    assert (view.status, view.output, view.result) == ("stopped", "so far tidied up\n", None)
    assert INTERRUPTED in view.reason


def test_a_stop_while_the_module_is_imported_interrupts_that(runtime: Runtime) -> None:
    view = stopped(runtime, "slow_import")

    assert (view.status, view.output) == ("stopped", "importing\nimport broken off\n")
    assert INTERRUPTED in view.reason


def test_a_coroutine_that_keeps_its_loop_from_going_on_is_interrupted(runtime: Runtime) -> None:
    view = stopped(runtime, "blocks_its_loop")

    assert (view.status, view.output) == ("stopped", "so far tidied up")
    assert INTERRUPTED in view.reason


def test_a_coroutine_that_tidies_up_is_left_alone(runtime: Runtime) -> None:
    view = stopped(runtime, "tidies_up_at_length", str(0.7 * GRACE))

    assert (view.status, view.output) == ("stopped", "so far tidied up")
    assert "; it ended " in view.reason


def test_a_function_that_has_seen_the_stop_is_left_alone_until_it_answers(runtime: Runtime) -> None:
    view = stopped(runtime, "ends_by_itself", str(0.7 * GRACE))

    assert (view.status, view.result) == ("stopped", "half of it")
    assert "; it ended " in view.reason


def test_a_function_that_has_seen_the_stop_and_goes_on_is_interrupted_before_it_would_be_killed(
    runtime: Runtime,
) -> None:
    view = stopped(runtime, "sees_the_stop_and_goes_on")

    assert (view.status, view.output) == ("stopped", "so far tidied up")
    assert INTERRUPTED in view.reason


def test_an_answer_to_the_interrupt_is_kept(runtime: Runtime) -> None:
    view = stopped(runtime, "answers_when_interrupted")

    assert (view.status, view.result) == ("stopped", "half of it")


def test_what_is_raised_instead_of_the_interrupt_is_told(runtime: Runtime) -> None:
    view = stopped(runtime, "fails_when_interrupted")

    assert view.status == "stopped"
    assert "raising OSError: no room to save" in view.reason


@pytest.mark.parametrize(
    ("agent", "output"),
    [("swallows", "so far swallowed "), ("is_in_c", "so far "), ("tidies_up_for_too_long", "so far begun ")],
)
def test_what_goes_on_all_the_same_is_killed_after_the_grace_period(runtime: Runtime, agent: str, output: str) -> None:
    view = stopped(runtime, agent)

    assert (view.status, view.output) == ("stopped", output)
    assert "was killed after the grace period" in view.reason


def test_an_interrupt_never_tears_a_message(runtime: Runtime) -> None:
    view = stopped(runtime, "speaks_without_end")

    assert view.status == "stopped"
    assert INTERRUPTED in view.reason
    assert view.output.endswith("\ntidied up")


def test_a_handler_for_interrupts_is_called_as_for_any_other(runtime: Runtime) -> None:
    view = stopped(runtime, "has_a_handler")

    assert (view.status, view.result) == ("stopped", "heard")


def test_a_limit_of_time_interrupts_too(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "limited", "sleep")

    assert (view.status, view.output) == ("failed", "so far tidied up\n")
    assert "wall_clock" in view.reason


def test_tasks_that_answer_just_when_they_would_be_interrupted_end_one_way_or_the_other(runtime: Runtime) -> None:
    ids = [runtime.run("ends_by_itself", str(0.88 * GRACE + number * 0.004)) for number in range(10)]
    wait_until(lambda: all(runtime.view(task_id).output for task_id in ids), "all of them wait", limit=PATIENCE)
    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(runtime.stop, ids))
    for view in runtime.wait(ids, timeout=PATIENCE):
        assert view.status == "stopped"
        assert view.result == "half of it" or INTERRUPTED in view.reason, view


def test_what_the_frames_of_an_interrupted_function_hold_is_closed(runtime: Runtime) -> None:
    view = stopped(runtime, "holds_a_generator")

    assert (view.status, view.output) == ("stopped", "step 1 closed")
    assert run_and_wait(runtime, "exits_with_a_generator").output == "step 1 closed"
