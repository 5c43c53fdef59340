"""What agents ask, with `ask_parent` and `user_prompt`, and what a person is asked because `permissions` want it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Question, Runtime, Task
from teams import PATIENCE, call, model

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

MODEL = "python/asking_entrypoints:does_what_it_is_told"

TEAM: dict[str, Any] = {
    "agents": {
        "asker": {"model": MODEL, "toolsets": [{"type": "ask_parent"}, {"type": "think"}]},
        "hasty": {"model": MODEL, "toolsets": [{"type": "user_prompt", "timeout": 0.1}]},
        "prompter": {"model": MODEL, "toolsets": [{"type": "user_prompt"}]},
        "worker": {"model": MODEL, "toolsets": [{"type": "think"}, {"type": "todo"}]},
        "lead": {
            "model": MODEL,
            "sub_agents": ["asker", "worker"],
            "toolsets": [{"type": "background_agents"}, {"type": "think"}],
        },
        "other_lead": {"model": MODEL, "sub_agents": ["worker"], "toolsets": [{"type": "background_agents"}]},
    },
    "permissions": {"ask": ["think", "create_todo:description=*"], "deny": ["list_todos"]},
}

THINK = ("think", {"thought": "hm"})


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, stop_grace=1.0, standby=0, max_tasks=10_000, **place) as runtime:
        runtime.run("worker", "[]").result(PATIENCE)  # with all threads there before a test counts them
        yield runtime


@contextlib.contextmanager
def answering(*answers: str | None, **settings: Any) -> Iterator[tuple[Runtime, list[Question]]]:
    """A runtime whose person gives these answers, and what that has been asked."""
    asked: list[Question] = []
    left = list(answers)

    def answer(question: Question) -> str | None:
        asked.append(question)
        return left.pop(0)

    with Runtime.from_mapping(TEAM, standby=0, on_question=answer, **settings) as runtime:
        yield runtime, asked


def question_of(runtime: Runtime, task: Task | str) -> Question:
    wait_until(lambda: runtime.view(task).questions, "it asks", limit=PATIENCE)
    return runtime.view(task).questions[0]


def doing(runtime: Runtime, agent: str, *calls: tuple[str, dict[str, Any]]) -> Task:
    """Start an agent that makes these tool calls."""
    return runtime.run(agent, json.dumps(calls))


def answers_of(task: Task) -> list[str]:
    said: list[str] = json.loads(task.result(PATIENCE))
    return said


def test_an_agent_asks_its_parent_and_a_person_may_answer(runtime: Runtime) -> None:
    task = doing(runtime, "asker", ("ask_parent", {"question": "Which?", "choices": ["a", "b"]}))
    question = question_of(runtime, task)
    assert (question.text, question.choices, question.to) == ("Which?", ["a", "b"], "owner")
    assert task.view().doing == "waiting for an answer"
    runtime.answer(task, "b")

    assert answers_of(task) == ["b"]


def test_an_orchestrator_answers_by_a_tool_that_is_there_where_it_may_be_asked(runtime: Runtime) -> None:
    with runtime.toolset("other_lead") as tools:
        assert "answer_background_agent" not in json.dumps(tools.schemas)
    with runtime.toolset("lead") as tools:
        wanted = json.dumps([("ask_parent", {"question": "Which?"})])
        started = call(tools, "run_background_agent", agent="asker", task=wanted).data["task_id"]
        question = question_of(runtime, started)
        assert f"Asks ({question.id}, you may answer): Which?" in call(tools, "list_background_agents").text
        answer = call(tools, "answer_background_agent", question=question.id, answer="this one")
        assert answer.text == f"Answered: {started} has the answer to {question.id}, and goes on."
        assert runtime.wait([started], timeout=PATIENCE)[0].result == '["this one"]'
        late = call(tools, "answer_background_agent", question=started, answer="this one")
        assert (late.is_error, "has no question that you could answer" in late.text) == (True, True)


def test_a_person_is_shown_at_once_only_what_no_orchestrator_is_to_answer(place: dict[str, Any]) -> None:
    with answering("allow once", **place) as (runtime, asked), runtime.toolset("lead") as tools:
        wanted = json.dumps([("ask_parent", {"question": "Which?"}), THINK])
        started = call(tools, "run_background_agent", agent="asker", task=wanted).data["task_id"]
        question_of(runtime, started)
        call(tools, "answer_background_agent", question=started, answer="this one")
        runtime.wait([started], timeout=PATIENCE)
        assert [question.kind for question in asked] == ["approval"]


def test_what_is_asked_by_one_that_its_orchestrator_only_waits_for_is_shown_to_a_person(place: dict[str, Any]) -> None:
    with answering("this one", **place) as (runtime, asked), runtime.toolset("lead") as tools:
        answer = call(tools, "transfer_task", agent="asker", task=json.dumps([("ask_parent", {"question": "Which?"})]))
    assert answer.text == '["this one"]'
    assert [question.text for question in asked] == ["Which?"]


def test_no_model_answers_what_a_person_is_asked(place: dict[str, Any]) -> None:
    with answering(None, **place) as (runtime, _), runtime.toolset("lead") as tools:
        started = call(tools, "run_background_agent", agent="worker", task=json.dumps([THINK])).data["task_id"]
        question = question_of(runtime, started)
        assert f"Asks ({question.id}, a person is to answer): lead" not in call(tools, "list_background_agents").text
        assert f"Asks ({question.id}, a person is to answer): worker" in call(tools, "list_background_agents").text
        refused = call(tools, "answer_background_agent", question=question.id, answer="allow once")
        assert (refused.is_error, refused.text[:20]) == (True, "There is no question")
        runtime.answer(question, "deny")


def test_the_prompt_of_docker_s_agents_asks_a_person_with_a_schema(place: dict[str, Any]) -> None:
    prompts: list[dict[str, Any]] = [
        {"message": "Your name?"},
        {"message": "Sure?", "schema": {"type": "boolean"}},
        {"message": "Which?", "title": "Colour", "schema": {"type": "string", "enum": ["red", "green"]}},
        {"message": "Who?", "schema": {"type": "object", "properties": {"age": {"type": "integer"}}}},
        {"message": "All?", "schema": {"type": "object", "properties": {"a": {}, "b": {}}}},
    ]
    with answering("Ada", "true", "GREEN", "36", '{"a": 1, "b": [2]}', **place) as (runtime, asked):
        said = answers_of(doing(runtime, "prompter", *(("user_prompt", prompt) for prompt in prompts)))

    assert [json.loads(text)["content"] for text in said] == [
        {"response": "Ada"},
        {"response": True},
        {"response": "green"},
        {"age": 36},
        {"a": 1, "b": [2]},
    ]
    heads = [question.text.split("\n")[0] for question in asked]
    assert heads == ["Your name?", "Sure?", "Colour: Which?", "Who?", "All?"]
    assert [question.choices for question in asked[1:3]] == [["true", "false"], ["red", "green"]]
    assert {question.to for question in asked} == {"person"}


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def test_an_answer_that_does_not_fit_the_schema_of_a_prompt_is_asked_for_once_more(place: dict[str, Any]) -> None:
    prompt = ("user_prompt", {"message": "Who?", "schema": PERSON})
    number = ("user_prompt", {"message": "How many?", "schema": {"type": "integer"}})
    mixed = ("user_prompt", {"message": "Which?", "schema": {"enum": ["a", 5, None]}})
    answers = ('{"name": 5}', '{"name": "Bob", "age": 5}', "Bob", "[1]", "many", "12", "5")
    with answering(*answers, **place) as (runtime, asked):
        said = [json.loads(text) for text in answers_of(doing(runtime, "prompter", prompt, prompt, number, mixed))]

    assert said[0] == {"action": "accept", "content": {"name": "Bob", "age": 5}}
    assert said[1]["action"] == "cancel"
    assert said[1]["reason"].startswith("The user was asked twice, and no answer fits the schema: $: [1]")
    assert [each["content"] for each in said[2:]] == [{"response": 12}, {"response": 5}]
    assert "The last answer does not fit: " in asked[1].text
    assert json.loads(asked[0].schema) == PERSON


def test_a_prompt_with_a_schema_that_is_none_is_an_error_of_the_tool_and_nobody_is_asked(place: dict[str, Any]) -> None:
    with answering(**place) as (runtime, asked):
        (said,) = answers_of(doing(runtime, "prompter", ("user_prompt", {"message": "x", "schema": {"type": "nope"}})))
    assert (asked, "is no valid JSON schema" in said or "nope" in said) == ([], True)


def test_a_call_is_denied_at_once_when_whoever_was_to_approve_it_fails(
    caplog: pytest.LogCaptureFixture, place: dict[str, Any]
) -> None:
    def fails(question: Question) -> str:
        if "first" in question.text:
            return "perhaps"
        raise SystemExit(1) if "second" in question.text else ValueError("mine")

    thoughts = [("think", {"thought": thought}) for thought in ("first", "second", "third")]
    with Runtime.from_mapping(TEAM, standby=0, on_question=fails, **place) as runtime:
        said = answers_of(doing(runtime, "worker", *thoughts))
    assert "Their word on it: the program's answer does not count." in said[0]
    assert all("Their word on it: whoever was to approve it has failed." in text for text in said[1:])
    assert "has raised an exception" in caplog.text


def test_an_approval_shows_the_whole_call_and_one_that_is_too_long_for_that_is_denied(place: dict[str, Any]) -> None:
    hidden = " " * 5000 + "EVIL" + " " * 5000
    with answering("allow once", **place) as (runtime, asked):
        calls = [("think", {"thought": thought}) for thought in (hidden, "x" * 50_000)]
        shown, denied = answers_of(doing(runtime, "worker", *calls))
    (question,) = asked
    assert hidden in question.text
    assert "Thoughts so far" in shown
    assert "too long to be shown to one: 50,000 is the limit. It is denied." in denied


def test_a_prompt_that_nobody_answers_is_cancelled_and_the_agent_goes_on(runtime: Runtime) -> None:
    (said,) = answers_of(doing(runtime, "hasty", ("user_prompt", {"message": "Anybody?"})))
    assert json.loads(said)["action"] == "cancel"
    assert "nobody answered within 0.1 s" in json.loads(said)["reason"]


def test_without_anybody_to_ask_a_call_that_is_to_be_approved_is_denied_at_once(runtime: Runtime) -> None:
    (said,) = answers_of(doing(runtime, "worker", THINK))
    assert said.startswith(
        "This call of 'think' needs somebody's approval by the team file's permissions (ask: `think`)"
    )
    assert "nobody can be asked here" in said


def test_a_person_is_told_who_asks_and_what_for(place: dict[str, Any]) -> None:
    with answering("allow once", **place) as (runtime, asked):
        task = doing(runtime, "worker", ("create_todo", {"description": "buy milk"}))
        assert "buy milk" in answers_of(task)[0]

    (question,) = asked
    assert question.kind == "approval"
    assert question.choices == ["allow once", "always for this task", "always for this run", "deny"]
    assert question.text.startswith(f"worker ({task.id}) wants to call the tool create_todo, ")
    assert '{"description": "buy milk"}' in question.text


def test_once_is_once_and_always_is_for_the_task_or_for_the_run(place: dict[str, Any]) -> None:
    with answering("once", "always for this task", "always for this run", **place) as (runtime, asked):
        doing(runtime, "worker", THINK, THINK, THINK, THINK).result(PATIENCE)
        assert len(asked) == 2  # once, then for the rest of the task
        doing(runtime, "worker", THINK, THINK).result(PATIENCE)
        assert len(asked) == 3  # another task is asked about anew, and then no other
        answers = answers_of(doing(runtime, "worker", THINK, THINK))
        assert len(asked) == 3
    assert not any("denied" in answer for answer in answers)


def test_a_person_denies_with_a_word_which_the_model_reads(place: dict[str, Any]) -> None:
    with answering("deny: not on a Sunday", **place) as (runtime, _):
        (said,) = answers_of(doing(runtime, "worker", THINK))
    assert said == (
        "The host program has denied this call of 'think'. Their word on it: not on a Sunday. "
        "Do without it, and say in your answer what was left undone."
    )


def test_a_person_who_does_not_answer_has_denied(place: dict[str, Any]) -> None:
    with answering(None, question_timeout=0.1, **place) as (runtime, _):
        (said,) = answers_of(doing(runtime, "worker", THINK))
    assert said.startswith("A person was asked about this call of 'think' (ask: `think`), and did not answer.")


def test_what_is_denied_nobody_is_asked_about(place: dict[str, Any]) -> None:
    with answering(**place) as (runtime, asked):
        (said,) = answers_of(doing(runtime, "worker", ("list_todos", {})))
    assert (asked, "is denied by the team file's permissions" in said) == ([], True)


def test_an_orchestrator_of_the_program_s_own_asks_a_person_too(place: dict[str, Any]) -> None:
    with answering("allow once", **place) as (runtime, asked), runtime.toolset("lead") as tools:
        assert not call(tools, "think", thought="hm").is_error
    assert asked[0].text.startswith("lead (orchestrator_")


def test_an_agent_that_may_ask_is_not_told_that_nobody_answers(place: dict[str, Any]) -> None:
    team = {
        "agents": {
            "may": model("shows_its_conversation", toolsets=[{"type": "ask_parent"}]),
            "may_not": model("shows_its_conversation"),
        }
    }
    with Runtime.from_mapping(team, standby=0, **place) as own:
        may, may_not = (str(own.run(agent, "go").result(PATIENCE)) for agent in ("may", "may_not"))
    assert "Nobody can answer questions" in may_not
    assert "Nobody can answer questions" not in may
    assert "you may ask" in may
