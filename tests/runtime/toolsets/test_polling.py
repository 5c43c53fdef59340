"""Looking at background tasks: as often as a model likes while one runs, and not for ever once none does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import pytest
from agent_loops import ECHO, AgentConfig, AgentLoop, Listener, Scripted, Tools, calls, user
from model_server import Calls, ModelServer, Reply, Request, Text
from subactors.runtime import Runtime
from subactors.runtime.errors import LoopError
from subactors.runtime.models.base import Turn
from subactors.runtime.toolsets.base import NoParameters, Tool, ToolAnswer, ToolBox, Toolset
from subactors.runtime.toolsets.think import ThinkToolset

LIST = ("list", "{}")


class _Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task_id: Annotated[str, msgspec.Meta(description="Which.")]


class Tasks(Toolset):
    """Looks at tasks that run for so many looks, and never end if that is -1."""

    def __init__(self, runs_for: int = 0) -> None:
        self.looks = 0
        self._runs_for = runs_for

    @property
    def tools(self) -> Sequence[Tool]:
        return (
            Tool("list", "Lists.", NoParameters, self._list, polling=True),
            Tool("view", "Views.", _Which, self._view, polling=True),
        )

    async def at_work(self) -> bool:
        return self._runs_for < 0 or self.looks < self._runs_for

    async def _list(self, _: NoParameters) -> ToolAnswer:
        self.looks += 1
        return ToolAnswer("two tasks, with something else each time: " + str(self.looks))

    async def _view(self, which: _Which) -> ToolAnswer:
        self.looks += 1
        known = which.task_id in {"a", "b", "c"}
        return ToolAnswer("a result" if known else "no such task", is_error=not known)


def view(task_id: str) -> tuple[str, str]:
    return ("view", f'{{"task_id": "{task_id}"}}')


def looks_of(turn: Callable[[int], Turn], tasks: Tasks, turns: int = 100) -> int:
    """Return after how many looks a loop is ended that would look for ever; fail if it is not."""
    loop = AgentLoop(
        AgentConfig(name="finder"),
        Scripted(*[turn(number) for number in range(turns)]),
        ToolBox([tasks, Tools(ECHO)]),
        Listener(),
    )
    with pytest.raises(LoopError, match="none of its background tasks runs"):
        asyncio.run(loop.run(user("Go")))
    return tasks.looks


def test_looking_while_something_runs_is_no_repetition() -> None:
    tasks = Tasks(runs_for=-1)
    turns = [*[calls(LIST)] * 20, *[calls(view("a")), calls(LIST)] * 10, Turn("done")]
    loop = AgentLoop(AgentConfig(name="finder"), Scripted(*turns), ToolBox([tasks]), Listener())
    assert asyncio.run(loop.run(user("Go"))) == "done"


def test_looking_once_nothing_runs_any_more_ends_the_loop() -> None:
    assert looks_of(lambda _: calls(LIST), Tasks()) < 10
    assert looks_of(lambda _: calls(LIST), Tasks(runs_for=30)) < 40


@pytest.mark.parametrize(
    ("turn", "most"),
    [
        (lambda number: calls(LIST if number % 2 else view("a")), 12),
        (lambda number: calls((LIST, view("a"), view("b"), view("c"))[number % 4]), 16),
        (lambda number: calls(LIST, view("a"), content=f"Still waiting, {number}."), 20),
        (lambda number: calls(view(f"made up {number}")), 12),
        (lambda number: calls(("list", " {} " * (number % 2))), 12),
        (lambda number: calls(("list", f'{{"verbose": {number}}}')), 12),
    ],
    ids=["in turn", "in turn, several", "with other text", "of tasks that are not there", "white space", "arguments"],
)
def test_looking_at_several_things_in_turn_ends_the_loop_as_well(turn: Callable[[int], Turn], most: int) -> None:
    assert looks_of(turn, Tasks()) < most


def test_a_call_that_is_always_the_same_does_not_make_looking_progress() -> None:
    assert looks_of(lambda number: calls(LIST if number % 2 else ("echo", '{"word": "a"}')), Tasks()) < 10


THINK = "think"


@pytest.mark.parametrize(
    "between",
    [
        lambda number: (THINK, f'{{"thought": "Thought {number}."}}'),
        lambda number: (f"made_up_{number}", "{}"),
        lambda number: ("echo", f'{{"wrong": {number}}}'),
        lambda _: ("", ""),
    ],
    ids=["a thought", "a tool that is not there", "a call that fails", "a call without a name"],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_what_has_no_effect_between_two_looks_is_no_progress(
    between: Callable[[int], tuple[str, str]], at_once: bool
) -> None:
    def turn(number: int) -> Turn:
        if at_once and between(number)[0] != "echo":
            return calls(LIST, between(number))
        return calls(LIST if number % 2 else between(number))

    tasks = Tasks()
    loop = AgentLoop(
        AgentConfig(name="finder"),
        Scripted(*[turn(number) for number in range(100)]),
        ToolBox([tasks, ThinkToolset(), Tools(ECHO)]),
        Listener(),
    )
    with pytest.raises(LoopError, match="none of its background tasks runs"):
        asyncio.run(loop.run(user("Go")))
    assert tasks.looks < 10


def test_thinking_between_two_looks_is_patience_while_something_runs() -> None:
    turns = [turn for number in range(20) for turn in (calls(LIST), calls((THINK, f'{{"thought": "{number}"}}')))]
    tools = ToolBox([Tasks(runs_for=-1), ThinkToolset()])
    loop = AgentLoop(AgentConfig(name="finder"), Scripted(*turns, Turn("done")), tools, Listener())
    assert asyncio.run(loop.run(user("Go"))) == "done"


def test_work_that_follows_some_idle_looks_is_done() -> None:
    work = [calls(("echo", f'{{"word": "{number}"}}')) for number in range(3)]
    thoughts = [calls((THINK, f'{{"thought": "{number}"}}')) for number in range(20)]
    turns = [*[calls(LIST)] * 6, *work, *[calls(LIST)] * 3, *thoughts]
    tools = ToolBox([Tasks(), ThinkToolset(), Tools(ECHO)])
    loop = AgentLoop(AgentConfig(name="finder"), Scripted(*turns, Turn("done")), tools, Listener())
    assert asyncio.run(loop.run(user("Go"))) == "done"


def test_reading_all_results_and_some_of_them_again_is_no_repetition() -> None:
    turns = [calls(LIST), *[calls(view(name)) for name in "abcabc"], Turn("done")]
    loop = AgentLoop(AgentConfig(name="finder"), Scripted(*turns), ToolBox([Tasks()]), Listener())
    assert asyncio.run(loop.run(user("Go"))) == "done"


def test_work_between_two_looks_is_progress() -> None:
    turns = [turn for number in range(20) for turn in (calls(LIST), calls(("echo", f'{{"word": "{number}"}}')))]
    loop = AgentLoop(
        AgentConfig(name="finder"), Scripted(*turns, Turn("done")), ToolBox([Tasks(), Tools(ECHO)]), Listener()
    )
    assert asyncio.run(loop.run(user("Go"))) == "done"


def team(url: str) -> dict[str, Any]:
    agents = {
        "chief": {
            "model": "m",
            "instruction": "chief",
            "sub_agents": ["worker"],
            "toolsets": [{"type": "background_agents"}],
        },
        "worker": {"model": "m", "instruction": "worker"},
    }
    return {"agents": agents, "models": {"m": {"provider": "vllm", "model": "x", "base_url": url}}}


def test_an_orchestrator_that_lists_its_tasks_for_ever_is_ended_soon_after_the_last_one() -> None:
    def reply(request: Request) -> Reply:
        if not request.tools:
            return Text("The result.")
        if not request.tool_answers:
            return Calls(("run_background_agent", {"agent": "worker", "task": "Work."}))
        if "completed" in str(request.tool_answers):
            after.append(request)
        return Calls(("list_background_agents", {}))

    after: list[Request] = []
    with ModelServer(reply) as server, Runtime.from_mapping(team(server.base_url)) as runtime:
        (ended,) = runtime.wait([runtime.run("chief", "Go.")], timeout=60)
    assert ended.status == "failed"
    assert "none of its background tasks runs" in ended.reason
    assert len(after) < 10
