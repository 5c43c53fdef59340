"""Where a program has its tasks run, and what it is told of nodes. No node comes here; `nodes/` has tests with some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import AsyncRuntime, EntrypointTask, RequirementError, RunError, Runtime, TaskFailed
from teams import entrypoint, entrypoint_team, model, plan, run_and_wait
from unreachable_places import needs_ssh, silent_place, unknown_place

PATIENCE = 30.0


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(entrypoint_team(), standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.mark.parametrize(
    "start",
    [
        lambda runtime: runtime.run("echo", "x", place="pair"),
        lambda runtime: runtime.submit(len, "x", place="pair"),
        lambda runtime: next(runtime.map(len, ["x"], place="pair")),
        lambda runtime: next(runtime.map("echo", ["x"], place="pair")),
    ],
)
def test_a_place_that_there_is_not_is_refused(runtime: Runtime, start: Callable[[Runtime], object]) -> None:
    with pytest.raises(RunError, match=r"There is no place 'pair'. This runtime has none"):
        start(runtime)


def test_a_place_that_is_no_name_is_refused(runtime: Runtime) -> None:
    wrong: Any = 3
    with pytest.raises(TypeError, match="place is of type int"):
        runtime.submit(len, "x", place=wrong)


def test_an_empty_place_is_this_machine(runtime: Runtime) -> None:
    assert runtime.submit(len, "x", place="").result(PATIENCE) == 1
    assert list(runtime.map(len, ["x", "yz"], place="", chunksize=2)) == [1, 2]


def test_there_are_no_nodes_without_places(runtime: Runtime) -> None:
    assert runtime.nodes() == []
    with pytest.raises(RunError, match="There is no node 'box1': all tasks of this runtime run on the host's own"):
        runtime.drain("box1")


def test_nodes_are_asked_for_in_an_event_loop_too() -> None:
    async def ask() -> None:
        async with AsyncRuntime(standby=0) as runtime:
            assert await runtime.nodes() == []
            with pytest.raises(RunError, match="There is no node 'box1'"):
                await runtime.drain("box1", stop=True)
            with pytest.raises(RunError, match="There is no place 'pair'"):
                await runtime.submit(len, "x", place="pair")
            with pytest.raises(RunError, match="There is no place 'pair'"):
                async for _ in runtime.map(len, ["x"], place="pair"):
                    pass

    asyncio.run(ask())


def starts_elsewhere(task: EntrypointTask) -> str:
    try:
        task.runtime.run("echo", "x", place="pair")
    except RunError as error:
        return str(error)
    return "started"


def test_a_task_may_only_name_a_place_that_the_team_has() -> None:
    team = entrypoint_team()
    team["agents"]["starts"] = {"entrypoint": starts_elsewhere, "sub_agents": ["echo"]}
    with Runtime.from_mapping(team, standby=0) as runtime:
        assert run_and_wait(runtime, "starts").result.startswith("There is no place 'pair'.")


# --- a place without a node -----------------------------------------------------------------------------------------


@needs_ssh
def test_a_task_says_that_it_waits_for_a_node() -> None:
    with Runtime.from_mapping(entrypoint_team(), standby=0, places=[silent_place()], place="far") as runtime:
        task = runtime.run("echo", "x")
        wait_until(lambda: task.view().doing, "it says what it waits for")
        view = task.view()
        here = runtime.run("echo", "x", place="")
        (node,) = runtime.nodes()

        assert (view.status, view.doing, view.node) == ("starting", "waiting for a node of place far", "")
        assert view.doing_began_at is not None
        assert here.result(PATIENCE) == "x"
        assert (node.place, node.name, node.state, node.tasks) == ("far", "box1", "connecting", 0)
        assert task.stop().status == "stopped"


@needs_ssh
def test_a_group_is_on_the_host_and_its_items_are_where_their_agent_is() -> None:
    team = {
        "agents": {
            "lead": model(
                "follows_a_plan", sub_agents=["echo"], toolsets=[{"type": "background_agents", "fan_out": True}]
            ),
            "echo": entrypoint("echo", place="far"),
        }
    }
    script = plan([["map_background_agent", {"agent": "echo", "task": "do {item}", "items": ["a"]}]], {"answer": "x"})
    with Runtime.from_mapping(team, standby=0, places=[silent_place()]) as runtime:
        lead = runtime.run("lead", script)
        wait_until(lambda: any(view.doing.endswith("place far") for view in runtime.list()), "the item waits")
        states = {view.agent: (view.status, view.doing) for view in runtime.list()}
        lead.stop()

    assert states["map_echo"][0] == "running"
    assert states["echo"] == ("starting", "waiting for a node of place far")


@needs_ssh
def test_what_an_agent_needs_is_not_looked_for_here_if_it_runs_elsewhere() -> None:
    server = {"type": "mcp", "command": "no-such-program"}
    team = {"agents": {"root": model("follows_a_plan", toolsets=[server], place="gone")}}
    with Runtime.from_mapping(team, standby=0, places=[unknown_place()]) as runtime:
        with pytest.raises(TaskFailed, match="place gone has no node"):
            runtime.run("root", "x").result(PATIENCE)
        with pytest.raises(RequirementError, match="no-such-program"):
            runtime.run("root", "x", place="")
