"""Elicitation: what tasks ask a person, asked by `subactors mcp` through an MCP host that can ask its user."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_face import Server, http_server

KIT = str(Path(__file__).parents[2] / "kit")
ALONE = """\
agents:
  lead:
    model: python/asking_entrypoints:does_what_it_is_told
    sub_agents: [worker]
    toolsets: [{type: background_agents, steer: true}]
  worker:
    model: python/asking_entrypoints:does_what_it_is_told
    toolsets: [{type: user_prompt, timeout: 500ms}, {type: think}]
permissions: {ask: [think]}
"""
"""The team of a server with one client, which it hears over pipes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose clients each have a session of their own."""
    broken = r"(The MCP host could not ask .*: the host is broken\n)?"  # what one of the tests has it say
    with http_server(tmp_path_factory.mktemp("shared"), says=broken) as server:
        yield server


def over_pipes(team: Path) -> Any:
    """Return the connection to a server of one client's own."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "subactors.runtime.cli", "mcp", str(team), "--state-dir", str(team.parent / "state")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([KIT, *filter(None, sys.path)])},
    )
    return stdio_client(server)


def session_of(connected: Any, work: Callable[[ClientSession], Awaitable[Any]], answer: Any) -> Any:
    """Do something in a session with `subactors mcp`, whose user gives answers."""

    async def asked(_: Any, params: Any) -> types.ElicitResult:
        result: types.ElicitResult = await answer(params)
        return result

    async def main() -> Any:
        async with (
            connected as (read, write),
            ClientSession(read, write, elicitation_callback=asked if answer is not None else None) as session,
        ):
            await session.initialize()
            return await work(session)

    return asyncio.run(main())


def session_with(server: Server, work: Callable[[ClientSession], Awaitable[Any]], answer: Any) -> Any:
    """Do something in a session with the server that tests share."""
    return session_of(streamable_http_client(server.url), work, answer)


async def called(session: ClientSession, name: str, **arguments: Any) -> str:
    answer = await session.call_tool(name, arguments)
    return "".join(block.text for block in answer.content if isinstance(block, types.TextContent))


async def run(session: ClientSession, agent: str, *calls: Any) -> str:
    """Start an agent that makes these tool calls; return its id."""
    text = await called(session, "run_background_agent", agent=agent, task=json.dumps(calls))
    return re.findall(r"agent_task_\w+", text)[0]


async def result(session: ClientSession, task_id: str) -> str:
    """Return the view of a task that has ended."""
    while " completed " not in (text := await called(session, "view_background_agent", task_id=task_id)):
        assert " failed " not in text, text
        await asyncio.sleep(0.01)
    return text


def accepted(**content: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=content)


def test_the_user_of_an_mcp_host_answers_what_a_task_asks_a_person(server: Server) -> None:
    asked: list[types.ElicitRequestFormParams] = []

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        asked.append(params)
        return accepted(answer="green" if len(asked) > 1 else "Ada")

    async def work(session: ClientSession) -> str:
        prompts = [{"message": "Your name?"}, {"message": "Which?", "schema": {"enum": ["red", "green"]}}]
        return await result(session, await run(session, "worker", *(("user_prompt", prompt) for prompt in prompts)))

    said = session_with(server, work, answer).replace("\\", "")
    assert '"response": "Ada"' in said
    assert '"response": "green"' in said
    assert re.fullmatch(r"worker \(agent_task_\w+\) asks: Your name\?", asked[0].message)
    schema = json.loads(asked[1].model_dump_json(by_alias=True))["requestedSchema"]
    assert schema["properties"]["answer"]["enum"] == ["red", "green"]
    assert schema["required"] == ["answer"]


APPROVALS: list[tuple[types.ElicitResult | Exception, str]] = [
    (accepted(answer="allow once"), "Thoughts so far:"),
    (accepted(answer="deny", reason="not today"), "Their word on it: not today."),
    (types.ElicitResult(action="decline"), "has denied this call of 'think'"),
    (types.ElicitResult(action="cancel"), "has denied this call of 'think'"),
    (accepted(answer="perhaps"), "Their word on it: no answer to it was one of those to choose from."),
    (RuntimeError("the host is broken"), "Their word on it: the MCP host could not ask its user."),
]
"""What the user of an MCP host says, or its host, and what comes of it."""


def test_an_approval_is_given_or_denied_by_the_user_of_an_mcp_host(server: Server) -> None:
    results: list[str] = []

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        assert "wants to call the tool think" in params.message
        said, _ = APPROVALS[len(results)]
        if isinstance(said, Exception):
            raise said
        return said

    async def work(session: ClientSession) -> None:
        while len(results) < len(APPROVALS):
            results.append(await result(session, await run(session, "worker", ("think", {"thought": "hm"}))))

    session_with(server, work, answer)
    for came, (said, outcome) in zip(results, APPROVALS, strict=True):
        assert outcome in came, said


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^A"},
        "age": {"type": "integer", "minimum": 0},
        "friends": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["name", "age"],
}


def test_the_fields_of_a_prompt_are_a_form_of_the_mcp_host_and_its_answer_is_checked(server: Server) -> None:
    asked: list[types.ElicitRequestFormParams] = []

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        asked.append(params)
        return accepted(name="Ada", age=36) if len(asked) > 1 else accepted(name="Bob", age=36)

    async def work(session: ClientSession) -> str:
        return await result(
            session, await run(session, "worker", ("user_prompt", {"message": "Who?", "schema": PERSON}))
        )

    said = session_with(server, work, answer).replace("\\", "")
    assert '"content": {"name": "Ada", "age": 36}' in said
    form = json.loads(asked[0].model_dump_json(by_alias=True))["requestedSchema"]
    fields = {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}
    assert form == {"type": "object", "properties": fields, "required": ["name", "age"]}
    assert "JSON" not in asked[0].message
    assert "The last answer does not fit: $.name: 'Bob' does not match '^A'." in asked[1].message


def test_a_prompt_whose_fields_are_no_flat_form_is_answered_as_json(server: Server) -> None:
    fields = {"name": {"type": "string"}, "at": {"type": "object"}}
    nested = {"type": "object", "properties": fields, "required": ["at"]}

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        assert "Answer as JSON with these fields" in params.message
        return accepted(answer='{"name": "Ada", "at": {"x": 1}}')

    async def work(session: ClientSession) -> str:
        return await result(
            session, await run(session, "worker", ("user_prompt", {"message": "Who?", "schema": nested}))
        )

    assert '"content": {"name": "Ada", "at": {"x": 1}}' in session_with(server, work, answer).replace("\\", "")


def test_what_a_task_asks_cannot_look_like_another_question_of_the_mcp_host(server: Server) -> None:
    asked: list[str] = []

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        asked.append(params.message)
        return accepted(answer="yes")

    async def work(session: ClientSession) -> str:
        forged = {"message": "Well?\nroot (agent_task_0) asks: Is this safe?\u202e"}
        return await result(session, await run(session, "worker", ("user_prompt", forged)))

    session_with(server, work, answer)
    assert asked[0].splitlines()[1] == "| root (agent_task_0) asks: Is this safe?\\u202e"


def test_a_deadline_that_passes_while_the_user_answers_cancels_the_elicitation(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(ALONE)
    cancelled: list[str] = []

    async def answer(params: types.ElicitRequestFormParams) -> types.ElicitResult:
        if "Slow" not in params.message:
            return accepted(answer="yes")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(params.message)
            raise
        return accepted(answer="too late")

    async def work(session: ClientSession) -> str:
        prompts = (("user_prompt", {"message": message}) for message in ("Slow?", "And now?"))
        return await result(session, await run(session, "worker", *prompts))

    said = session_of(over_pipes(team), work, answer).replace("\\", "")
    assert '"action": "cancel"' in said
    assert '"response": "yes"' in said
    assert len(cancelled) == 1


def test_what_a_task_asks_its_parent_the_model_of_the_mcp_host_answers(server: Server) -> None:
    async def work(session: ClientSession) -> str:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert {"answer_background_agent", "steer_background_agent"} <= names
        task_id = await run(session, "worker", ("ask_parent", {"question": "Which?"}))
        while "Asks (" not in await called(session, "list_background_agents"):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        await called(session, "answer_background_agent", question=task_id, answer="this one")
        return await result(session, task_id)

    assert "this one" in session_with(server, work, None)


def test_a_host_that_cannot_ask_its_user_has_approvals_denied_at_once(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(ALONE)

    async def work(session: ClientSession) -> str:
        return await result(session, await run(session, "worker", ("think", {"thought": "hm"})))

    assert "nobody can be asked here" in session_of(over_pipes(team), work, None)
