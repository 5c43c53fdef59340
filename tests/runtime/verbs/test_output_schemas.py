"""Output schemas of tasks: the model is told, an answer is repaired once, and functions are checked, too."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from orchestrator_team import WORKERS
from strict_server_rules import check
from subactors.runtime import AsyncRuntime, OutputSchemaError, Runtime, TaskFailed, TaskView
from teams import call, entrypoint_team, model, run_and_wait

PATIENCE = 30.0

COUNT: dict[str, Any] = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


@dataclasses.dataclass
class Count:
    count: int


def _team() -> dict[str, Any]:
    boss = model(
        "follows_a_plan",
        sub_agents=["planner", *WORKERS],
        toolsets=[{"type": "background_agents", "schema": True}],
    )
    return entrypoint_team(
        boss=boss,
        plain_boss=model("follows_a_plan", sub_agents=["planner"], toolsets=[{"type": "background_agents"}]),
        planner=model("follows_a_plan"),
        thinker=model("follows_a_plan", toolsets=[{"type": "think"}]),
        short=model("follows_a_plan", max_iterations=1),
        again=model("follows_a_plan", restart={"policy": "transient", "max_restarts": 1, "backoff": 0}),
        mirror=model("shows_its_conversation"),
        asked=model("shows_its_conversation", sub_agents=["mirror"]),
    )


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(_team(), stop_grace=0.5, max_tasks=10_000, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


def _answers(*answers: str) -> str:
    return json.dumps([{"answer": answer} for answer in answers])


def _run(runtime: Runtime, agent: str, *answers: str, schema: Any = COUNT) -> TaskView:
    return run_and_wait(runtime, agent, _answers(*answers), output_schema=schema)


# --- agents ---------------------------------------------------------------------------------------------------------


def test_an_answer_that_fits_is_data_for_programs_and_text_for_models(runtime: Runtime) -> None:
    task = runtime.run("planner", _answers('```json\n{"count": 3}\n```'), output_schema=Count)

    assert task.result(PATIENCE) == {"count": 3}
    assert task.result(type=Count) == Count(3)
    assert task.view().usage.requests == 1


def test_an_answer_that_does_not_fit_is_sent_back_once_with_what_is_wrong(runtime: Runtime) -> None:
    view = _run(runtime, "planner", '{"count": "three"}', '{"count": 3}')

    assert view.result == {"count": 3}
    assert view.usage.requests == 2
    assert view.output == '{"count": "three"}\n{"count": 3}'


def test_a_second_answer_that_does_not_fit_fails_the_task_with_the_place(runtime: Runtime) -> None:
    view = _run(runtime, "planner", "About three.", '{"count": 2.5}', '{"count": 3}')

    assert (view.status, view.error, view.usage.requests) == ("failed", "subactors.runtime.errors.OutputSchemaError", 2)
    assert view.reason == (
        "schema: The answer does not fit the output schema, in its second try either: "
        "$.count: 2.5 is not of type 'integer'."
    )
    assert '{"count": 2.5}' in view.output
    with pytest.raises(TaskFailed, match=r"schema: The answer"):
        runtime.run("planner", _answers("a", "b"), output_schema=COUNT).result(PATIENCE)


def test_a_repair_may_call_tools_and_is_still_the_only_one(runtime: Runtime) -> None:
    turns = [{"answer": "no"}, [["think", {"thought": "Hm."}]], {"answer": "no"}, {"answer": '{"count": 1}'}]

    view = run_and_wait(runtime, "thinker", json.dumps(turns), output_schema=COUNT)

    assert view.reason.startswith("schema: The answer does not fit the output schema, in its second try either")
    assert view.usage.requests == 3


def test_a_task_that_failed_for_its_schema_can_be_continued_and_has_the_schema_still(runtime: Runtime) -> None:
    failed = _run(runtime, "planner", "one", "two", '{"count": 4}')
    again = runtime.resume(failed.id)

    assert failed.reason.startswith("schema: ")
    assert again.result(PATIENCE) == {"count": 4}
    assert again.view().usage.requests == 1


def test_without_a_turn_left_nothing_is_repaired(runtime: Runtime) -> None:
    view = _run(runtime, "short", "no", '{"count": 1}')

    assert view.reason.startswith("schema: The answer does not fit the output schema, and there is no turn left")


def test_a_task_that_is_started_again_has_its_last_answer_repaired(runtime: Runtime) -> None:
    view = _run(runtime, "again", "one", "two", '{"count": 3}')

    assert (view.status, view.attempts, view.result) == ("completed", 2, {"count": 3})


@pytest.mark.parametrize("agent", ["mirror", "asked"])
def test_the_model_is_told_the_schema_and_what_it_is_asked_fits_the_strictest_templates(
    runtime: Runtime, agent: str
) -> None:
    shown = {"type": "object", "properties": {"messages": {"type": "array"}, "tools": {"type": "array"}}}

    result = run_and_wait(runtime, agent, "Look.", output_schema=shown).result

    check(result["messages"], short_ids=True)
    told = result["messages"][0]["content"]
    assert told.endswith(f"<output_schema>\n{json.dumps(shown, separators=(',', ':'))}\n</output_schema>")
    repaired = [*result["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "Again."}]
    check(repaired, short_ids=True)


def test_a_schema_that_cannot_be_used_starts_nothing(runtime: Runtime) -> None:
    before = len(runtime.list())

    with pytest.raises(OutputSchemaError, match=r"not valid: \$\.type"):
        runtime.run("planner", "go", output_schema={"type": "strnig"})
    with pytest.raises(TypeError, match="a JSON schema as a mapping, or a type"):
        runtime.run("planner", "go", output_schema="Count")

    assert len(runtime.list()) == before


# --- functions ------------------------------------------------------------------------------------------------------


def _counts(number: Any) -> dict[str, Any]:
    return {"count": number}


def test_what_an_entrypoint_returns_is_checked(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "echo", "word", output_schema=str).result == "word"

    view = run_and_wait(runtime, "echo", "word", output_schema=COUNT)

    assert view.status == "failed"
    assert view.reason == (
        "schema: The entrypoint of agent 'echo' returned what does not fit the output schema: "
        "$: 'word' is not of type 'object'."
    )
    assert not view.traceback


def test_what_a_function_returns_is_checked(runtime: Runtime) -> None:
    assert runtime.submit(_counts, 2, output_schema=Count).result(PATIENCE, type=Count) == Count(2)

    with pytest.raises(TaskFailed, match=r"schema: Function '_counts' returned .* \$\.count: 'two' is not"):
        runtime.submit(_counts, "two", output_schema=Count).result(PATIENCE)


def test_the_awaited_form_takes_a_schema_too() -> None:
    async def main() -> tuple[Any, Any]:
        async with AsyncRuntime.from_mapping(_team(), standby=0) as runtime:
            task = await runtime.run("planner", _answers("no", '{"count": 1}'), output_schema=COUNT)
            function = await runtime.submit(_counts, 2, output_schema=COUNT)
            return await task, await function

    assert asyncio.run(main()) == ({"count": 1}, {"count": 2})


# --- the tool -------------------------------------------------------------------------------------------------------


def test_a_model_may_ask_for_a_form_where_its_toolset_says_so(runtime: Runtime) -> None:
    with runtime.toolset("boss") as toolset:
        started = call(
            toolset,
            "run_background_agent",
            agent="planner",
            task=_answers("no", '{"count": 1}'),
            output_schema=COUNT,
        )
        (view,) = runtime.wait([started.data["task_id"]], timeout=PATIENCE)
        shown = call(toolset, "view_background_agent", task_id=view.id)

    assert view.result == {"count": 1}
    assert shown.data["result"] == {"count": 1}
    assert '--- Result ---\n{\n  "count": 1\n}' in shown.text


def test_a_task_of_a_model_may_ask_for_a_form_too(runtime: Runtime) -> None:
    start = ["run_background_agent", {"agent": "says", "task": "x", "output_schema": COUNT}]

    view = run_and_wait(runtime, "boss", json.dumps([[start], "answers"]))

    assert json.loads(view.result)[0].startswith("Started agent_task_")
    (begun,) = [each for each in runtime.list() if each.parent == view.id]
    assert runtime.wait([begun.id], timeout=PATIENCE)[0].status in {"failed", "stopped"}


def test_a_schema_of_a_model_that_cannot_be_used_is_answered_with_what_is_wrong(runtime: Runtime) -> None:
    with runtime.toolset("boss") as toolset:
        wrong = call(
            toolset, "run_background_agent", agent="echo", task="x", output_schema={"properties": {"a": {"type": "x"}}}
        )
        no_schema = call(toolset, "run_background_agent", agent="echo", task="x", output_schema="a table")

    assert (wrong.is_error, no_schema.is_error) == (True, True)
    assert "The output schema is not valid: $.properties.a.type: 'x' is not" in wrong.text
    assert "Expected `object | null`, got `str`" in no_schema.text


def test_without_the_key_the_tool_has_no_such_parameter(runtime: Runtime) -> None:
    with runtime.toolset("plain_boss") as toolset:
        refused = call(toolset, "run_background_agent", agent="planner", task="x", output_schema=COUNT)
        (plain,) = [one for one in toolset.schemas if one["function"]["name"] == "run_background_agent"]
    with runtime.toolset("boss") as toolset:
        (with_schema,) = [one for one in toolset.schemas if one["function"]["name"] == "run_background_agent"]

    assert "unknown parameter `output_schema`" in refused.text
    assert set(plain["function"]["parameters"]["properties"]) == {"agent", "task", "expected_output"}
    assert set(with_schema["function"]["parameters"]["properties"]) == {
        "agent",
        "task",
        "expected_output",
        "output_schema",
    }
