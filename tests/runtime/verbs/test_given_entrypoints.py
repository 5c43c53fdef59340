"""Entrypoints that a program gives as functions, and not as names."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import typed_entrypoints as typed
from subactors.runtime import (
    AgentConfig,
    EntrypointTask,
    NotOfTypeError,
    Runtime,
    TaskFailed,
    Team,
    TeamFileError,
)
from subactors.runtime.teamfile.load import team_from_mapping

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

PATIENCE = 30.0


@contextlib.contextmanager
def _runtime(**entrypoints: Callable[..., Any]) -> Iterator[Runtime]:
    agents = {name: {"entrypoint": function} for name, function in entrypoints.items()}
    with Runtime.from_mapping({"agents": agents}, standby=0) as runtime:
        yield runtime


@dataclass
class _Part:
    size: int


class _Greeter:
    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, task: EntrypointTask) -> str:
        return f"{self.word} {task.text}"

    def twice(self, task: EntrypointTask) -> str:
        return f"{self.word} {self.word} {task.text}"


def test_an_agent_is_any_callable() -> None:
    word = "hello"

    async def later(task: EntrypointTask) -> str:
        return f"{word} {task.text}"

    with _runtime(
        named=typed.takes_no_data,
        closure=lambda task: f"{word} {task.text}",
        later=later,
        method=_Greeter("good").twice,
        instance=_Greeter("good"),
        partial=functools.partial(lambda word, task: f"{word} {task.text}", "dear"),
    ) as runtime:
        said = {name: runtime.run(name, "you") for name in runtime.team.agents}

        assert {name: task.result(PATIENCE) for name, task in said.items()} == {
            "named": "you",
            "closure": "hello you",
            "later": "hello you",
            "method": "good good you",
            "instance": "good you",
            "partial": "dear you",
        }
        assert {task.view().agent for task in said.values()} == said.keys()


def test_what_a_module_has_goes_by_its_name() -> None:
    team = team_from_mapping({"agents": {"a": {"entrypoint": typed.plain}, "b": {"entrypoint": lambda _: 1}}})

    assert team.agents["a"].entrypoint == "typed_entrypoints:plain"
    assert str(team.agents["b"].entrypoint) == "function '<lambda>'"


def test_a_team_that_is_built_in_python_takes_functions_too() -> None:
    number = 5
    agent: Any = AgentConfig(name="a", entrypoint=lambda task: [number, task.data])  # type: ignore[arg-type]

    with Runtime(Team(source="<python>", agents={"a": agent}, root="a"), standby=0) as runtime:
        assert runtime.run("a", "go", data=1).result(PATIENCE) == [5, 1]


def test_data_is_checked_here_for_a_function_that_was_given() -> None:
    def weigh(task: EntrypointTask, part: _Part) -> int:
        del task
        return part.size

    with _runtime(weigh=weigh) as runtime:
        with pytest.raises(NotOfTypeError, match=r"Expected `int`, got `str` at data\['size'\]"):
            runtime.run("weigh", "go", data={"size": "large"})
        with pytest.raises(TypeError, match="There is no data for 'part'"):
            runtime.run("weigh", "go")
        assert runtime.run("weigh", "go", data=_Part(4)).result(PATIENCE) == 4


def test_a_failure_shows_the_lines_of_a_function_that_was_given() -> None:
    def fails(_: EntrypointTask) -> None:
        raise ValueError("mine")

    with _runtime(a=fails) as runtime, pytest.raises(TaskFailed) as caught:
        runtime.run("a", "go").result(PATIENCE)

    assert f'File "{__file__}"' in caught.value.traceback
    assert 'raise ValueError("mine")' in caught.value.traceback


def test_a_function_that_cannot_be_an_entrypoint_is_a_mistake_of_the_team() -> None:
    lock = threading.Lock()

    def generates(_: EntrypointTask) -> Iterator[int]:
        yield 1

    with pytest.raises(TeamFileError) as caught:
        team_from_mapping({"agents": {"a": {"entrypoint": generates}, "b": {"entrypoint": lambda _: lock}}})

    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == 2
    assert "agents.a.entrypoint" in problems[0]
    assert "generates is a generator function" in problems[0]
    assert "agents.b.entrypoint" in problems[1]
    assert "the variable 'lock' of function '" in problems[1]
    assert "is a thread lock. Make it in the function. Give a function that can be sent" in problems[1]


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ({"entrypoint": 5}, "This must be the name of a function, or in Python a function, not 5. Write it as `pack"),
        ({"model": print}, "This must be text, not a value of type builtin_function_or_method. Name it: `python/pack"),
    ],
)
def test_what_is_no_function_s_name_is_told_that_a_function_would_do(agent: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TeamFileError) as caught:
        team_from_mapping({"agents": {"a": agent}})

    assert sentence in str(caught.value)
