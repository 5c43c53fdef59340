"""`subactors mcp` over standard input and output, with the protocol of 2026-07-28, and in a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.stdio import StdioServerParameters
from mcp_face import EXTENSION, MODERN, User, asks, called, command, environ, run
from processes_and_waits import descendants_of, is_gone, wait_until


def with_client(folder: Path, work: Callable[[Client], Awaitable[Any]], ask: str = "think", **options: Any) -> Any:
    """Do something with a server, as a client of 2026-07-28; of one tool a person is asked whether it may be called."""
    server = pipes(folder)
    team = folder / "team.yaml"
    team.write_text(team.read_text().replace("ask: [think]", f"ask: [{ask}]"))

    async def main() -> Any:
        async with Client(server, mode=MODERN, **options) as client:
            return await work(client)

    return asyncio.run(main())


def pipes(folder: Path) -> StdioServerParameters:
    program, *arguments = command(folder)
    return StdioServerParameters(command=program, args=arguments, env=environ())


def test_a_client_fans_out_looks_stops_answers_and_collects(tmp_path: Path) -> None:
    user = User()
    client = Client(pipes(tmp_path), mode="legacy", elicitation_callback=user.answer, logging_callback=user.hear)
    asyncio.run(user.fans_out(client))


def test_nothing_is_left_of_a_client_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_face import called, command, environ, run
from pathlib import Path

async def main():
    program, *arguments = command(Path({str(tmp_path)!r}))
    async with Client(StdioServerParameters(command=program, args=arguments, env=environ())) as client:
        task_id = await run(client, "waits")
        while "---\\nso far" not in await called(client, "view_background_agent", task_id=task_id):
            pass
        print(task_id, flush=True)
        await called(client, "wait_background_agents")

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environ()) as client:
        assert client.stdout is not None
        assert client.stdout.readline().startswith("agent_task_")
        others = descendants_of(client.pid)
        client.kill()
    assert len(others) >= 3  # the server, its zygote, and the task
    wait_until(lambda: all(is_gone(process.pid) for process in others), "the end of all", 30.0)


class Asked:
    """The user, who says the same to everything."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.questions: list[str] = []

    async def __call__(self, _: Any, params: Any) -> types.ElicitResult:
        self.questions.append(params.message)
        return types.ElicitResult(action="accept", content={"answer": self.word})


def test_what_a_task_asks_comes_with_the_answer_to_the_next_call(tmp_path: Path) -> None:
    user = Asked("Ada")

    async def work(client: Client) -> str:
        await called(client, "list_background_agents")  # by which it says that it can ask
        await run(client, "worker", asks("Your name?"))
        return await called(client, "wait_background_agents")

    assert "Ada" in with_client(tmp_path, work, elicitation_callback=user)
    assert len(user.questions) == 1


def test_a_call_that_starts_a_task_is_answered_while_the_user_is_asked_something_else(tmp_path: Path) -> None:
    asked, started = asyncio.Event(), asyncio.Event()

    async def answer(_: Any, _params: Any) -> types.ElicitResult:
        asked.set()
        await started.wait()
        return types.ElicitResult(action="accept", content={"answer": "Ada"})

    async def work(client: Client) -> str:
        await called(client, "list_background_agents")  # by which it says that it can ask
        await run(client, "worker", asks("Your name?"))
        waiting = asyncio.create_task(called(client, "wait_background_agents"))
        await asked.wait()
        await run(client, "echo")
        started.set()
        return await waiting

    assert "Ada" in with_client(tmp_path, work, elicitation_callback=answer)


@pytest.mark.slow
def test_an_approval_of_a_call_of_its_own_does_not_make_the_call_twice(tmp_path: Path) -> None:
    user = Asked("allow once")

    async def work(client: Client) -> str:
        await run(client, "echo")
        return await called(client, "list_background_agents")

    assert with_client(tmp_path, work, ask="run_background_agent", elicitation_callback=user).startswith("1 background")
    assert len(user.questions) == 1
    assert "wants to call the tool run_background_agent" in user.questions[0]


class _Created(types.Result):
    result_type: Literal["task"] = "task"
    task_id: str


class Tasks(ClientExtension):
    """What the package's client needs to take tasks of the protocol: it asks until there is a result."""

    identifier = EXTENSION

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=_Created, resolve=_settle)]


class _TaskParams(types.RequestParams):
    task_id: str


class _Got(types.Result):
    status: str
    result: dict[str, Any] | None = None


async def _settle(created: _Created, context: ClaimContext) -> types.CallToolResult:
    while True:
        request = types.Request[_TaskParams, str](method="tasks/get", params=_TaskParams(task_id=created.task_id))
        got = await context.session.send_request(request, _Got)  # type: ignore[arg-type]  # of an extension
        if got.result is not None:
            return types.CallToolResult.model_validate(got.result)
        await asyncio.sleep(0.01)


@pytest.mark.slow
def test_a_client_with_the_extension_gets_the_result_of_a_task_as_that_of_the_call(tmp_path: Path) -> None:
    async def work(client: Client) -> types.CallToolResult:
        return await client.call_tool("run_background_agent", {"agent": "echo", "task": "hello"})

    result = with_client(tmp_path, work, extensions=[Tasks()])
    assert "hello" in json.dumps(result.structured_content)
    assert result.structured_content["status"] == "completed"


def test_a_person_at_a_terminal_is_told_what_this_is(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    said = b""
    with subprocess.Popen(
        command(tmp_path), stdin=theirs, stdout=theirs, stderr=theirs, env=environ(), start_new_session=True
    ) as program:
        os.close(theirs)
        while b"people." not in said:
            said += os.read(ours, 65536)
        os.write(ours, b"\x04")
        assert program.wait(30) == 0
    os.close(ours)
    assert all(len(line) <= 80 for line in said.decode().splitlines())
    assert " ".join(said.decode().split()) == (
        "This is an MCP server: programs start it and speak to it. It awaits messages, not words; Ctrl-D ends it. "
        "`subactors run` speaks with people."
    )
