"""`sys.stdout` and `sys.stderr` of a task: what is printed is output, and what goes past them is the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import printing_entrypoints
import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from teams import PATIENCE, run_and_wait, speaking

FUNCTIONS = [
    name
    for name, value in vars(printing_entrypoints).items()
    if getattr(value, "__module__", "") == "printing_entrypoints"
]


def team(**settings: Any) -> dict[str, Any]:
    agents: dict[str, Any] = {
        name: {"entrypoint": f"printing_entrypoints:{name}"} for name in FUNCTIONS if name[0] != "_"
    }
    agents["model"] = {"model": "python/printing_entrypoints:model", "toolsets": [{"type": "think"}]}
    agents["floods"]["limits"] = {"output": "100kB"}
    return {
        "agents": agents,
        "runtime": {"preload": ["printing_entrypoints"], "standby": 0, "max_tasks": 1000, **settings},
    }


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(team(), **place) as runtime:
        run_and_wait(runtime, "describes_itself")
        yield runtime


def log_of(runtime: Runtime, view: TaskView) -> str:
    return (runtime._host.folder.log / f"{view.id}.log").read_text()


def test_what_is_printed_is_output_in_order_with_what_is_emitted(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "in_order")

    assert view.output == "one\ntwo\nthree four five\nsix\nseven\neight\nnine\nten\neleven"
    assert view.status == "completed"
    assert log_of(runtime, view) == ""


def test_what_is_printed_can_be_seen_at_once_half_a_line_too(runtime: Runtime) -> None:
    task_id = speaking(runtime, "waits")

    wait_until(lambda: runtime.view(task_id).output == "a line\nhalf a line", "it is seen", limit=PATIENCE)
    runtime.stop(task_id)


def test_what_was_printed_survives_a_crash(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "crashes")

    assert (view.status, view.output) == ("failed", "half a line")


def test_text_that_utf_8_does_not_have_is_replaced_and_bytes_are_read_as_utf_8(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "any_text")

    assert (view.status, view.output) == ("completed", "half � whole 😀 name �\nbäh\n�\n")


def test_a_stream_outlives_those_that_are_put_around_it(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "puts_another_stream_around")

    assert (view.reason, view.output) == ("", "through another\nthrough what is below\nas before\n")


def test_a_stream_is_no_terminal_and_has_the_descriptor_of_the_log(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "describes_itself").result == {
        "terminal": [False] * 3,
        "descriptor": [1, 2, 1],
        "writable": [True] * 3,
        "encoding": ["utf-8"] * 2,
        "closed": [False] * 3,
    }


def test_what_goes_below_python_and_what_other_processes_print_is_the_log(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "below_python")
    log = log_of(runtime, view).splitlines()

    assert (view.reason, view.output) == ("", "said\nsaid again\n")
    assert log[:3] == ["from C", "from a program", "from a program with our stream"]
    assert "in below_python" in log[4]
    assert log[-2:] == ["from a fork", "from a worker"]


def test_lines_of_several_threads_arrive_whole(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "threads")

    expected = [f"{name} {number} of 100" for name in "abcd" for number in range(100)]
    assert sorted(view.output.splitlines()) == sorted(expected)


def test_what_is_said_after_the_result_arrives_before_the_end(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "at_the_end")

    assert (view.status, view.result) == ("completed", "done")
    assert "ValueError: of a thread\n" in view.output
    assert "ValueError: of a finalizer\n" in view.output
    assert view.output.endswith("a thread that ends last\nat exit")


def test_handlers_and_finalizers_may_print_whatever_they_interrupt(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "from_handlers")

    assert (view.status, view.reason) == ("completed", "")
    # A handler's word may come in the middle of a line, but not in that of what is said at once.
    assert all(f"{number}\n" in view.output for number in range(3000))
    assert view.output.count("finalizer") >= 3000
    assert "handler" in view.output


def test_lines_that_come_faster_than_their_parts_are_said_arrive_in_order(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "many_lines")

    assert view.output == "".join(f"line {number}\n" for number in range(5000)) + "the end"


def test_what_is_printed_counts_for_the_limit_on_output(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "floods")

    assert view.status == "failed"
    assert "The limit output of 100 kB was reached" in view.reason
    assert view.output_size == 100_000


def test_a_model_and_its_tools_print_into_the_output_of_their_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "model")

    assert (view.result, view.output) == ("fine", "I am asked\nI am asked\nand answer: fine")


@pytest.mark.parametrize("standby", [0, 1])
def test_modules_that_are_imported_ahead_print_nothing(standby: int, capfd: pytest.CaptureFixture[str]) -> None:
    with Runtime.from_mapping(team(standby=standby)) as runtime:
        views = [run_and_wait(runtime, agent) for agent in ("in_order", "in_order", "in_order")]
        logs = [log_of(runtime, view) for view in views]

    assert capfd.readouterr() == ("", "")
    assert {view.output for view in views} == {"one\ntwo\nthree four five\nsix\nseven\neight\nnine\nten\neleven"}
    assert logs == ["", "", ""]
