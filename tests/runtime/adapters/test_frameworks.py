"""Other frameworks: their agents with the tools of one of ours, and their agents as tasks of ours."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from framework_loops import FRAMEWORKS, run_with_tools, skip_without
from model_server import Calls, ModelServer, Reply, Request, Stall, Status, Text
from strict_server_rules import roles
from subactors.runtime import AsyncRuntime, Runtime, TaskView

pytestmark = pytest.mark.timeout(150)
"""Frameworks take seconds to import, and a busy machine takes several times as many."""

TEAM: dict[str, Any] = {
    "agents": {
        "boss": {
            "model": "python/python_models:follows_a_plan",
            "sub_agents": ["echo", "wait"],
            "toolsets": [{"type": "background_agents"}],
        },
        "echo": {"entrypoint": "entrypoints:echo"},
        "wait": {"entrypoint": "entrypoints:waits"},
    }
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    skip_without(name)
    return name


def _task_id(answer: str) -> str:
    return re.findall(r"agent_task_\w+", answer)[0]


def test_an_agent_of_a_framework_starts_tasks_and_reads_their_results(framework: str) -> None:
    def script(request: Request) -> Reply:
        match request.turn:
            case 0:
                start = ("run_background_agent", {"agent": "echo", "task": "one"})
                return Calls(start, ("transfer_task", {"agent": "echo", "task": "two"}))
            case 1:
                return Calls(("view_background_agent", {"task_id": _task_id(request.tool_answers[0])}))
            case _:
                return Text(request.tool_answers[0])

    async def main(url: str) -> str:
        async with AsyncRuntime.from_mapping(TEAM, standby=0) as runtime:
            with await runtime.toolset("boss") as tools:
                return await run_with_tools(framework, url, tools, "Go.")

    with ModelServer(script) as server:
        answer = asyncio.run(main(server.base_url))

    first, second, *_ = server.requests
    assert "transfer_task" in first.tools
    assert "## Background agents" in first.system
    assert second.tool_answers[1].startswith("two")
    assert "agent_task_" in answer


_BLOCK = re.compile(r"<background_agents>.*?</background_agents>", re.DOTALL)


def _told(request: Request) -> list[list[str]]:
    """Return what each message of a request tells of tasks; none is a message of its own."""
    assert re.fullmatch(r"su((Ct+)*au)*(Ct+)*", roles(request.messages))
    return [_BLOCK.findall(str(message["content"])) for message in request.messages]


def _counted(request: Request) -> int:
    return sum(map(len, _told(request)))


def test_a_framework_is_told_of_an_end_once_at_one_place_with_the_head_of_its_result(framework: str) -> None:
    script = [
        Calls(("run_background_agent", {"agent": "echo", "task": "one"})),
        Calls(("transfer_task", {"agent": "echo", "task": "two"})),  # by its end the first has ended, too
        Calls(("transfer_task", {"agent": "echo", "task": "three"})),
        Text("Done."),
        Text("Nothing new."),
    ]

    async def main(url: str) -> str:
        async with AsyncRuntime.from_mapping(TEAM, max_running=1, standby=0) as runtime:
            with await runtime.toolset("boss") as tools:
                return await run_with_tools(framework, url, tools, "Go.", "And?")

    with ModelServer(script) as server:
        assert asyncio.run(main(server.base_url)) == "Nothing new."

    first, second, *later = server.requests
    assert _counted(first) == 0
    # It may have ended before the model was asked again.
    assert {_counted(request) for request in later} == {1}
    (place,) = {index for request in later for index, told in enumerate(_told(request)) if told}
    assert place == (3 if _counted(second) else 5)
    assert re.search(r"\(echo\): completed after .*\nResult:\n\| one", _told(later[0])[place][0])
    assert all(request.messages[: len(later[0].messages)] == later[0].messages for request in later)


def test_a_framework_is_told_with_what_the_user_says_and_again_if_the_request_has_failed(framework: str) -> None:
    async def main(url: str) -> None:
        async with AsyncRuntime.from_mapping(TEAM, standby=0) as runtime:
            with await runtime.toolset("boss") as tools:
                start = json.dumps({"agent": "echo", "task": "one"})
                await runtime.wait([(await tools.acall("run_background_agent", start)).data["task_id"]])
                assert await run_with_tools(framework, url, tools, "Go.", "Go on.", "And?") == "Nothing new."

    with ModelServer([Status(400, "out of order"), Text("I see."), Text("Nothing new.")]) as server:
        asyncio.run(main(server.base_url))

    _, again, last = server.requests
    assert _counted(again) == _counted(last) == 1
    assert str(again.messages[1]["content"]).startswith("Go on.")
    assert "| one" in _told(again)[1][0]
    assert last.messages[1] == again.messages[1]


def test_what_a_framework_reads_of_a_wrong_call_says_what_would_be_right(framework: str) -> None:
    script = [Calls(("run_background_agent", {"agent": "nobody", "task": "x"})), Text("Done.")]

    async def main(url: str) -> str:
        async with AsyncRuntime.from_mapping(TEAM, standby=0) as runtime:
            with await runtime.toolset("boss") as tools:
                return await run_with_tools(framework, url, tools, "Go.")

    with ModelServer(script) as server:
        assert asyncio.run(main(server.base_url)) == "Done."

    assert "nobody" in server.requests[1].tool_answers[0]
    assert "echo" in server.requests[1].tool_answers[0]


def test_a_run_of_a_framework_that_is_cancelled_stops_no_task(framework: str) -> None:
    calls = Calls(("transfer_task", {"agent": "wait", "task": "x"}))

    async def main(url: str) -> list[TaskView]:
        async with AsyncRuntime.from_mapping(TEAM, stop_grace=0.2, standby=0) as runtime:
            with await runtime.toolset("boss") as tools:
                running = asyncio.create_task(run_with_tools(framework, url, tools, "Go."))
                while not any(view.status == "running" for view in await runtime.list()):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
                # What the cancelled call has asked for was asked before this.
                answer = await tools.acall("list_background_agents")
                assert "running" in answer.text
                return await runtime.list()

    with ModelServer([calls]) as server:
        (view,) = asyncio.run(main(server.base_url))

    assert view.status == "running"


def _with_helpers(framework: str, **settings: Any) -> Runtime:
    """Return a host for which the framework's agent is a function, once as it is and once with a limit."""
    helper = {"entrypoint": f"agents_of_{framework}:helper"}
    limited = {**helper, "limits": {"tokens": 1000}}
    return Runtime.from_mapping({"agents": {"helper": helper, "limited": limited}}, standby=0, **settings)


@pytest.fixture(params=FRAMEWORKS, scope="module")
def helpers(request: pytest.FixtureRequest) -> Iterator[tuple[Runtime, int]]:
    """One host for the tests of a framework, which has it imported ahead; and the port of its tasks' model."""
    skip_without(request.param)
    with pytest.MonkeyPatch.context() as patch, socket.socket() as kept:
        # Nobody else gets the port between two servers, which may share it with what does not listen.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port: int = kept.getsockname()[1]
        patch.setenv("MODEL_SERVER_URL", f"http://127.0.0.1:{port}/v1")
        with _with_helpers(request.param, preload=(f"agents_of_{request.param}",)) as runtime:
            with ModelServer([Text("warm up")], port):
                runtime.run("helper", "Warm up.").result(timeout=120)
            yield runtime, port


def test_an_agent_of_a_framework_is_an_entrypoint_whose_words_are_output(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [Calls(("task_id", {}), text="Let me see."), Text("It is done.")]
    with ModelServer(script) as server:
        monkeypatch.setenv("MODEL_SERVER_URL", server.base_url)
        with _with_helpers(framework) as runtime:
            task = runtime.run("helper", "Do it.", expected_output="One line.", data={"n": 1})
            assert task.result(timeout=120) == "It is done."
            view = task.view()

    first, second = server.requests
    assert first.system == "Help."
    (asked,) = [str(message["content"]) for message in first.messages if message["role"] == "user"]
    assert asked == 'Do it.\n\nData:\n{"n": 1}\n\nExpected output:\nOne line.'
    assert second.tool_answers == [task.id]
    assert view.output.replace("\n", "") == "Let me see.It is done."


def test_the_usage_of_a_frameworks_agent_is_its_tasks(helpers: tuple[Runtime, int]) -> None:
    script = [Calls(("task_id", {}), usage=(100, 20)), Text("It is done.", usage=(200, 30))]
    runtime, port = helpers
    with ModelServer(script, port):
        task = runtime.run("helper", "Do it.")
        task.result(timeout=120)
        usage = task.view().usage

    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (300, 50, 2)


def test_answers_of_a_model_that_tells_no_usage_are_counted(helpers: tuple[Runtime, int]) -> None:
    script = [Calls(("task_id", {}), usage=None), Text("It is done.", usage=None)]
    runtime, port = helpers
    with ModelServer(script, port):
        task = runtime.run("helper", "Do it.")
        task.result(timeout=120)
        usage = task.view().usage

    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (0, 0, 2)


def test_a_limit_on_tokens_holds_for_a_frameworks_agent(helpers: tuple[Runtime, int]) -> None:
    calls = Calls(("task_id", {}), usage=(900, 200))
    runtime, port = helpers
    with ModelServer(lambda request: calls if request.turn == 0 else Stall(), port):
        (view,) = runtime.wait([runtime.run("limited", "Do it.")], timeout=120)

    assert view.status == "failed"
    assert "tokens" in (view.reason or "")


def test_a_frameworks_agent_ends_with_its_task(helpers: tuple[Runtime, int]) -> None:
    runtime, port = helpers
    with ModelServer([Stall()], port) as server:
        task = runtime.run("helper", "Do it.")
        server.wait_for_requests(1)
        assert task.stop().status == "stopped"
        server.wait_for_disconnects(1)
