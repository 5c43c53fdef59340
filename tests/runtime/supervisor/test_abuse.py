"""Well-formed messages that no healthy task sends: each ends its own task, or is taken; the supervisor goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from first_forms import first_always
from journals import asked_of_journal
from subactors.runtime import Runtime
from teams import entrypoint, run_and_wait, speaking

TEAM = {
    "agents": {
        "reports": {"entrypoint": "abusive_entrypoints:reports", "limits": {"wall_clock": 10}},
        "impatient": {
            "model": "python/abusive_entrypoints:waits_too_often",
            "sub_agents": ["waits"],
            "toolsets": [{"type": "background_agents", "on_finish": "stop"}],
        },
        "talkative": {"entrypoint": "abusive_entrypoints:talks_too_long", "restart": "permanent"},
        "repeats": {"entrypoint": "abusive_entrypoints:calls_one_tool_again_and_again"},
        "waits": entrypoint("waits"),
        "echo": entrypoint("echo"),
    }
}


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, max_tasks=1000, stop_grace=0.5, standby=0, **place) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


@pytest.fixture(autouse=True)
def _the_supervisor_goes_on(runtime: Runtime) -> Iterator[None]:
    yield
    assert run_and_wait(runtime, "echo", "still there").result == "still there"


@first_always(
    "kind",
    [
        *("no text", "extension", "no JSON", "number", "nested", "nested mappings", "nested behind text"),
        *("empty lists", "empty mappings behind text", "empty texts", "many messages", "many first messages"),
    ],
    keep=4,
)
def test_a_result_that_nobody_could_read_breaks_the_protocol(runtime: Runtime, kind: str) -> None:
    view = run_and_wait(runtime, "reports", kind)

    assert (view.status, view.result, view.output) == ("failed", None, "so far ")
    assert "broke the protocol: a report that fits none of the declared types" in view.reason


@pytest.mark.parametrize(
    "kind",
    [
        *("long id", "long name", "long arguments", "long answer", "usage that is text"),
        *("many calls", "a call before the first"),
    ],
)
def test_a_report_that_is_longer_than_any_may_be_breaks_the_protocol(runtime: Runtime, kind: str) -> None:
    view = run_and_wait(runtime, "reports", kind)

    assert view.status == "failed"
    assert "broke the protocol: a report that fits none of the declared types" in view.reason


def test_figures_beyond_what_the_journal_can_hold_are_shown_all_the_same(runtime: Runtime) -> None:
    task_id = speaking(runtime, "reports", "usage")
    view = runtime.stop(task_id)[0]
    assert view.status == "stopped"


@pytest.mark.parametrize(
    "kind",
    [f"an answer {what}" for what in ("that is no JSON", "that is no text", "of nobody", "in the depth")]
    + ["half a character"],
)
def test_an_answer_that_is_none_is_no_result(runtime: Runtime, kind: str) -> None:
    task_id = speaking(runtime, "reports", kind)
    view = runtime.stop(task_id)[0]

    assert (view.status, view.result) == ("stopped", None)


def test_a_task_that_waits_for_too_much_at_a_time_is_refused(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "impatient")

    assert view.status == "completed", view.reason
    count, _, words = view.result.partition(" ")
    assert int(count) == 4000
    assert "1,000 requests of this task wait for an answer already" in words


def test_a_tool_that_is_called_again_before_it_has_answered_is_kept_once(runtime: Runtime) -> None:
    task_id = speaking(runtime, "repeats")
    runtime.stop(task_id)

    assert asked_of_journal(runtime, "SELECT name FROM open_call WHERE task = ?", task_id) == [["x"]]


def test_a_conversation_without_end_is_not_kept_without_end(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "talkative")

    assert (view.status, view.attempts, view.output) == ("failed", 1, "so far ")
    assert view.reason == "No more than 100 MB of its conversation are kept, and it went on adding more."
    assert runtime._host.folder.journal.stat().st_size < 200_000_000
