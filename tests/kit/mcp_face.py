"""`subactors mcp` as a server for tests, and what tests ask it beside what the clients of `mcp` ask."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mcp_types as types
from mcp.client.client import Client
from processes_and_waits import wait_until
from subactors.runtime import TaskView
from subactors.runtime.control.other_hosts import tasks_of

EXTENSION = "io.modelcontextprotocol/tasks"
MODERN = "2026-07-28"

HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

TEAM = """\
agents:
  lead:
    model: python/asking_entrypoints:does_what_it_is_told
    sub_agents: [worker, echo, waits, fails]
    toolsets: [{type: background_agents, steer: true, fan_out: true}]
  worker:
    model: python/asking_entrypoints:does_what_it_is_told
    toolsets: [{type: user_prompt}, {type: think}, {type: ask_parent}]
  echo: {entrypoint: "entrypoints:echo"}
  waits: {model: "python/python_models:waits"}
  fails: {entrypoint: "crashing_entrypoints:raises"}
permissions: {ask: [think]}
runtime: {standby: 0, SETTINGS}
"""


def environ(**more: str) -> dict[str, str]:
    """Return an environment in which the functions of the kit are found."""
    kit = str(Path(__file__).parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([kit, *filter(None, sys.path)]), **more}


def command(folder: Path, *options: str, settings: str = "") -> list[str]:
    """Return the command line of a server over the team."""
    team = folder / "team.yaml"
    team.write_text(TEAM.replace("SETTINGS", settings))
    state = ["--state-dir", str(folder / "state")]
    return [sys.executable, "-m", "subactors.runtime.cli", "mcp", str(team), *state, *options]


class Server:
    """A server over HTTP, in a process of its own."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.state = state
        self.port = urlsplit(url).port or 0

    def task(self, task_id: str) -> TaskView:
        """Return a task as another process sees it."""
        return next(task.view for task in tasks_of(self.state).tasks if task.view.id == task_id)

    def await_end(self, task_id: str) -> TaskView:
        """Wait until a task has ended, and return it."""
        wait_until(lambda: self.task(task_id).ended, f"the end of {task_id}", 30.0)
        return self.task(task_id)

    def post(
        self, message: Mapping[str, Any] | None = None, *, method: str = "POST", path: str = "/mcp", **headers: str
    ) -> tuple[int, Mapping[str, str], Any]:
        """Send one request over a connection of its own; return status, headers and the answer, if it is JSON."""
        sent = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(message or {}), sent)
            answer = connection.getresponse()
            body = answer.read().decode()
        if "data: {" in body:
            body = body[body.rindex("data: {") + 6 :]
        with contextlib.suppress(ValueError):
            return answer.status, answer.headers, json.loads(body)
        return answer.status, answer.headers, body

    def modern(
        self, method: str, params: Mapping[str, Any], *extensions: str, can_ask: bool = True, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Send a request of 2026-07-28 that declares these extensions; return the status and the whole answer."""
        message, more = _modern(method, params, *extensions, can_ask=can_ask)
        status, _, answer = self.post(message, **{**more, **headers})
        return status, answer

    @contextlib.contextmanager
    def stream(self, method: str, params: Mapping[str, Any], *extensions: str) -> Iterator[Iterator[Any]]:
        """Send such a request; yield the messages that it is answered with, as they come."""
        message, more = _modern(method, params, *extensions)
        with self.streamed(message, **more) as messages:
            yield messages

    @contextlib.contextmanager
    def streamed(self, message: Mapping[str, Any] | None, **headers: str) -> Iterator[Iterator[Any]]:
        """Send a request, or open a client's own stream; yield the messages that come along with the answer."""
        sent = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            if message is None:
                connection.request("GET", "/mcp", headers=sent)
            else:
                connection.request("POST", "/mcp", json.dumps(message), sent)
            lines = iter(connection.getresponse().readline, b"")
            yield (json.loads(line[5:]) for line in lines if line.startswith(b"data:"))

    def open_session(self, *, can_ask: bool = False, **headers: str) -> str:
        """Open a session as a client that has no stream of its own; return its id."""
        can = {"elicitation": {}} if can_ask else {}
        hello = {"protocolVersion": "2025-06-18", "capabilities": can, "clientInfo": {"name": "test", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
        status, answered, _ = self.post(message, **headers)
        assert status == 200
        session = str(answered["mcp-session-id"])
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, mcp_session_id=session, **headers)
        return session

    def started(self, session: str, agent: str, task: str = "x") -> str:
        """Start a task in a session; return its id."""
        arguments = {"agent": agent, "task": task}
        return str(self.call(session, "run_background_agent", arguments)["structuredContent"]["task_id"])

    def call(self, session: str, name: str, arguments: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Call a tool in a session; return the result."""
        result: dict[str, Any] = self.post(tool_call(name, arguments), mcp_session_id=session, **headers)[2]["result"]
        return result


def tool_call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that calls a tool."""
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def _modern(
    method: str, params: Mapping[str, Any], *extensions: str, can_ask: bool = True
) -> tuple[dict[str, Any], dict[str, str]]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {
            **({"elicitation": {"form": {}}} if can_ask else {}),
            "extensions": {name: {} for name in extensions},
        },
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    named = {"Mcp_Name": params["name"]} if "name" in params else {}
    return message, {"MCP_Protocol_Version": MODERN, "Mcp_Method": method, **named}


@contextlib.contextmanager
def http_server(folder: Path, *options: str, settings: str = "", says: str = "") -> Iterator[Server]:
    """Run a server over HTTP at a free port; a signal ends it, and it has nothing to say, or what fits a pattern."""
    folder.mkdir(exist_ok=True)
    line = command(folder, "--http", "--port", "0", *options, settings=settings)
    said = folder / "stderr"
    with (
        said.open("w") as stderr,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environ()) as process,
    ):
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), folder / "state")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 128 + signal.SIGTERM
            assert re.fullmatch(says, said.read_text()), said.read_text()


def asks(question: str) -> str:
    """Return work for the worker: to ask a person something."""
    return json.dumps([["user_prompt", {"message": question}]])


def text_of(answer: types.CallToolResult) -> str:
    """Return what a model reads of an answer."""
    return "".join(block.text for block in answer.content if isinstance(block, types.TextContent))


async def called(client: Client, name: str, **arguments: Any) -> str:
    """Call a tool, and return what a model reads of its answer."""
    return text_of(await client.call_tool(name, arguments))


async def run(client: Client, agent: str, task: str = "x") -> str:
    """Start a task and return its id."""
    answer = await client.call_tool("run_background_agent", {"agent": agent, "task": task})
    assert isinstance(answer.structured_content, dict), answer
    return str(answer.structured_content["task_id"])


class User:
    """The user of a client, who is asked and told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[Any] = []
        self.progress: list[str] = []

    async def answer(self, _: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        return types.ElicitResult(action="accept", content={"answer": "Ada"})

    async def hear(self, params: types.LoggingMessageNotificationParams) -> None:
        self.told.append(params.data)

    async def see(self, _progress: float, _total: float | None, message: str | None) -> None:
        self.progress.append(message or "")

    async def fans_out(self, connected: Client) -> None:
        """Fan out five, list, view live, stop one, answer a question, and collect; with a client that has a session."""
        async with connected as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            ids = [await run(client, agent) for agent in ("waits", "echo", "echo", "echo")]
            ids.append(await run(client, "worker", asks("Your name?")))
            live = ""
            while "---\nso far" not in live:
                live = await called(client, "view_background_agent", task_id=ids[0])
            listed = await called(client, "list_background_agents")
            waiting = asyncio.create_task(
                client.call_tool("wait_background_agents", {"task_ids": ids}, progress_callback=self.see)
            )
            while not self.progress:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await called(client, "stop_background_agent", task_id=ids[0])
            collected = await waiting
            while len(self.told) < len(ids):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        assert tools > {"wait_background_agents", "steer_background_agent", "map_background_agent"}
        assert " running " in live
        assert all(task_id in listed for task_id in ids)
        assert f"waits ({ids[0]}): so far" in self.progress[0]
        assert self.asked == [f"worker ({ids[4]}) asks: Your name?"]
        assert isinstance(collected.structured_content, dict)
        found = {task["id"]: task["status"] for task in collected.structured_content["tasks"]}
        assert found == {ids[0]: "stopped", **dict.fromkeys(ids[1:], "completed")}
        assert "Ada" in text_of(collected)
        assert {notice["task_id"]: notice["status"] for notice in self.told} == found
