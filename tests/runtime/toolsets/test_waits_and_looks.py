"""Waits for tasks, looks at them that are held, and notices for loops of the host's own."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from subactors.runtime.child.letters import Letterbox
from subactors.runtime.tasks.messages import RunTask
from subactors.runtime.tasks.talk import Letter
from subactors.runtime.toolsets import looks
from teams import entrypoint_team, model
from told_orchestrators import (
    BACKGROUND,
    PATIENCE,
    agents,
    call_of,
    conversation,
    start,
    told_runtime,
)

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with told_runtime(tmp_path_factory.mktemp("state")) as runtime:
        yield runtime


# --- waiting --------------------------------------------------------------------------------------------------------


def test_a_wait_says_who_has_ended_and_how(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        for agent in ("echo", "raises"):
            toolset.call(*call_of(start(agent, agent)))
        answer = toolset.call("wait_background_agents", "{}")

    assert answer.text.startswith("All 2 have ended.\n")
    assert "(echo): completed after" in answer.text
    assert "Result:\n| echo" in answer.text
    assert "(raises): failed after" in answer.text
    assert answer.data["done"]
    assert [(task["status"], task["done"]) for task in answer.data["tasks"]] == [("completed", True), ("failed", True)]


def test_a_wait_whose_time_is_over_is_no_error_and_says_who_still_runs(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        toolset.call(*call_of(start("waits", "x")))
        answer = toolset.call("wait_background_agents", '{"timeout": 0.01}')
        for view in runtime.list():
            if not view.ended:
                runtime.stop(view.id)

    assert not answer.is_error
    assert "0 of 1 have ended. The others go on; nothing was stopped." in answer.text
    assert re.search(r"agent_task_\w+ \(waits\): (starting|running), ", answer.text)


def test_a_wait_for_any_is_over_with_the_first_end(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        toolset.call(*call_of(start("waits", "x")))
        toolset.call(*call_of(start("echo", "x")))
        answer = toolset.call("wait_background_agents", '{"mode": "any"}')
        for view in runtime.list():
            if not view.ended:
                runtime.stop(view.id)

    assert "1 of 2 has ended." in answer.text


def test_a_wait_for_nothing_is_answered_at_once(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        answer = toolset.call("wait_background_agents", "{}")

    assert answer.text == "None of your tasks runs: there is nothing to wait for."


def test_a_wait_for_what_is_not_there_says_what_is(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        answer = toolset.call("wait_background_agents", '{"task_ids": ["agent_task_0"]}')

    assert answer.is_error
    assert "There is no task 'agent_task_0' here." in answer.text


# --- looks in vain --------------------------------------------------------------------------------------------------


def test_looks_in_vain_are_held_until_there_is_news(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with (
        Runtime.from_mapping(entrypoint_team(**agents()), poll_wait=PATIENCE, standby=0) as runtime,
        runtime.toolset("waiting") as toolset,
    ):
        task = toolset.call(*call_of(start("waits_for_file", str(go)))).data["task_id"]
        wait_until(lambda: runtime.view(task).status == "running", "it runs")
        looks = 0
        while not runtime.view(task).ended:
            if looks == 3:
                go.touch()
            toolset.call("list_background_agents")
            looks += 1

    assert looks <= 6


def test_a_model_that_polls_makes_hardly_more_turns_than_there_is_news(tmp_path: Path) -> None:
    steps = [{"after": str(tmp_path / str(number)), "text": f"{number} "} for number in range(8)]
    begins = json.dumps({"agent": "says_in_steps", "task": json.dumps(steps)})
    poller = model("polls", sub_agents=["says_in_steps"], toolsets=[BACKGROUND])
    with Runtime.from_mapping(entrypoint_team(poller=poller), poll_wait=PATIENCE, standby=0) as runtime:
        task = runtime.run("poller", begins)
        for number in range(8):
            looks = _looks(runtime, task.id)
            (tmp_path / str(number)).touch()
            wait_until(lambda looks=looks: _looks(runtime, task.id) > looks, "it has looked again", limit=PATIENCE)
        turns = int(task.result(PATIENCE))

    assert turns <= 1.3 * (len(steps) + len(["starts", "runs", "ends"])) + 1


def test_waits_that_are_over_at_once_are_held_like_looks(tmp_path: Path) -> None:
    team = entrypoint_team(**agents())
    with (
        Runtime.from_mapping(team, poll_wait=600.0, standby=0) as runtime,
        runtime.toolset("waiting") as toolset,
        ThreadPoolExecutor(1) as pool,
    ):
        toolset.call(*call_of(start("waits_for_file", str(tmp_path / "go"))))
        wait_until(lambda: runtime.list()[0].output, "it has spoken", limit=PATIENCE)
        answers = [pool.submit(toolset.call, "wait_background_agents", '{"timeout": 0}') for _ in range(12)]
        answers[0].result(PATIENCE)
        (tmp_path / "go").touch()
        waits = [answer.result(PATIENCE) for answer in answers]

    # Held for a second, two, four, …: whether the end comes in the second wait or a later one, few are in vain.
    told = [wait.data["done"] for wait in waits]
    assert told.index(True) <= 3
    assert all(told[told.index(True) :])


def test_a_wait_never_says_of_a_task_that_has_ended_that_it_goes_on(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        for number in range(20):
            task_id = toolset.call(*call_of(start("echo", str(number)))).data["task_id"]
            done = False
            while not done:
                (task,) = toolset.call(
                    "wait_background_agents", json.dumps({"task_ids": [task_id], "timeout": 0})
                ).data["tasks"]
                done = task["done"]
                assert done == (task["status"] in {"completed", "failed", "stopped"})


def test_a_word_to_an_agent_lets_go_of_its_look(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_FIRST", 10 * PATIENCE)
    letterbox, gateway = Letterbox(), runtime._host.gateway("waiting")
    task = gateway.ask(RunTask("waits", "x")).result(PATIENCE).task_id
    wait_until(lambda: runtime.view(task).output, "it has said something")

    async def look() -> bool:
        held = looks.Looks(gateway, most=10 * PATIENCE, letters=letterbox)
        await held.list()
        second = asyncio.create_task(held.list())
        await asyncio.wait([second], timeout=0.5)
        was_held = not second.done()
        letterbox.put(Letter(1, "the host program", "Go on."))
        await asyncio.wait_for(second, PATIENCE)
        return was_held

    assert asyncio.run(look())
    runtime.stop(task)


def test_looks_are_not_held_where_that_is_switched_off() -> None:
    with (
        Runtime.from_mapping(entrypoint_team(**agents()), poll_wait=0, standby=0) as runtime,
        runtime.toolset("waiting") as toolset,
    ):
        task = toolset.call(*call_of(start("waits", "x"))).data["task_id"]
        wait_until(lambda: runtime.view(task).output, "it has said something")
        began = time.monotonic()
        answers = {
            toolset.call("view_background_agent", json.dumps({"task_id": task})).data["output"] for _ in range(50)
        }

        assert len(answers) == 1
        assert time.monotonic() - began < 30
        runtime.stop(task)


# --- loops of the host's own ----------------------------------------------------------------------------------------


def test_a_loop_of_the_hosts_own_is_told_of_each_end_once(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        assert toolset.notices() == ""
        task = toolset.call(*call_of(start("echo", "hello"))).data["task_id"]
        runtime.wait([task], timeout=PATIENCE)

        assert f"{task} (echo): completed after" in toolset.notices()
        assert toolset.notices() == ""


def test_a_loop_of_the_hosts_own_is_not_told_of_what_it_has_seen(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        toolset.call(*call_of(start("echo", "hello")))
        toolset.call("wait_background_agents")

        assert toolset.notices() == ""


def test_notices_that_are_awaited_are_those_that_are_not(runtime: Runtime) -> None:
    async def follow() -> list[str]:
        with runtime.toolset("waiting") as toolset:
            task = toolset.call(*call_of(start("echo", "hello"))).data["task_id"]
            runtime.wait([task], timeout=PATIENCE)
            return [await toolset.anotices(), await toolset.anotices(), toolset.notices()]

    told, *more = asyncio.run(follow())

    assert "(echo): completed after" in told
    assert more == ["", ""]


def test_a_loop_that_is_not_ours_is_promised_nothing_of_what_only_ours_does(runtime: Runtime) -> None:
    with runtime.toolset("waiting") as toolset:
        receipt = toolset.call(*call_of(start("echo", "hello"))).text
        toolset.call("wait_background_agents")

        assert "You will be told when it has ended" in receipt
        for promise in ("end your turn", "answer again", "are stopped"):
            assert promise not in receipt + toolset.instructions


def test_the_next_notice_comes_with_the_next_end_and_is_empty_when_nothing_runs(runtime: Runtime) -> None:
    async def follow() -> tuple[str, str]:
        with runtime.toolset("waiting") as toolset:
            await toolset.acall(*call_of(start("echo", "hello")))
            return await toolset.next_notice(), await toolset.next_notice()

    first, second = asyncio.run(follow())
    assert "Result:\n| hello\n" in first
    assert second == ""


def test_a_wait_for_a_notice_that_is_cancelled_takes_nothing_with_it(runtime: Runtime, tmp_path: Path) -> None:
    async def follow() -> str:
        with runtime.toolset("waiting") as toolset:
            await toolset.acall(*call_of(start("waits_for_file", str(tmp_path / "go"))))
            waiting = asyncio.create_task(toolset.next_notice())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            (tmp_path / "go").touch()
            return await toolset.next_notice()

    assert "| the file is there\n" in asyncio.run(follow())


def _looks(runtime: Runtime, task: str) -> int:
    return sum("still at work" in str(message["content"]) for message in conversation(runtime, task)[1:])
