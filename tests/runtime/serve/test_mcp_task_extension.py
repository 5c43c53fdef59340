"""The tasks extension (SEP-2663) of `subactors mcp`: what its specification wants, row by row."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.extension import advertise
from mcp_face import EXTENSION, MODERN, Server, asks, called, http_server
from processes_and_waits import wait_until

LINGER = 600
"""Seconds for which a task is kept that nobody asks for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with http_server(tmp_path_factory.mktemp("tasks"), "--linger", f"{LINGER}s") as server:
        yield server


def started(server: Server, agent: str, task: str = "x") -> dict[str, Any]:
    """Start a task of the protocol; return what the call is answered with."""
    call = {"name": "run_background_agent", "arguments": {"agent": agent, "task": task}}
    status, answer = server.modern("tools/call", call, EXTENSION)
    assert status == 200
    result: dict[str, Any] = answer["result"]
    return result


def got(server: Server, task_id: str) -> dict[str, Any]:
    result: dict[str, Any] = server.modern("tasks/get", {"taskId": task_id}, EXTENSION)[1]["result"]
    return result


def awaited(server: Server, task_id: str, status: str) -> dict[str, Any]:
    """Ask for a task until it has a status."""
    found: list[dict[str, Any]] = []

    def has_it() -> bool:
        found.append(got(server, task_id))
        return found[-1]["status"] == status

    wait_until(has_it, f"{status}", 30.0)
    return found[-1]


def cancelled(server: Server, task_id: str) -> dict[str, Any]:
    answer = server.modern("tasks/cancel", {"taskId": task_id}, EXTENSION)[1]
    awaited(server, task_id, "cancelled")
    return answer


def test_the_server_offers_the_extension_to_clients_of_2026_07_28(server: Server) -> None:
    result = server.modern("server/discover", {}, EXTENSION)[1]["result"]
    assert result["capabilities"]["extensions"] == {EXTENSION: {}}
    assert MODERN in result["supportedVersions"]


def test_a_client_that_does_not_declare_it_is_led_to_a_session(server: Server) -> None:
    assert MODERN not in server.modern("server/discover", {})[1]["result"]["supportedVersions"]

    async def version(*extensions: Any) -> str:
        async with Client(server.url, extensions=extensions) as client:
            return client.protocol_version

    assert asyncio.run(version()) == "2025-11-25"
    assert asyncio.run(version(advertise(EXTENSION))) == MODERN


def test_a_call_that_declares_it_is_answered_with_a_task_that_is_there(server: Server) -> None:
    task = started(server, "waits")
    assert task["resultType"] == "task"
    assert task["status"] == "working"
    assert re.fullmatch(r"agent_task_[0-9a-f]{8}-[0-9a-f]{32}", task["taskId"])  # 128 bits that nobody can guess
    assert all(re.fullmatch(r"[\d-]{10}T[\d:.]+Z", task[name]) for name in ("createdAt", "lastUpdatedAt"))
    assert task["ttlMs"] >= LINGER * 1000
    assert task["pollIntervalMs"] == 1000
    assert server.task(task["taskId"].partition("-")[0]).status != "queued"  # another process finds it
    cancelled(server, task["taskId"])


def test_a_task_tells_when_it_changed_and_how_long_it_is_kept_from_now_on(server: Server) -> None:
    task_id = started(server, "waits")["taskId"]
    wait_until(lambda: got(server, task_id)["statusMessage"] == "waits: so far", "words", 30.0)
    first = got(server, task_id)
    wait_until(lambda: got(server, task_id)["ttlMs"] > first["ttlMs"], "a later end", 30.0)
    again = got(server, task_id)
    assert again["createdAt"] <= again["lastUpdatedAt"] == first["lastUpdatedAt"]
    cancelled(server, task_id)
    assert got(server, task_id)["lastUpdatedAt"] > first["lastUpdatedAt"]


def test_a_call_that_does_not_declare_it_never_gets_a_task(server: Server) -> None:
    call = {"name": "run_background_agent", "arguments": {"agent": "echo", "task": "x"}}
    result = server.modern("tools/call", call)[1]["result"]
    assert result["resultType"] == "complete"
    assert result["content"][0]["text"].startswith("Started agent_task_")
    server.await_end(result["structuredContent"]["task_id"].partition("-")[0])


def test_a_call_of_another_tool_and_a_refused_one_are_answered_as_ever(server: Server) -> None:
    for name, arguments in (("list_background_agents", {}), ("run_background_agent", {"agent": "nobody", "task": "x"})):
        result = server.modern("tools/call", {"name": name, "arguments": arguments}, EXTENSION)[1]["result"]
        assert result["resultType"] == "complete"
        assert result["isError"]


def test_a_working_task_says_its_last_words(server: Server) -> None:
    task_id = started(server, "waits")["taskId"]
    wait_until(lambda: got(server, task_id)["statusMessage"] == "waits: so far", "words", 30.0)
    task = got(server, task_id)
    assert (task["resultType"], task["status"]) == ("complete", "working")
    cancelled(server, task_id)


def test_a_completed_task_has_the_result_of_the_call(server: Server) -> None:
    task_id = started(server, "echo", "hello")["taskId"]
    result = awaited(server, task_id, "completed")["result"]
    assert result["resultType"] == "complete"
    assert "hello" in result["content"][0]["text"]
    assert result["structuredContent"]["id"] == task_id
    assert result["structuredContent"]["status"] == "completed"
    assert result["isError"] is False


def test_a_failed_task_is_an_error_of_the_tool_and_none_of_the_protocol(server: Server) -> None:
    task = awaited(server, started(server, "fails")["taskId"], "completed")
    assert task["result"]["isError"] is True
    assert "ValueError: attempt 1" in task["result"]["content"][0]["text"]
    assert "ValueError" in task["statusMessage"]


def test_a_cancelled_task_is_acknowledged_with_nothing_and_ends(server: Server) -> None:
    task_id = started(server, "waits")["taskId"]
    answer = cancelled(server, task_id)["result"]
    assert {key: value for key, value in answer.items() if key != "_meta"} == {"resultType": "complete"}
    assert "result" not in got(server, task_id)
    assert server.modern("tasks/cancel", {"taskId": task_id}, EXTENSION)[0] == 200  # it may be said again


def test_a_question_is_input_that_is_required_until_it_is_answered(server: Server) -> None:
    task_id = started(server, "worker", asks("Your name?"))["taskId"]
    requests = awaited(server, task_id, "input_required")["inputRequests"]
    ((key, request),) = requests.items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["mode"] == "form"
    assert request["params"]["message"].endswith("asks: Your name?")
    assert request["params"]["requestedSchema"]["required"] == ["answer"]
    assert got(server, task_id)["inputRequests"] == requests  # the same each time
    answers = {key: {"action": "accept", "content": {"answer": "Ada"}}, "unknown": {"action": "accept"}}
    result = server.modern("tasks/update", {"taskId": task_id, "inputResponses": answers}, EXTENSION)[1]["result"]
    assert {name: value for name, value in result.items() if name != "_meta"} == {"resultType": "complete"}
    assert "Ada" in awaited(server, task_id, "completed")["result"]["content"][0]["text"]


@pytest.mark.parametrize("response", [5, [], {"action": 7}, {"action": "accept", "content": {"answer": {"a": 1}}}])
def test_what_is_no_answer_is_a_wrong_parameter(server: Server, response: Any) -> None:
    params = {"taskId": "x", "inputResponses": {"question": response}}
    assert server.modern("tasks/update", params, EXTENSION)[1]["error"]["code"] == -32602


def test_an_approval_is_asked_again_by_another_key_until_an_answer_counts(server: Server) -> None:
    task_id = started(server, "worker", json.dumps([["think", {"thought": "hm"}]]))["taskId"]
    (key,) = awaited(server, task_id, "input_required")["inputRequests"]

    def answer(key: str, word: str) -> None:
        answers = {key: {"action": "accept", "content": {"answer": word}}}
        server.modern("tasks/update", {"taskId": task_id, "inputResponses": answers}, EXTENSION)

    answer(key, "perhaps")
    ((again, request),) = awaited(server, task_id, "input_required")["inputRequests"].items()
    assert again != key
    assert "perhaps" in request["params"]["message"]
    answer(key, "deny")  # that key has had its answer
    answer(again, "allow once")
    assert "Thoughts so far:" in awaited(server, task_id, "completed")["result"]["content"][0]["text"]


def test_a_client_that_cannot_ask_is_required_to_ask_nothing(server: Server) -> None:
    run = {"name": "run_background_agent", "arguments": {"agent": "worker", "task": asks("Your name?")}}
    task_id = server.modern("tools/call", run, EXTENSION, can_ask=False)[1]["result"]["taskId"]
    run["arguments"] = {"agent": "worker", "task": json.dumps([["think", {"thought": "hm"}]])}
    other = server.modern("tools/call", run, EXTENSION, can_ask=False)[1]["result"]["taskId"]
    assert "denied" in awaited(server, other, "completed")["result"]["content"][0]["text"]
    wait_until(lambda: server.task(task_id.partition("-")[0]).status == "waiting", "the question", 30.0)
    assert got(server, task_id)["status"] == "working"
    cancelled(server, task_id)


def test_a_user_who_declines_an_approval_has_denied_it(server: Server) -> None:
    task_id = started(server, "worker", json.dumps([["think", {"thought": "hm"}]]))["taskId"]
    (key,) = awaited(server, task_id, "input_required")["inputRequests"]
    server.modern("tasks/update", {"taskId": task_id, "inputResponses": {key: {"action": "decline"}}}, EXTENSION)
    assert "denied" in awaited(server, task_id, "completed")["result"]["content"][0]["text"]


def test_what_a_task_asks_whoever_started_it_is_input_too(server: Server) -> None:
    task_id = started(server, "worker", json.dumps([["ask_parent", {"question": "Which?"}]]))["taskId"]
    (key,) = awaited(server, task_id, "input_required")["inputRequests"]
    answers = {key: {"action": "accept", "content": {"answer": "this one"}}}
    server.modern("tasks/update", {"taskId": task_id, "inputResponses": answers}, EXTENSION)
    assert "this one" in awaited(server, task_id, "completed")["result"]["content"][0]["text"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_a_request_that_does_not_declare_the_extension_is_told_so(server: Server, method: str) -> None:
    status, answer = server.modern(method, {"taskId": "x", "inputResponses": {}})
    assert status == 400
    assert answer["error"]["code"] == -32021
    assert answer["error"]["data"] == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("params", [{"taskId": "agent_task_00000000"}, {}, {"taskId": 5}])
def test_an_unknown_task_is_a_wrong_parameter(server: Server, method: str, params: dict[str, Any]) -> None:
    assert server.modern(method, {"inputResponses": {}, **params}, EXTENSION)[1]["error"]["code"] == -32602


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
def test_there_is_neither_a_list_nor_a_result(server: Server, method: str) -> None:
    assert server.modern(method, {"taskId": "x"}, EXTENSION)[1]["error"]["code"] == -32601


def test_a_header_that_names_another_task_is_refused(server: Server) -> None:
    answer = server.modern("tasks/get", {"taskId": "x"}, EXTENSION, Mcp_Name="y")[1]
    assert answer["error"]["code"] == types.HEADER_MISMATCH


def test_a_session_that_began_with_a_handshake_has_no_tasks_of_the_protocol(server: Server) -> None:
    session = server.open_session()
    message = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "x"}}
    assert server.post(message, mcp_session_id=session)[2]["error"]["code"] == -32601


def test_who_listens_is_told_of_each_status_with_the_whole_task(server: Server) -> None:
    task_id = started(server, "worker", asks("Your name?"))["taskId"]
    (key,) = awaited(server, task_id, "input_required")["inputRequests"]
    listen = {"notifications": {"taskIds": [task_id, "unknown"], "toolsListChanged": True}}
    with server.stream("subscriptions/listen", listen, EXTENSION) as messages:
        first = next(messages)
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"]["notifications"] == {"taskIds": [task_id]}
        second = next(messages)
        assert second["method"] == "notifications/tasks"
        assert second["params"]["taskId"] == task_id
        assert key in second["params"]["inputRequests"]
        answers = {key: {"action": "accept", "content": {"answer": "Ada"}}}
        server.modern("tasks/update", {"taskId": task_id, "inputResponses": answers}, EXTENSION)
        *_, last, result = messages
    assert last["params"]["status"] == "completed"
    assert "Ada" in last["params"]["result"]["content"][0]["text"]
    assert last["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1
    assert result["result"]["resultType"] == "complete"


def test_who_listens_to_tasks_without_the_extension_is_told_so(server: Server) -> None:
    listen = {"notifications": {"taskIds": []}}
    assert server.modern("subscriptions/listen", listen)[1]["error"]["code"] == -32021


def test_a_client_of_the_package_finds_its_tasks_by_the_tools_too(server: Server) -> None:
    async def main() -> str:
        async with Client(server.url, extensions=[advertise(EXTENSION)]) as client:
            task_id = started(server, "echo", "hello")["taskId"]
            return await called(client, "wait_background_agents", task_ids=[task_id])

    assert "completed" in asyncio.run(main())
