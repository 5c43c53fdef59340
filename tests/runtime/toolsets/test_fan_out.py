"""Fan-out: one call that has an agent do many items: results in order, what failed and how, and doing that again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from fan_out_team import PATIENCE, ended, fan_out_team, lines_of, map_items, started
from processes_and_waits import wait_until
from subactors.runtime import OrchestratorTools, Runtime
from subactors.runtime.tasks.watching import WatchTasks
from teams import call, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

COUNT: dict[str, Any] = {"type": "object", "properties": {"length": {"maximum": 3}}, "required": ["length"]}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(fan_out_team(), stop_grace=1.0, max_tasks=100, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


# --- results --------------------------------------------------------------------------------------------------------


def test_results_are_in_a_file_in_the_order_of_the_items_and_their_heads_in_the_answer(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    items = [f"item {number}" for number in range(30)]

    view = ended(runtime, toolset, agent="shouts", task="say {item}!", items=items, concurrency=6)

    assert view.status == "completed"
    assert (view.result["items"], view.result["completed"], view.result["failed"]) == (30, 30, 0)
    assert view.result["first_results"] == {str(number): f"SAY ITEM {number}!" for number in range(10)}
    lines = lines_of(view)
    assert [line["index"] for line in lines] == list(range(30))
    assert [line["item"] for line in lines] == items
    assert [line["result"] for line in lines] == [f"SAY ITEM {number}!" for number in range(30)]
    assert all(line["status"] == "completed" for line in lines)
    assert len({line["task_id"] for line in lines}) == 30
    shown = call(toolset, "view_background_agent", task_id=view.id)
    assert view.result["file"] in shown.text
    assert len(shown.text) < 5000
    assert not Path(f"{view.result['file']}.part").exists()


def test_an_item_shows_of_which_group_it_is_to_those_who_look_and_in_the_journal(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    group = ended(runtime, toolset, agent="shouts", task="say {item}!", items=["one", "two"])

    items = [view for view in runtime.list() if view.parent == group.id]
    assert [view.group for view in items] == [group.id, group.id]
    assert group.group is None
    rows = runtime._host.ask(WatchTasks()).result(PATIENCE).changed
    assert sorted(row["id"] for row in rows if row["group"] == group.id) == sorted(view.id for view in items)
    noted: Future[list[Any]] = Future()
    runtime._host.journal.query(("SELECT id FROM task WHERE item_of = ?", (group.id,)), noted.set_result)
    assert sorted(task_id for (task_id,) in noted.result(PATIENCE)) == sorted(view.id for view in items)


def test_results_that_are_data_stay_data(runtime: Runtime, toolset: OrchestratorTools) -> None:
    view = ended(runtime, toolset, agent="measures", task="{item}", items=["a", "bb"])

    assert [line["result"] for line in lines_of(view)] == [{"text": "a", "length": 1}, {"text": "bb", "length": 2}]
    assert view.result["first_results"]["1"] == '{"text":"bb","length":2}'


def test_a_result_that_is_large_stays_in_a_file_of_its_own(runtime: Runtime, toolset: OrchestratorTools) -> None:
    view = ended(runtime, toolset, agent="is_large", task="{item}", items=["123456789 ", "b"])

    large, small = lines_of(view)
    assert json.loads(Path(large["result_file"]).read_text()) == "123456789 " * 1_000_000
    assert "result" not in large
    assert small["result"] == "b" * 1_000_000
    assert all(len(head) < 500 for head in view.result["first_results"].values())


def test_all_results_are_kept_that_are_small_enough_each() -> None:
    items = [f"{number}{'x' * 1500}" for number in range(30)]
    with (
        Runtime.from_mapping(fan_out_team(), max_result=20_000, standby=0) as runtime,
        runtime.toolset("boss") as toolset,
    ):
        view = ended(runtime, toolset, agent="shouts", task="{item}", items=items)
        lines = lines_of(view)

    assert (view.result["completed"], view.result["failed"]) == (30, 0)
    assert [line["result"] for line in lines] == [item.upper() for item in items]


def test_what_failed_is_named_with_its_reason_and_hurts_no_other_item(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    view = ended(runtime, toolset, agent="minds_itself", task="see {item}", items=["a", "b fails", "c", "d dies", "e"])

    assert (view.status, view.result["completed"], view.result["failed"]) == ("completed", 3, 2)
    first, second = view.result["failures"]
    assert (first["index"], first["item"], first["status"]) == (1, "b fails", "failed")
    assert first["reason"] == "ValueError: see b fails is no good"
    assert (second["index"], second["item"]) == (3, "d dies")
    assert "exit status 3" in second["reason"] or "exited with 3" in second["reason"]
    assert [line["status"] for line in lines_of(view)] == ["completed", "failed", "completed", "failed", "completed"]
    assert "Item 1 (b fails): failed. ValueError: see b fails is no good\n" in view.output


def test_an_output_schema_holds_for_each_item(runtime: Runtime, toolset: OrchestratorTools) -> None:
    view = ended(runtime, toolset, agent="measures", task="{item}", items=["a", "much too long"], output_schema=COUNT)

    (failure,) = view.result["failures"]
    assert failure["index"] == 1
    assert failure["reason"].startswith("schema: The entrypoint of agent 'measures' returned")


# --- how many at a time ---------------------------------------------------------------------------------------------


def test_no_more_items_are_at_work_than_are_wanted(
    runtime: Runtime, toolset: OrchestratorTools, tmp_path: Path
) -> None:
    items = [str(number) for number in range(12)]

    view = ended(runtime, toolset, agent="counts_its_siblings", task=f"{tmp_path} {{item}}", items=items, concurrency=3)

    assert 1 <= max(line["result"] for line in lines_of(view)) <= 3


@pytest.mark.slow
def test_a_thousand_items_need_no_room_among_the_tasks_that_are_remembered(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    items = [str(number) for number in range(200)]

    view = ended(runtime, toolset, agent="shouts", task="{item}", items=items)

    assert [line["result"] for line in lines_of(view)] == items
    assert len(runtime.list()) <= 130


def test_a_group_in_a_runtime_with_one_slot_gets_on() -> None:
    with Runtime.from_mapping(fan_out_team(), max_running=1, standby=0) as runtime, runtime.toolset("boss") as toolset:
        view = ended(runtime, toolset, agent="shouts", task="{item}", items=["a", "b", "c"])

        assert [line["result"] for line in lines_of(view)] == ["A", "B", "C"]


# --- looked at, stopped ---------------------------------------------------------------------------------------------


def test_a_group_is_one_task_in_lists_and_tells_how_far_it_is(toolset: OrchestratorTools) -> None:
    task_id = started(toolset, agent="minds_itself", task="{item}", items=["a", "b", "c fails", "d waits", "e waits"])

    def shown() -> str:
        return call(toolset, "view_background_agent", task_id=task_id).text

    wait_until(lambda: "3 of 5 (60 %): 1 failed" in shown(), "it has told", limit=PATIENCE)
    listed = call(toolset, "list_background_agents")
    call(toolset, "stop_background_agent", task_id=task_id)

    assert [task["id"] for task in listed.data["tasks"]] == [task_id]
    assert "map_minds_itself" in listed.text


def test_items_of_a_group_that_is_forgotten_are_not_listed_either() -> None:
    with (
        Runtime.from_mapping(fan_out_team(), max_tasks=20, standby=0) as runtime,
        runtime.toolset("boss") as toolset,
    ):
        groups = []
        for _ in range(2):
            groups.append(started(toolset, agent="shouts", task="{item}", items=["a"] * 15, concurrency=2))
            call(toolset, "wait_background_agents")
            listed = [task["id"] for task in call(toolset, "list_background_agents").data["tasks"]]
        known = {task.id for task in runtime.list()}

    assert groups[0] not in known
    assert listed == groups[1:]


def test_a_group_that_is_stopped_keeps_what_it_has_and_its_tasks_end(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    items = ["a", "b waits", "c", "d waits", "e", "f"]
    task_id = started(toolset, agent="minds_itself", task="{item}", items=items, concurrency=2)

    def done() -> float:
        progress = runtime.view(task_id).progress
        return progress.done if progress is not None else 0.0

    wait_until(lambda: done() == 2, "two items are done, and two wait", limit=PATIENCE)
    stopped = call(toolset, "stop_background_agent", task_id=task_id)
    view = runtime.view(task_id)

    assert not stopped.is_error
    assert view.status == "stopped"
    assert [line["status"] for line in lines_of(view)] == [
        "completed",
        "stopped",
        "completed",
        "stopped",
        "not started",
        "not started",
    ]
    assert view.result["failed"] == 4
    assert all(task.ended for task in runtime.list())


def test_a_group_ends_with_the_task_that_has_started_it(runtime: Runtime) -> None:
    start = ["map_background_agent", {"agent": "minds_itself", "task": "{item}", "items": ["a waits"]}]

    view = run_and_wait(runtime, "hasty_boss", json.dumps([[start], {"answer": "done"}]))
    below = [task for task in runtime.list() if task.parent == view.id]

    assert view.ended
    assert all(task.ended for task in below)


# --- again ----------------------------------------------------------------------------------------------------------


def test_what_failed_can_be_done_again_and_the_new_group_has_all_results(
    runtime: Runtime, toolset: OrchestratorTools, tmp_path: Path
) -> None:
    items = [str(tmp_path / name) for name in ("good", "late", "later")]
    first = ended(runtime, toolset, agent="fails_without_its_file", task="{item}", items=items)
    (tmp_path / "late").touch()

    second = ended(runtime, toolset, retry_failed=first.id)
    (tmp_path / "later").touch()
    third = ended(runtime, toolset, retry_failed=second.id)

    assert [group.result["completed"] for group in (first, second, third)] == [1, 2, 3]
    assert [line.get("result") for line in lines_of(second)] == ["good", "late", None]
    assert [line["result"] for line in lines_of(third)] == ["good", "late", "later"]
    ids = [[line["task_id"] for line in lines_of(group)] for group in (first, second, third)]
    assert ids[0][0] == ids[1][0] == ids[2][0], "what was completed is not done again"
    assert ids[1][1] == ids[2][1]


def test_of_a_group_whose_process_was_killed_nothing_is_lost(runtime: Runtime, toolset: OrchestratorTools) -> None:
    items = ["a", "b", "c waits"]
    task_id = started(toolset, agent="minds_itself", task="{item}", items=items)
    wait_until(
        lambda: (view := runtime.view(task_id)).progress is not None and view.progress.done == 2,
        "two are done",
        limit=PATIENCE,
    )
    pid = runtime.view(task_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    (killed,) = runtime.wait([task_id], timeout=PATIENCE)
    again = started(toolset, retry_failed=task_id)
    wait_until(
        lambda: (view := runtime.view(again)).progress is not None and view.progress.done == 2,
        "the two are known",
        limit=PATIENCE,
    )
    call(toolset, "stop_background_agent", task_id=again)
    view = runtime.view(again)

    assert killed.status == "failed"
    assert [line.get("result") for line in lines_of(view)] == ["a is done", "b is done", None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"retry_failed": "agent_task_none"}, "There is no task 'agent_task_none' here"),
        ({"retry_failed": "x", "agent": "shouts"}, "With retry_failed, the earlier group says this already: agent"),
        ({"agent": "shouts"}, "Missing: task, items. Give agent, task and items, or retry_failed alone."),
        ({"agent": "shouts", "task": "{item}", "items": []}, "Invalid arguments for map_background_agent"),
        ({"agent": "shouts", "task": "{item}", "items": ["a", " "]}, "Item 2 of 2 is empty"),
        ({"agent": "shouts", "task": "{item}", "items": ["a"] * 1001}, "Invalid arguments for map_background_agent"),
        ({"agent": "shouts", "task": "all", "items": ["a"]}, "Write {item} in it, which stands for the item"),
        ({"agent": "nobody", "task": "{item}", "items": ["a"]}, "There is no agent 'nobody'"),
        ({"agent": "shouts", "task": "{item}", "items": ["a" * 900_000]}, "The items have 900,000 characters"),
        ({"agent": "shouts", "task": "{item}", "items": ["a"], "concurrency": 0}, "Invalid arguments"),
        ({"agent": "shouts", "task": "{item}", "items": ["a"], "tokens": 0}, "tokens is 0, and with that no task"),
        ({"agent": "planner", "task": "{item}", "items": ["a"], "cost": 1.0}, "cannot run with a limit on cost"),
    ],
)
def test_a_call_that_cannot_be_is_answered_with_what_would_be_right(
    toolset: OrchestratorTools, arguments: dict[str, Any], said: str
) -> None:
    answer = map_items(toolset, **arguments)

    assert answer.is_error
    assert said in answer.text
    assert call(toolset, "list_background_agents").data["tasks"] == []


def test_only_a_group_that_has_ended_is_done_again(toolset: OrchestratorTools) -> None:
    single = call(toolset, "run_background_agent", agent="minds_itself", task="x waits").data["task_id"]
    group = started(toolset, agent="minds_itself", task="{item}", items=["a waits"])

    not_one, too_early = map_items(toolset, retry_failed=single), map_items(toolset, retry_failed=group)
    for task_id in (single, group):
        call(toolset, "stop_background_agent", task_id=task_id)

    assert "is not a group of map_background_agent" in not_one.text
    assert "Its failed items can be run again when it has ended" in too_early.text


# --- who may, and what it may cost ----------------------------------------------------------------------------------


def test_all_items_together_have_one_budget(runtime: Runtime, toolset: OrchestratorTools) -> None:
    items = [str(number) for number in range(10)]
    answer = map_items(toolset, agent="spends", task="{item}", items=items, concurrency=1, tokens=350)
    (view,) = runtime.wait([answer.data["task_id"]], timeout=PATIENCE)

    assert "All of it together may use: 350 tokens." in answer.text
    assert view.total_usage.input_tokens <= 400
    assert 3 <= view.result["completed"] <= 4
    assert view.result["completed"] + view.result["failed"] == 10
    assert view.status == "failed"
    assert "limit tokens of 350" in view.reason
    assert all(failure["reason"] for failure in view.result["failures"])
    assert len(lines_of(view)) == 10


def test_time_that_is_over_ends_the_group_and_keeps_its_results(runtime: Runtime, toolset: OrchestratorTools) -> None:
    view = ended(runtime, toolset, agent="minds_itself", task="{item}", items=["a", "b waits"], seconds=3)

    assert view.status == "failed"
    assert view.reason.startswith("The limit wall_clock of 3 s was reached")
    assert [line["status"] for line in lines_of(view)] == ["completed", "stopped"]


def test_a_task_of_a_model_may_start_a_group_though_it_may_start_no_function(runtime: Runtime) -> None:
    start = ["map_background_agent", {"agent": "shouts", "task": "{item}", "items": ["a", "b"]}]
    stop_or_view = ["view_background_agent", {"task_id": "{id 0}"}]

    view = run_and_wait(runtime, "boss", json.dumps([[start], [stop_or_view], "answers"]))

    started, seen = json.loads(view.result)
    assert "shouts does 2 items in the background" in started
    assert "map_shouts" in seen


def test_without_the_key_there_is_no_such_tool(runtime: Runtime) -> None:
    with runtime.toolset("plain_boss") as toolset:
        names = [schema["function"]["name"] for schema in toolset.schemas]
        assert "map_background_agent" not in names
        assert "map_background_agent" not in toolset.instructions
    with runtime.toolset("boss") as toolset:
        (schema,) = [one for one in toolset.schemas if one["function"]["name"] == "map_background_agent"]
        assert "map_background_agent" in toolset.instructions

    assert schema["function"]["parameters"]["properties"]["items"]["anyOf"][0]["items"] == {"type": "string"}


def test_a_group_is_no_deeper_than_tasks_may_be() -> None:
    with Runtime.from_mapping(fan_out_team(), max_depth=2, standby=0) as runtime, runtime.toolset("boss") as toolset:
        answer = map_items(toolset, agent="shouts", task="{item}", items=["a"])

        assert "With a group between them the chain of agents would be 3 deep, and 2 is the limit" in answer.text
