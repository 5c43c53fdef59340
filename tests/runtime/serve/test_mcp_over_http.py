"""`subactors mcp --http`: several clients at a time, with the official client, each with its own tasks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp_face import (
    EXTENSION,
    HEADERS,
    MODERN,
    Server,
    User,
    asks,
    called,
    command,
    environ,
    http_server,
    run,
    tool_call,
)
from processes_and_waits import wait_until

SHORT = "1s"
"""How long clients of one of the servers may be away."""

LEFT = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose clients may be away for long."""
    with http_server(tmp_path_factory.mktemp("patient")) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose clients may be away for a second. Few ends may be unread there: one more than `LEFT`."""
    settings = f"max_tasks: {LEFT}, max_queued: 1"
    with http_server(tmp_path_factory.mktemp("hasty"), "--linger", SHORT, settings=settings) as server:
        yield server


def client_of(user: User, server: Server) -> Client:
    return Client(server.url, elicitation_callback=user.answer, logging_callback=user.hear)


def test_a_client_fans_out_looks_stops_answers_and_collects(server: Server) -> None:
    user = User()
    asyncio.run(user.fans_out(client_of(user, server)))


def test_two_clients_do_not_see_each_others_tasks(server: Server) -> None:
    async def main() -> tuple[str, str, str, str]:
        async with Client(server.url) as one, Client(server.url) as other:
            task_id = await run(one, "waits")
            listed = await called(other, "list_background_agents")
            viewed = await called(other, "view_background_agent", task_id=task_id)
            stopped = await called(other, "stop_background_agent", task_id=task_id)
            return task_id, listed, viewed, stopped

    task_id, listed, viewed, stopped = asyncio.run(main())
    assert task_id not in listed
    assert "There is no task" in viewed
    assert "There is no task" in stopped
    server.await_end(task_id)


def test_only_the_user_of_the_client_that_has_started_a_task_is_asked(server: Server) -> None:
    user, other = User(), User()

    async def main() -> None:
        async with client_of(user, server) as client, client_of(other, server) as beside:
            await called(beside, "list_background_agents")
            await run(client, "worker", asks("Your name?"))
            await called(client, "wait_background_agents")

    asyncio.run(main())
    assert len(user.asked) == 1
    assert not other.asked


def test_a_client_without_a_stream_of_its_own_is_asked_and_told_along_with_its_calls(server: Server) -> None:
    session = server.open_session(can_ask=True)
    asked: list[str] = []
    told: list[str] = []

    def call(name: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        with server.streamed(tool_call(name, arguments), mcp_session_id=session) as messages:
            for message in messages:
                result = message.get("result", result)
                if message.get("method") == "notifications/message":
                    told.append(message["params"]["data"]["task_id"])
                if message.get("method") == "elicitation/create":
                    asked.append(message["params"]["message"])
                    answer = {"action": "accept", "content": {"answer": "Ada"}}
                    server.post({"jsonrpc": "2.0", "id": message["id"], "result": answer}, mcp_session_id=session)
        return result

    ended = call("run_background_agent", agent="echo", task="x")["structuredContent"]["task_id"]
    server.await_end(ended)
    asking = call("run_background_agent", agent="worker", task=asks("Your name?"))["structuredContent"]["task_id"]
    waited = call("wait_background_agents", task_ids=[asking])
    assert told[:1] == [ended]
    assert asked == [f"worker ({asking}) asks: Your name?"]
    assert "Ada" in waited["content"][0]["text"]
    server.post(method="DELETE", mcp_session_id=session)


@pytest.mark.parametrize("has_stream", [True, False])
def test_what_was_asked_along_with_a_stream_that_breaks_off_is_asked_anew(server: Server, *, has_stream: bool) -> None:
    session = server.open_session(can_ask=True)
    task_id = server.started(session, "worker", asks("Your name?"))
    wait = tool_call("wait_background_agents", {"task_ids": [task_id]})

    def asked(number: int) -> tuple[list[int], int]:
        """Be asked, by one stream; return which questions were cancelled before, and which was asked."""
        cancelled = []
        with server.streamed(None if has_stream else {**wait, "id": number}, mcp_session_id=session) as messages:
            for message in messages:
                if message.get("method") == "notifications/cancelled":
                    cancelled.append(message["params"]["requestId"])
                if message.get("method") == "elicitation/create":
                    return cancelled, message["id"]
        raise AssertionError("It is not asked.")

    (_, first), (cancelled, second) = asked(11), asked(12)
    assert second != first
    assert cancelled == ([first] if has_stream else [])  # no stream is left by which to tell of a call that broke off
    # The user may have had the first one, and then its answer counts.
    answer = {"action": "accept", "content": {"answer": "Ada"}}
    open_yet = second if has_stream else first
    server.post({"jsonrpc": "2.0", "id": open_yet, "result": answer}, mcp_session_id=session)
    assert "Ada" in server.call(session, "wait_background_agents", {"task_ids": [task_id]})["content"][0]["text"]
    server.post(method="DELETE", mcp_session_id=session)


def test_an_approval_is_asked_for_anew_though_a_short_call_has_come_and_ended_since_its_stream_broke_off(
    server: Server,
) -> None:
    allowed = {"action": "accept", "content": {"answer": "allow once"}}
    for _ in range(4):  # the short call ends before it is asked along with it, or after
        session = server.open_session(can_ask=True)
        task_id = server.started(session, "worker", json.dumps([["think", {"thought": "hm"}]]))
        wait = tool_call("wait_background_agents", {"task_ids": [task_id]})
        with server.streamed(wait, mcp_session_id=session) as messages:
            assert next(messages)["method"] == "elicitation/create"
        result: dict[str, Any] = {}
        for call in (tool_call("view_background_agent", {"task_id": task_id}), wait):
            with server.streamed(call, mcp_session_id=session) as messages:
                for message in messages:
                    if message.get("method") == "elicitation/create":
                        answer = {"jsonrpc": "2.0", "id": message["id"], "result": allowed}
                        server.post(answer, mcp_session_id=session)
                    result = message.get("result", result)
        assert "Thoughts so far:" in result["content"][0]["text"]
        server.post(method="DELETE", mcp_session_id=session)


def test_an_approval_is_denied_at_once_for_a_client_that_cannot_ask_its_user(server: Server) -> None:
    async def main() -> str:
        async with client_of(User(), server), Client(server.url) as client:
            task_id = await run(client, "worker", json.dumps([["think", {"thought": "hm"}]]))
            return await called(client, "wait_background_agents", task_ids=[task_id])

    assert "denied" in asyncio.run(main())


def test_the_tasks_of_a_client_that_says_good_bye_end_at_once(server: Server) -> None:
    async def main() -> str:
        async with Client(server.url) as client:
            return await run(client, "waits")

    ended = server.await_end(asyncio.run(main()))
    assert ended.status == "stopped"
    assert ended.reason.startswith("Stopped by the MCP server, as its client had gone away; ")


def test_the_tasks_of_a_client_that_is_killed_end(hasty: Server) -> None:
    program = f"""
import asyncio
from mcp.client.client import Client
from mcp_face import run

async def main():
    async with Client({hasty.url!r}) as client:
        print(await run(client, "waits"), flush=True)
        await client.call_tool("wait_background_agents", {{}})

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environ()) as client:
        assert client.stdout is not None
        task_id = client.stdout.readline().strip()
        assert not hasty.task(task_id).ended
        os.kill(client.pid, signal.SIGKILL)
    assert hasty.await_end(task_id).status == "stopped"


def test_a_client_that_comes_back_in_time_has_its_tasks(server: Server) -> None:
    session = server.open_session()
    task_id = server.started(session, "waits")
    listed = server.call(session, "list_background_agents", {})["structuredContent"]["tasks"]
    assert [(task["id"], task["status"] == "stopped") for task in listed] == [(task_id, False)]
    server.post(method="DELETE", mcp_session_id=session)
    server.await_end(task_id)


def test_a_request_without_a_session_is_of_none_whatever_its_header_says(server: Server) -> None:
    session = server.open_session()
    task_id = server.started(session, "waits")
    view = {"name": "view_background_agent", "arguments": {"task_id": task_id}}
    result = server.modern("tools/call", view, EXTENSION, mcp_session_id=session)[1]["result"]
    assert "There is no task" in result["content"][0]["text"]
    server.post(method="DELETE", mcp_session_id=session)
    server.await_end(task_id)


def test_a_client_that_goes_away_in_the_middle_of_a_request_is_no_fault_to_be_logged(hasty: Server) -> None:
    session = hasty.open_session()
    for known in ({"Mcp-Session-Id": session}, {}):
        head = {"Host": "127.0.0.1", **HEADERS, "Content-Length": "1000", **known}
        lines = ["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", "{"]
        with socket.create_connection(("127.0.0.1", hasty.port)) as connection:
            connection.sendall("\r\n".join(lines).encode())
    hasty.post(method="DELETE", mcp_session_id=session)


def test_a_session_that_is_over_is_not_found(hasty: Server) -> None:
    session = hasty.open_session()
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert hasty.post(message, mcp_session_id=session)[0] == 200
    hasty.post(method="DELETE", mcp_session_id=session)
    assert hasty.post(message, mcp_session_id=session)[0] == 404


def test_clients_without_a_session_use_the_tasks_whose_names_they_have(server: Server) -> None:
    async def main() -> None:
        async with Client(server.url, mode=MODERN) as one, Client(server.url, mode=MODERN) as other:
            task_id = await run(one, "waits")
            short = task_id.partition("-")[0]
            assert "Say which tasks" in await called(other, "list_background_agents")
            assert "Say which tasks" in await called(other, "wait_background_agents")
            assert "There is no task" in await called(other, "view_background_agent", task_id=short)
            assert task_id in await called(one, "list_background_agents", task_ids=[task_id])
            assert " running " in await called(one, "view_background_agent", task_id=task_id)
            assert "stopped" in await called(one, "stop_background_agent", task_id=task_id)
            waited = await called(one, "wait_background_agents", task_ids=[task_id])
            assert f"{task_id} (waits): stopped" in waited

    asyncio.run(main())


@pytest.mark.parametrize("ids", [[], ["x"], [["x"]], [5, None], "x", {"a": "x"}])
def test_wrong_names_of_tasks_are_told_of(server: Server, ids: object) -> None:
    for tool in ("list_background_agents", "wait_background_agents", "view_background_agent", "no_such_tool"):
        for name in ("task_ids", "task_id"):
            call = {"name": tool, "arguments": {name: ids}}
            assert server.modern("tools/call", call)[1]["result"]["isError"], call


def test_a_task_that_no_client_without_a_session_names_any_more_ends(hasty: Server) -> None:
    async def main() -> str:
        async with Client(hasty.url, mode=MODERN) as client:
            return (await run(client, "waits")).partition("-")[0]

    ended = hasty.await_end(asyncio.run(main()))
    assert ended.reason.startswith("Stopped by the MCP server, as no client had asked for it any more; ")


def test_a_client_without_a_session_is_asked_in_the_answer_to_its_call(server: Server) -> None:
    user = User()

    async def main() -> str:
        async with Client(server.url, mode=MODERN, elicitation_callback=user.answer) as client:
            await called(client, "list_background_agents")
            task_id = await run(client, "worker", asks("Your name?"))
            return await called(client, "wait_background_agents", task_ids=[task_id])

    assert "Ada" in asyncio.run(main())
    assert len(user.asked) == 1


def test_what_is_kept_of_a_call_answers_that_call_only(server: Server) -> None:
    run = {"agent": "worker", "task": asks("Your name?")}
    started = server.modern("tools/call", {"name": "run_background_agent", "arguments": run})[1]["result"]
    name = started["structuredContent"]["task_id"]

    def call(tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
        sent = {"name": tool, "arguments": arguments, **more}
        result: dict[str, Any] = server.modern("tools/call", sent)[1]["result"]
        return result

    state = call("wait_background_agents", {"task_ids": [name]})["requestState"]
    other = call("run_background_agent", {"agent": "echo", "task": "x"}, requestState=state)
    assert other["content"][0]["text"].startswith("This server keeps no such call by that `requestState`.")
    listed = call("list_background_agents", {"task_ids": []}, requestState=state)
    assert "Say which tasks" in listed["content"][0]["text"]
    stopped = call("stop_background_agent", {"task_id": name})
    assert stopped["resultType"] == "complete"
    waited = call("wait_background_agents", {"task_ids": [name]}, requestState=state)
    assert "stopped" in waited["content"][0]["text"]


def test_what_clients_have_left_unread_takes_no_room_of_those_who_come_later(hasty: Server) -> None:
    for _ in range(LEFT + 2):
        session = hasty.open_session()
        hasty.await_end(hasty.started(session, "echo"))
        hasty.post(method="DELETE", mcp_session_id=session)


def test_ends_that_no_client_without_a_session_names_any_more_take_no_room(hasty: Server) -> None:
    call = {"name": "run_background_agent", "arguments": {"agent": "echo", "task": "x"}}
    started: list[str] = []

    def is_taken() -> bool:
        result = hasty.modern("tools/call", call)[1]["result"]
        if not result["isError"]:
            started.append(result["structuredContent"]["task_id"].partition("-")[0])
            hasty.await_end(started[-1])
        return len(started) == LEFT + 2

    wait_until(is_taken, "room for another task", 30.0)


@pytest.mark.slow
def test_a_signal_ends_it_all_without_a_word_while_clients_wait(tmp_path: Path) -> None:
    call = {"name": "run_background_agent", "arguments": {"agent": "waits", "task": "x"}}
    with ExitStack() as streams:
        with http_server(tmp_path) as server:
            named = server.modern("tools/call", call, EXTENSION)[1]["result"]["taskId"]
            listen = {"notifications": {"taskIds": [named]}}
            messages = streams.enter_context(server.stream("subscriptions/listen", listen, EXTENSION))
            assert next(messages)["method"] == "notifications/subscriptions/acknowledged"
            session = server.open_session()
            other = server.started(session, "waits")
        assert {server.task(task_id).status for task_id in (named.partition("-")[0], other)} == {"stopped"}


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_of_in_a_sentence(server: Server, tmp_path: Path) -> None:
    line = command(tmp_path, "--http", "--port", str(server.port))
    done = subprocess.run(line, capture_output=True, text=True, env=environ(), timeout=50, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"subactors: Nothing can listen at 127.0.0.1, port {server.port}: Address already in use. "
        "Choose another --port; 0 is a free one.\n"
    )
