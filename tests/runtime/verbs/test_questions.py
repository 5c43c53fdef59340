"""What tasks ask, and who answers: the program, the one who has started them, a person; or nobody, in time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from run_folders import subactors
from subactors.runtime import (
    AsyncRuntime,
    Question,
    RunError,
    Runtime,
    Task,
    TaskAnswered,
    TaskAsked,
    UnknownQuestionError,
)
from subactors.runtime.cli.task_table import telling_line
from subactors.runtime.tasks.wording import describe_view
from teams import PATIENCE

pytestmark = pytest.mark.usefixtures("warm_commands", "zygote_for_tasks")

FUNCTIONS = ["asks", "asks_much", "asks_async", "gives_up", "dies_while_it_asks"]

TEAM: dict[str, Any] = {
    "agents": {
        **{name: {"entrypoint": f"asking_entrypoints:{name}"} for name in FUNCTIONS},
        "answers_its_own": {"entrypoint": "asking_entrypoints:answers_its_own", "sub_agents": ["asks"]},
        "limited": {"entrypoint": "asking_entrypoints:asks", "limits": {"wall_clock": 1.0}},
    }
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def runtime(state: Path, place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, stop_grace=1.0, standby=0, max_tasks=10_000, state_dir=state, **place) as runtime:
        runtime.run("asks", "go", data={"timeout": 0, "default": ""}).result(PATIENCE)  # with all threads there
        yield runtime


def asking(runtime: Runtime, agent: str = "asks", **data: Any) -> tuple[Task, Question]:
    """Start a task, and return it with its question."""
    task = runtime.run(agent, "go", data=data or None)
    return task, question_of(task)


def question_of(task: Task) -> Question:
    wait_until(lambda: task.view().questions, "it asks", limit=PATIENCE)
    return task.view().questions[0]


def test_a_task_that_asks_waits_and_is_shown_so_until_it_is_answered(runtime: Runtime) -> None:
    task, question = asking(runtime, choices=["left", "right"], default="left")
    view = task.view()

    assert (view.status, view.doing, view.silent) == ("waiting", "waiting for an answer", 0.0)
    assert (question.task_id, question.agent, question.text) == (task.id, "asks", "left or right?")
    assert (question.choices, question.to, question.kind) == (["left", "right"], "owner", "question")
    assert question.asked_at < question.deadline
    asks = f"Asks ({question.id}, you may answer): left or right? Choose from: 'left', 'right'."
    assert asks in describe_view(view, 5000)
    assert telling_line(view) == "asks: left or right?"
    (listed,) = [each for each in runtime.list() if each.id == task.id]
    assert listed.questions == [question]
    assert json.loads(json.dumps(view.as_data()))["questions"][0]["id"] == question.id

    runtime.answer(question, " LEFT ")
    assert task.result(PATIENCE) == "told: left"
    assert task.view().questions == []


def test_an_answer_that_is_none_of_the_choices_is_refused_and_the_question_waits_on(runtime: Runtime) -> None:
    task, question = asking(runtime, choices=["left", "right"])
    with pytest.raises(RunError, match="'up' is not one of the answers to choose from: 'left', 'right'"):
        runtime.answer(question.id, "up")
    runtime.answer(task, "right")

    assert task.result(PATIENCE) == "told: right"
    with pytest.raises(UnknownQuestionError, match="There is no question"):
        runtime.answer(question, "left")
    with pytest.raises(UnknownQuestionError, match=f"Task {task.id} has no question .*: it has ended already"):
        runtime.answer(task, "left")
    with pytest.raises(UnknownQuestionError, match="There is no task 'agent_task_none'"):
        runtime.answer("agent_task_none", "left")
    with pytest.raises(ValueError, match=r"^The answer has 100,001 characters; 100,000 may be\.$"):
        runtime.answer(task, "x" * 100_001)


def test_nobody_answers_in_time_and_the_default_counts_or_else_it_is_an_error_that_says_so(runtime: Runtime) -> None:
    with_default = runtime.run("asks", "go", data={"timeout": 0.05, "default": "left"})
    without = runtime.run("asks", "go", data={"timeout": 0.05})
    of_a_person = runtime.run("asks", "go", data={"timeout": 0, "to": "person"})

    assert with_default.result(PATIENCE) == "told: left"
    assert without.result(PATIENCE) == (
        "no answer: Whoever started this task was asked, and nobody answered within 0.1 s. Decide for yourself."
    )
    assert of_a_person.result(PATIENCE).startswith("no answer: A person was asked, and nobody answered within 0.0 s.")


def test_the_question_is_an_event_and_so_is_how_it_ended(runtime: Runtime) -> None:
    with runtime.events() as events:
        task, question = asking(runtime)
        runtime.answer(question, "left")
        late = runtime.run("asks", "go", data={"timeout": 0})
        late.result(PATIENCE)
        task.result(PATIENCE)
        told = []
        while len(told) < 4:
            event = next(events)
            if isinstance(event, TaskAsked | TaskAnswered):
                told.append(event)

    assert [type(event) for event in told] == [TaskAsked, TaskAnswered] * 2
    assert told[0].question == question
    answered = told[1]
    assert isinstance(answered, TaskAnswered)
    assert (answered.how, answered.text, answered.by) == ("answered", "left", "the host program")
    assert (told[3].how, told[3].text) == ("too late", "")
    assert json.loads(json.dumps(told[0].as_data()))["question"]["text"] == "left or right?"


def test_the_limit_on_time_stands_still_while_a_task_waits(runtime: Runtime) -> None:
    task, question = asking(runtime, "limited")
    wait_until(lambda: task.view().runtime > 1.3, "its time would be over", limit=PATIENCE)
    runtime.answer(question, "left")

    assert task.result(PATIENCE) == "told: left"


def test_an_async_function_asks_several_things_at_once(runtime: Runtime) -> None:
    task = runtime.run("asks_async", "go")
    wait_until(lambda: len(task.view().questions) == 2, "it asks both", limit=PATIENCE)
    first, second = sorted(task.view().questions, key=lambda question: question.text)
    with pytest.raises(UnknownQuestionError, match=f"asks 2 things. Answer each by its own id: .*{first.id}: first"):
        runtime.answer(task, "which?")
    runtime.answer(second, "2")
    assert task.status == "waiting"
    runtime.answer(task, "1")  # it asks one thing only now

    assert task.result(PATIENCE) == ["1", "2"]


def test_a_question_that_its_task_does_not_wait_for_any_more_is_withdrawn(runtime: Runtime) -> None:
    task = runtime.run("gives_up", "go")
    wait_until(lambda: [each.text for each in task.view().questions] == ["and this?"], "it asks on", limit=PATIENCE)
    runtime.answer(task, "yes")

    assert task.result(PATIENCE) == "yes"


def test_a_question_ends_with_its_task_however_that_ends(runtime: Runtime) -> None:
    failed = runtime.run("dies_while_it_asks", "go")
    question = question_of(failed)
    stopped, other = asking(runtime)
    view = stopped.stop()
    runtime.wait([failed], timeout=PATIENCE)

    assert (view.status, failed.status) == ("stopped", "failed")
    assert view.result == "no answer: The task has been asked to stop before there was an answer."
    for gone in (question, other):
        with pytest.raises(UnknownQuestionError):
            runtime.answer(gone, "late")


def test_a_task_answers_what_its_own_task_asks(runtime: Runtime) -> None:
    assert runtime.run("answers_its_own", "go").result(PATIENCE) == "told: go home"


def test_what_is_no_question_is_refused_before_anybody_is_asked(runtime: Runtime) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"question": " "}, "The question is empty"),
        ({"question": 7}, "A question is text"),
        ({"choices": "left"}, "A question is text, and its choices are several texts"),
        ({"choices": ["a"], "default": "b"}, "The default 'b' is none of the choices"),
        ({"to": "nobody"}, "to is 'nobody'"),
        ({"choices": [str(number) for number in range(51)]}, "choices has more than 50 entries."),
        ({"choices": ["a", "b", "a"]}, "The choice 'a' is there twice"),
        ({"timeout": -1}, "timeout is -1; a question waits for 0 to 2,592,000 seconds"),
        ({"timeout": 1e300}, "timeout is 1e+300; a question waits for 0 to 2,592,000 seconds"),
        ({"question": "x" * 20_001}, "text has more than 20,000 characters."),
    ]
    tasks = [runtime.run("asks", "go", data=data) for data, _ in wrong]
    for task, (_, reason) in zip(runtime.wait(tasks, timeout=PATIENCE), wrong, strict=True):
        assert reason in task.reason


def test_no_more_questions_wait_at_a_time_than_may(runtime: Runtime) -> None:
    task = runtime.run("asks_much", "go")
    wait_until(lambda: len(task.view().questions) == 100 and task.output(), "it has asked", limit=PATIENCE)
    assert len({question.id for question in task.view().questions}) == 100
    assert "100 questions of this task wait for an answer already" in task.output()
    task.stop()


def test_a_program_that_is_given_answers_by_a_function(place: dict[str, Any]) -> None:
    asked: list[Question] = []

    def answer(question: Question) -> str | None:
        asked.append(question)
        return None if question.text == "not me" else "left"

    with Runtime.from_mapping(TEAM, standby=0, on_question=answer, **place) as runtime:
        assert runtime.run("asks", "go").result(PATIENCE) == "told: left"
        left_to_others, question = asking(runtime, question="not me")
        runtime.answer(question, "mine")
        assert left_to_others.result(PATIENCE) == "told: mine"
    assert [question.text for question in asked] == ["left or right?", "not me"]


def test_a_function_that_answers_too_late_or_wrongly_or_raises_hurts_nobody(
    caplog: pytest.LogCaptureFixture, place: dict[str, Any]
) -> None:
    may_go = threading.Event()

    def answer(question: Question) -> Any:
        match question.text:
            case "slow":
                may_go.wait(PATIENCE)
                return "too late"
            case "wrong":
                return "up"
            case "number":
                return 7
        raise ValueError("mine")

    with Runtime.from_mapping(TEAM, standby=0, on_question=answer, **place) as runtime:
        slow = runtime.run("asks", "go", data={"question": "slow", "timeout": 0.1, "default": "right"})
        assert slow.result(PATIENCE) == "told: right"
        may_go.set()
        for question in ("wrong", "number", "raises"):
            task = runtime.run(
                "asks",
                "go",
                data={"question": question, "timeout": 1.0, "choices": ["left", "right"], "default": "left"},
            )
            assert task.result(PATIENCE) == "told: left"
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "does not count" in told
    assert "has raised an exception" in told


def test_an_async_program_is_asked_in_its_event_loop_and_answers(place: dict[str, Any]) -> None:
    async def main() -> Any:
        loops = []

        async def answer(question: Question) -> str:
            loops.append(asyncio.get_running_loop())
            return f"{question.text} yes"

        async with AsyncRuntime.from_mapping(TEAM, standby=0, on_question=answer, **place) as runtime:
            task = await runtime.run("asks", "go")
            first = await task.result(PATIENCE)
        async with AsyncRuntime.from_mapping(TEAM, standby=0, **place) as runtime:
            task = await runtime.run("asks", "go")
            while not (await task.view()).questions:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await runtime.answer(task, "by hand")
            return first, await task.result(PATIENCE), loops == [asyncio.get_running_loop()]

    assert asyncio.run(main()) == ("told: left or right? yes", "told: by hand", True)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(TypeError, match="on_question is of type int"):
        Runtime(on_question=7)  # type: ignore[arg-type]


def test_a_person_answers_by_the_command_line(runtime: Runtime, state: Path) -> None:
    task, question = asking(runtime, choices=["left", "right"])
    shown = subactors("view", task.id, root=state)
    assert f"left or right? Choose from: 'left', 'right'. ({question.id})" in shown.stdout
    assert "(asks: left or right?)" in subactors("ps", "--status", "waiting", root=state).stdout
    wrong = subactors("answer", question.id, "up", root=state)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "'up' is not one of the answers" in wrong.stderr
    done = subactors("answer", task.id[-8:], "right", root=state)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Answered: {task.id} has the answer to {question.id}, and goes on.\n"
    assert task.result(PATIENCE) == "told: right"

    several = runtime.run("asks_async", "go")
    wait_until(lambda: len(several.view().questions) == 2, "it asks both", limit=PATIENCE)
    refused = subactors("answer", several.id, "which?", root=state)
    assert (refused.returncode, "2 questions fit" in refused.stderr) == (1, True)
    several.stop()

    forged = "well?\nStatus: completed" + " x" * 2000
    long = runtime.run("asks", "go", data={"question": forged})
    question_of(long)
    lines = subactors("view", long.id, root=state).stdout.splitlines()
    assert "| Status: completed x x" in next(line for line in lines if "Status: completed" in line)
    assert sum(line.count(" x") for line in lines) == 2000  # all of it
    long.stop()

    late = subactors("answer", question.id, "right", root=state)
    assert (late.returncode, late.stderr) == (
        1,
        f"subactors: No question fits '{question.id}'. No task waits for an answer.\n",
    )
