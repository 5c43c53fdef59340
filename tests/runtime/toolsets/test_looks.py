"""Looks at tasks by models that poll: one piece of news lets go of one look."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from subactors.runtime.tasks.gateway import Gateway
from subactors.runtime.tasks.messages import RunTask
from subactors.runtime.toolsets import looks
from teams import entrypoint_team, model, run_and_wait
from told_orchestrators import BACKGROUND, PATIENCE, conversation

LIST, VIEW = "list_background_agents", "view_background_agent"
ENDS = 12


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    poller = model("polls_many", sub_agents=["says_in_steps"], toolsets=[BACKGROUND])
    with Runtime.from_mapping(entrypoint_team(poller=poller), poll_wait=PATIENCE, standby=0) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def _silent_until(file: Path) -> dict[str, str]:
    return {"agent": "says_in_steps", "task": json.dumps([{"after": str(file), "text": ""}])}


@pytest.mark.parametrize(
    "polled",
    [
        pytest.param([LIST], id="lists"),
        pytest.param([VIEW], id="views", marks=pytest.mark.slow),
        pytest.param([LIST, VIEW], id="both in turn", marks=pytest.mark.slow),
    ],
)
def test_a_model_that_polls_makes_at_most_thirteen_turns_for_ten_ends(
    runtime: Runtime, tmp_path: Path, polled: list[str]
) -> None:
    files = [tmp_path / str(number) for number in range(ENDS)]
    task = runtime.run("poller", json.dumps({"starts": [*map(_silent_until, files)], "looks": polled}))
    # Of what it views, it looks at the last one.
    for number, file in enumerate(files):
        wait_until(lambda number=number: _looks(runtime, task.id) > number, "it has looked again", limit=PATIENCE)
        time.sleep(2 * looks._STEP)  # for looks too many; those that are right are held for longer
        file.touch()

    assert int(task.result(PATIENCE)) <= 1.3 * ENDS


@pytest.fixture
def gateway(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """That of a caller whose looks are held until there is news."""
    monkeypatch.setattr(looks, "_FIRST", 10 * PATIENCE)
    return runtime._host.gateway("poller")


def test_that_a_task_runs_now_is_no_news(runtime: Runtime, gateway: Gateway, tmp_path: Path) -> None:
    async def follow() -> None:
        held = looks.Looks(gateway, most=10 * PATIENCE)
        task = gateway.ask(RunTask(**_silent_until(tmp_path / "go"))).result(PATIENCE).task_id
        await held.list()
        second = asyncio.create_task(held.list())
        while runtime.view(task).status != "running":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await asyncio.wait([second], timeout=3 * looks._STEP)
        assert not second.done()
        runtime.stop(task)
        await asyncio.wait_for(second, PATIENCE)

    asyncio.run(follow())


@pytest.mark.parametrize("notify", [True, False])
def test_the_end_of_another_task_lets_go_of_a_view_if_it_is_told_with_it(
    runtime: Runtime, gateway: Gateway, tmp_path: Path, notify: bool
) -> None:
    async def follow() -> None:
        held = looks.Looks(gateway, most=10 * PATIENCE, notify=notify)
        asked = [gateway.ask(RunTask(**_silent_until(tmp_path / name))) for name in "ab"]
        viewed, other = [one.result(PATIENCE).task_id for one in asked]
        await held.hold("view", [viewed])
        second = asyncio.create_task(held.hold("view", [viewed]))
        runtime.stop(other)
        await asyncio.wait([second], timeout=3 * looks._STEP)
        assert second.done() == notify
        third = asyncio.create_task(held.hold("view", [viewed]))
        await asyncio.wait([third], timeout=3 * looks._STEP)
        assert not third.done()
        (tmp_path / "a").touch()
        await asyncio.wait_for(asyncio.gather(second, third), PATIENCE)

    asyncio.run(follow())


def _looks(runtime: Runtime, task: str) -> int:
    """How many looks of a poller have been answered."""
    return sum(message["role"] == "tool" for message in conversation(runtime, task)) - ENDS
