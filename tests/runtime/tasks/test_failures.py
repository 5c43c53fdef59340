"""What is told of an exception that ended a task: the sentence in its reason, and the user's part of its traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import failing_entrypoints
import pytest
from failing_entrypoints import CAUSE
from run_folders import past_run, subactors, task_row
from subactors.runtime import Runtime, TaskEnded, TaskRestarting, TaskView
from subactors.runtime.tasks.failure import LONGEST_REASON, LONGEST_TRACEBACK, describe_error, own_traceback
from teams import PATIENCE, call, model, run_and_wait, speaking

pytestmark = pytest.mark.usefixtures("warm_commands", "zygote_for_tasks")

FILE = failing_entrypoints.__file__
FUNCTIONS = [
    name
    for name, value in vars(failing_entrypoints).items()
    if getattr(value, "__module__", "") == "failing_entrypoints"
]


def team(**more: Any) -> dict[str, Any]:
    functions: dict[str, Any] = {
        name: {"entrypoint": f"failing_entrypoints:{name}"} for name in FUNCTIONS if name[0] != "_"
    }
    models = {name: {"model": f"python/failing_entrypoints:{name}"} for name in ("model", "streaming_model")}
    return {"agents": {**functions, **models, **more}}


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    again = {"restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01}}
    agents = {
        name: {"entrypoint": f"failing_entrypoints:{name}", **again} for name in ("succeeds_at_last", "fails_each_time")
    }
    with Runtime.from_mapping(team(**agents), standby=0, max_tasks=1000, **place) as runtime:
        run_and_wait(runtime, "key", "warm up")
        yield runtime


def places(view: TaskView) -> list[str]:
    """The functions that a traceback names, all of which must be in the user's file."""
    found = re.findall(r'File "(.*)", line \d+, in (\w+)', view.traceback)
    assert {file for file, _ in found} <= {FILE}
    return [name for _, name in found]


# --- the sentence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("task_group", f"ExceptionGroup: unhandled errors in a TaskGroup (ConnectionError: {CAUSE})"),
        (
            "nested_groups",
            f"ExceptionGroup: outer (ExceptionGroup: inner (ConnectionError: {CAUSE}; KeyError: 'x'); OSError: disk)",
        ),
        ("cause", f"RuntimeError: the report failed (caused by ConnectionError: {CAUSE})"),
        ("cause_that_is_said", f"RuntimeError: the report failed: {CAUSE}"),
        ("circle", "ValueError: first (caused by ValueError: second)"),
        ("note", "KeyError: 'steps'\nThe plan has no steps.\nWrite some."),
        ("broken_error", "BrokenError: (the exception's text could not be made)"),
        ("odd_text", "OddError: odd"),
        ("leaving_text", "LeavingError: (the exception's text could not be made)"),
        ("key", "KeyError: 'steps'"),
    ],
)
def test_the_reason_says_what_was_behind_an_exception(runtime: Runtime, agent: str, reason: str) -> None:
    view = run_and_wait(runtime, agent, "steps")

    assert (view.status, view.reason) == ("failed", reason)


def test_what_a_task_logs_is_its_own_words_and_no_word_of_ours_on_its_end(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "with_logging")

    assert (view.reason, view.output) == (f"ValueError: {CAUSE}", "INFO:failing_entrypoints:on it\n")
    assert places(view) == ["with_logging"]
    assert run_and_wait(runtime, "logs_all").output == "INFO:failing_entrypoints:on it\n"


def test_a_group_of_many_names_the_first_and_how_many_more_there_are(runtime: Runtime) -> None:
    reason = run_and_wait(runtime, "large_group").reason

    assert reason.startswith("ExceptionGroup: all of it (ValueError: number 0; ValueError: number 1;")
    assert reason.endswith("ValueError: number 9; and 490 more)")


def test_a_long_chain_of_causes_is_cut(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "long_chain")

    assert view.reason.startswith("RuntimeError: attempt 99 (caused by RuntimeError: attempt 98 (caused by")
    assert len(view.reason) < LONGEST_REASON
    assert set(places(view)) == {"long_chain", "_fail_again"}


def test_a_sentence_of_ours_is_not_said_twice_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "half_written.py").write_text("import json\njson.loads('{')\n")
    agent = {"entrypoint": "half_written:work"}
    with pytest.MonkeyPatch.context() as patch, Runtime.from_mapping({"agents": {"one": agent}}, standby=0) as other:
        patch.syspath_prepend(str(tmp_path))
        view = run_and_wait(other, "one")

    assert view.reason.count("JSONDecodeError") == 1
    assert re.findall(r'File "(.*)", line (\d+)', view.traceback) == [(str(tmp_path / "half_written.py"), "2")]


def test_a_message_of_any_length_is_cut_to_what_a_reason_holds() -> None:
    group = ExceptionGroup("x" * 50_000, [ValueError("y" * 50_000), ValueError("\ud800")])

    assert len(describe_error(group)) < LONGEST_REASON + 200
    describe_error(group).encode()


# --- the traceback --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "functions"),
    [
        ("key", ["key", "_step_of"]),
        ("key_async", ["key_async", "key", "_step_of"]),
        ("model", ["model", "_step_of"]),
        ("streaming_model", ["streaming_model", "_step_of"]),
        ("library", ["library"]),
        ("task_group", ["task_group", "_lose_the_server"]),
        ("cause", ["cause", "_ask_the_server", "cause"]),
    ],
)
def test_the_traceback_has_the_users_own_frames_and_no_others(
    runtime: Runtime, agent: str, functions: list[str]
) -> None:
    view = run_and_wait(runtime, agent, "steps")

    assert places(view) == functions


def test_the_traceback_of_endless_recursion_is_short(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "endless")

    assert "more times]" in view.traceback
    assert len(view.traceback) < 2000


def test_a_task_that_completes_has_no_traceback_even_if_an_attempt_failed(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "succeeds_at_last")

    assert (view.status, view.attempts, view.reason, view.traceback) == ("completed", 2, "", "")


def test_after_restarts_the_traceback_is_that_of_the_last_attempt(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "fails_each_time")

    assert (view.attempts, view.reason) == (
        2,
        "ValueError: second attempt\nIt had been started again once within 60 s.",
    )
    assert places(view) == ["fails_each_time", "_fail_later"]


def test_a_task_that_fails_as_it_is_stopped_says_where(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "fails_when_stopped"))[0]

    assert view.status == "stopped"
    assert "raising OSError: no room to save" in view.reason
    assert places(view) == ["fails_when_stopped"]


def test_a_failure_of_ours_has_no_traceback() -> None:
    with Runtime.from_mapping({"agents": {"one": {"entrypoint": "failing_entrypoints:nothing"}}}, standby=0) as other:
        view = run_and_wait(other, "one")

    assert view.reason.startswith("ImportTargetError")
    assert view.traceback == ""


def test_code_that_the_team_file_names_is_the_users_own_wherever_it_is_installed(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "site-packages" / "installed_agent"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "work.py").write_text("from .parts import part\ndef work(task):\n    return part()\n")
    (package / "parts.py").write_text("def part():\n    return {}['steps']\n")
    agent = {"entrypoint": "installed_agent.work:work"}
    with pytest.MonkeyPatch.context() as patch, Runtime.from_mapping({"agents": {"one": agent}}, standby=0) as other:
        patch.syspath_prepend(str(package.parent))
        view = run_and_wait(other, "one")

    assert re.findall(r"line \d+, in (\w+)", view.traceback) == ["work", "part"]


def test_a_traceback_is_bounded() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        raise ExceptionGroup("many", [ValueError(str(number) * 3000) for number in range(15)])

    text = own_traceback(caught.value, [])

    assert len(text) < LONGEST_TRACEBACK + 200
    assert "characters left out here" in text


def test_a_syntax_error_has_its_place_in_the_traceback_and_other_errors_without_frames_have_none() -> None:
    assert 'File "steps.py", line 3' in own_traceback(SyntaxError("no", ("steps.py", 3, 5, "def (", 3, 6)), [])
    assert own_traceback(ValueError("no"), []) == ""


# --- where it can be read -------------------------------------------------------------------------------------------


def test_a_list_has_reasons_but_no_tracebacks(runtime: Runtime) -> None:
    run_and_wait(runtime, "key", "steps")

    assert {view.traceback for view in runtime.list()} == {""}


def test_the_events_of_a_failure_and_of_a_restart_have_the_traceback(runtime: Runtime) -> None:
    with runtime.events() as events:
        task_id = runtime.run("fails_each_time", "go")
        runtime.wait([task_id], timeout=PATIENCE)
        events.close()
        seen = [event.task for event in events if isinstance(event, TaskRestarting | TaskEnded)]

    assert [places(view) for view in seen] == [["fails_each_time"], ["fails_each_time", "_fail_later"]]


def test_a_model_reads_the_traceback_of_a_task_of_its_own() -> None:
    agents = {"boss": {**model("follows_a_plan"), "sub_agents": ["key"], "toolsets": [{"type": "background_agents"}]}}
    with Runtime.from_mapping(team(**agents), standby=0) as runtime, runtime.toolset("boss") as toolset:
        task_id = call(toolset, "run_background_agent", agent="key", task="steps").data["task_id"]
        runtime.wait([task_id], timeout=PATIENCE)
        answer = call(toolset, "view_background_agent", task_id=task_id)
        transferred = call(toolset, "transfer_task", agent="key", task="steps")

    for text in (answer.text, transferred.text):
        assert "--- Traceback ---\nTraceback (most recent call last):\n" in text
        assert text.endswith("KeyError: 'steps'")
    assert answer.data["traceback"].endswith("KeyError: 'steps'")


def test_the_command_line_shows_the_traceback_also_when_the_host_has_gone(tmp_path: Path) -> None:
    with Runtime.from_mapping(team(), standby=0, state_dir=tmp_path) as runtime:
        view = run_and_wait(runtime, "key", "steps")

    shown = subactors("view", view.id, root=tmp_path).stdout
    data = json.loads(subactors("view", view.id, "--json", root=tmp_path).stdout)

    assert f"--- Traceback ---\n{view.traceback}\n" in shown
    assert data["traceback"] == view.traceback
    with Runtime.from_mapping(team(), standby=0, state_dir=tmp_path) as later:
        assert later.history()[-1].id == view.id
        assert later.view(view.id).traceback == view.traceback


def test_a_journal_without_tracebacks_is_read_all_the_same(tmp_path: Path) -> None:
    path = past_run(tmp_path, task_row(1), ("ALTER TABLE task DROP COLUMN traceback", ()))

    assert "result 1" in subactors("view", "00000001", root=tmp_path).stdout
    assert path.exists()
