"""What verbs are given and cannot take: a sentence, before anything has been started or waited for."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import submitted
from subactors.runtime import AsyncRuntime, Limits, NotOfTypeError, RestartPolicy, Runtime, TaskFailed, current_task
from teams import PATIENCE, shared_runtime


class _Given(NamedTuple):
    runtime: Any
    task: Any


class _Plain:
    def __init__(self, number: int) -> None:
        self.number = number


_PLAIN = "_Plain is a class whose fields nobody knows. Use a dataclass, a pydantic model, a TypedDict, or built-in"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"workdir": "/tmp"}, ValueError, "workdir is '/tmp'; it must be 'shared', 'private' or 'worktree'."),  # noqa: S108 - is not used
        ({"workdir": ""}, ValueError, "workdir is ''; it must be 'shared', 'private' or 'worktree'."),
        ({"workdir": 3}, TypeError, "workdir is of type int; it must be 'shared', 'private' or 'worktree'."),
        ({"workdir": Path()}, TypeError, "workdir is of type PosixPath; it must be 'shared', 'private' or 'worktree'."),
        ({"key": 3}, TypeError, "key is of type int; it must be text."),
        ({"key": ["a"]}, TypeError, "key is of type list; it must be text."),
        ({"key": " "}, ValueError, "key is empty; leave it out, or name the piece of work."),
        ({"key": "x" * 501}, ValueError, "key is 501 characters long; it may have 500."),
        ({"key": "\ud800"}, ValueError, "key has half of a surrogate pair in it, which no other process could read."),
        ({"restart": 1}, TypeError, 'restart is of type int; give it as RestartPolicy("transient").'),
        ({"limits": {}}, TypeError, "limits is of type dict; give it as Limits(wall_clock=…), with a value for each."),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    runtime: Runtime, options: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    known = len(runtime.list())

    for start in (lambda: runtime.submit(submitted.add, 1, **options), lambda: runtime.run("echo", "x", **options)):
        with pytest.raises(kind) as caught:
            start()
        assert str(caught.value) == sentence
    assert len(runtime.list()) == known


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Limits(memory="1GB"), "memory is '1GB'; it must be a whole number of bytes, such as 2_000_000_000."),
        (lambda: Limits(memory=0.5), "memory is 0.5; it must be a whole number of bytes"),
        (lambda: Limits(wall_clock="10s"), "wall_clock is '10s'; it must be a number of seconds, such as 90 or 0.5."),
        (lambda: Limits(processes=True), "processes is True; it must be a whole number."),
        (lambda: RestartPolicy("sometimes"), "restart is 'sometimes'; it must be one of temporary, transient"),
        (lambda: RestartPolicy(max_restarts="3"), "max_restarts of a restart policy is '3'; it must be a number."),
    ],
)
def test_a_limit_or_a_policy_of_anything_else_is_refused_where_it_is_made(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()

    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["one\n  two", "one\ttwo\n"])
def test_the_name_of_a_task_is_one_line(runtime: Runtime, name: str) -> None:
    assert runtime.submit(submitted.add, 1, second=2, name=name).agent == "one two"


def test_a_name_that_is_too_long_is_cut(runtime: Runtime) -> None:
    task = runtime.submit(submitted.add, 1, second=2, name="x" * 300)

    assert task.agent == "x" * 199 + "…"
    assert task.result(PATIENCE) == 3


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda one: one.runtime.map(submitted.add, 5), "Several items are wanted, as a list"),
        (lambda one: one.runtime.map(submitted.add, None), "Several items are wanted, as a list"),
        (lambda one: one.runtime.map(5, [1]), "map wants a function, not int."),
        (lambda one: one.runtime.map(submitted.add, [1], concurrency="2"), "concurrency is of type str"),
        (lambda one: one.runtime.map(submitted.add, [1], chunksize=1.5), "chunksize is of type float"),
        (lambda one: one.runtime.map(submitted.add, [1], on_error=[]), "on_error is of type list"),
        (lambda one: one.runtime.as_completed(one.task), "Several tasks are wanted, as a list: [agent_task_"),
        (lambda one: one.runtime.as_completed(one.task.id), "Several tasks are wanted, as a list: [agent_task_"),
        (lambda one: one.runtime.as_completed(5), "Several tasks are wanted, as a list, and this is of type int"),
        (lambda one: one.runtime.as_completed([one.task], timeout="1"), "timeout is of type str"),
        (lambda one: one.runtime.wait(5), "Several tasks are wanted, as a list, and this is of type int."),
        (lambda one: one.runtime.wait([one.task], 5), "Several tasks are wanted, as a list, and this is of type int."),
        (lambda one: one.runtime.stop(5), "Several tasks are wanted, as a list, and this is of type int."),
        (
            lambda one: one.runtime.run(abs, "x"),
            "agent is of type builtin_function_or_method; it",
        ),
        (lambda one: one.runtime.run(abs, "x"), "A function is run by submit."),
        (lambda one: one.runtime.run(5, "x"), "agent is of type int; it must be the name of an agent."),
        (lambda one: one.runtime.run("echo", None), "task is of type NoneType; it must be text, which says what is"),
        (
            lambda one: one.runtime.run("echo", "x", expected_output=5),
            "expected_output is of type int; it must be",
        ),
        (lambda one: one.task.result(type=_Plain), _PLAIN),
        (lambda one: one.task.result(type=dict[str, list[_Plain]]), _PLAIN),
        (lambda one: one.runtime.wait([one.task], timeout="1"), "timeout is of type str; it must be a number of"),
        (lambda one: one.runtime.wait([one.task], mode=[]), "mode is of type list; it must be 'all' or 'any'."),
        (lambda one: one.runtime.wait([one.task], "any"), "A mode is given by its name: mode='any'."),
        (lambda one: one.runtime.events(5), "Several tasks are wanted, as a list, and this is of type int."),
        (lambda one: one.runtime.group(on_error=[]), "on_error is of type list; it must be 'stop' or 'collect'."),
        (lambda one: one.runtime.executor("2"), "max_workers is of type str; it must be a whole number."),
        (lambda one: one.task.result(True), "timeout is of type bool; it must be a number of seconds, or None."),
        (lambda one: one.task.result(type="int"), "type is the text 'int'; give the type itself, such as int"),
        (lambda one: one.task.result(type=submitted.add), "Nothing can be decoded as add: "),
        (lambda one: one.task.add_done_callback(5), "A function is wanted, to be called with the task"),
        (lambda one: pickle.dumps(one.task), "A Task cannot be pickled: it is of this process."),
        (lambda one: pickle.dumps(one.task.follow()), "A Stream cannot be pickled: it is of this process."),
        (lambda one: pickle.dumps(one.runtime), "A Runtime cannot be pickled: it is of this process."),
    ],
)
def test_what_a_verb_cannot_take_is_refused_at_once(
    runtime: Runtime, tmp_path: Path, ask: Callable[[_Given], object], sentence: str
) -> None:
    task = runtime.submit(submitted.wait_for, str(tmp_path / "never"))

    with pytest.raises(TypeError) as caught:
        ask(_Given(runtime, task))

    assert sentence in str(caught.value)
    assert task.status not in {"completed", "failed"}
    task.stop()


def test_what_is_shown_of_tasks_is_short(runtime: Runtime) -> None:
    task = runtime.submit(submitted.add, 1, second=2)
    task.result(PATIENCE)

    assert repr(task.view()) == f"<TaskView {task.id} of add: completed>"
    assert repr(task.follow()) == f"<Stream of the output of {task.id}>"
    with task.events() as own, runtime.events() as events:
        assert repr(own) == f"<EventStream of {task.id}>"
        assert repr(events) == "<EventStream of all tasks>"


def test_a_copy_of_a_handle_is_the_handle(runtime: Runtime) -> None:
    task = runtime.submit(submitted.add, 1, second=2)

    assert copy.copy(task) is task
    assert copy.deepcopy({"of": [task]})["of"][0] is task
    assert task.result(PATIENCE) == 3


def test_a_class_that_no_data_becomes_is_told_with_its_place_where_it_may_be_missing(runtime: Runtime) -> None:
    assert runtime.submit(print).result(PATIENCE, type=_Plain | None) is None
    assert runtime.submit(abs, -1).result(PATIENCE, type=int | None) == 1
    with pytest.raises(NotOfTypeError, match=r"plain data cannot become _Plain, but a dataclass.* at result$"):
        runtime.submit(str, 1).result(PATIENCE, type=_Plain | None)


@pytest.mark.parametrize("given", ["team.yaml", {"agents": {}}, 0, Path("team.yaml")])
@pytest.mark.parametrize("kind", [Runtime, AsyncRuntime])
def test_a_runtime_of_what_is_no_team_says_how_one_is_made(kind: Any, given: Any) -> None:
    with pytest.raises(TypeError, match=r"team is of type .*; it must be a Team\. .*Runtime\.from_file reads"):
        kind(given)


def test_tasks_to_wait_for_and_to_stop_are_given_as_a_list_or_one_by_one(runtime: Runtime) -> None:
    one, other = (runtime.submit(submitted.add, number) for number in range(2))

    assert [view.id for view in runtime.wait(one, other)] == [view.id for view in runtime.wait([one, other])]
    assert [view.id for view in runtime.wait(one)] == [one.id]
    assert [view.id for view in runtime.stop([one, other])] == [view.id for view in runtime.stop(one, other.id)]


def test_as_completed_counts_the_tasks_that_have_not_ended(runtime: Runtime, tmp_path: Path) -> None:
    tasks = [runtime.submit(submitted.wait_for, str(tmp_path / "never")) for _ in range(2)]

    with pytest.raises(TimeoutError, match=r"^1 task has not ended after 0 s; it goes on\.$"):
        list(runtime.as_completed(tasks[:1], timeout=0))
    with pytest.raises(TimeoutError, match=r"^2 tasks have not ended after 0 s; they go on\.$"):
        list(runtime.as_completed(tasks, timeout=0))
    runtime.stop(tasks)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda task: task.model.ask(5), "A conversation is text, or a list of messages, and this is of type int."),
        (
            lambda task: task.model.ask({"role": "user"}),
            "A conversation is text, or a list of messages, and this is of",
        ),
        (
            lambda task: task.tools.call("think", 1),
            "The arguments of a tool are a mapping, or JSON text, and these are",
        ),
        (lambda task: task.tools.call(5, {}), "The name of a tool is text, and this is of type int."),
        (lambda task: task.emit(5), "emit takes text, and this is of type int."),
    ],
)
def test_what_a_task_cannot_take_from_its_own_function_is_a_sentence(
    runtime: Runtime, ask: Callable[[Any], object], sentence: str
) -> None:
    with pytest.raises(TaskFailed) as caught:
        runtime.submit(lambda: ask(current_task())).result(PATIENCE)

    assert caught.value.reason.startswith(f"TypeError: {sentence}")
