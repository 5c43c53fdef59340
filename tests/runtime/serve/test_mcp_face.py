"""`subactors mcp`: the background tools for an MCP host, asked with the client that agents have."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from first_forms import first_always
from processes_and_waits import Holdings, wait_until
from subactors.runtime import ToolAnswer
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset

PROGRAM = str(Path(sys.executable).with_name("subactors"))
TEAM = """\
agents:
  lead:
    model: python/python_models:waits
    sub_agents: [echo, waits]
    toolsets:
      - type: background_agents
        fan_out: true
        tools: [run_background_agent, list_background_agents, view_background_agent, stop_background_agent,
                wait_background_agents]
  echo: {entrypoint: "entrypoints:echo", description: Says it again.}
  waits: {model: "python/python_models:waits"}
  crew: {entrypoint: "entrypoints:echo"}
permissions:
  deny: [list_background_agents]
"""


@pytest.fixture
def team(tmp_path: Path) -> str:
    file = tmp_path / "team.yaml"
    file.write_text(TEAM)
    return str(file)


def ask(team: str, work: Callable[[ToolBox], Awaitable[Any]], *options: str) -> Any:
    async def main() -> Any:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "kit")}
        server = {"command": PROGRAM, "args": ("mcp", team, *options)}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=environ, server=server)])
        try:
            await box.open()
            return await work(box)
        finally:
            await box.close()

    return asyncio.run(main())


async def start(box: ToolBox, agent: str) -> ToolAnswer:
    return await box.call("run_background_agent", json.dumps({"agent": agent, "task": "hello"}))


async def result(box: ToolBox, started: ToolAnswer) -> str:
    """View a task until it has ended."""
    arguments = json.dumps({"task_id": re.findall(r"agent_task_\w+", started.text)[0]})
    text = "starting"
    while "starting" in text or "running" in text:
        await asyncio.sleep(0.01)
        text = (await box.call("view_background_agent", arguments)).text
    return text


class Session(NamedTuple):
    """What a host has seen in a session."""

    schemas: list[Any]
    result: str
    refused: ToolAnswer
    left: ToolAnswer


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session of which nothing is left, though a task ran when the host went."""
    team = tmp_path_factory.mktemp("session") / "team.yaml"
    team.write_text(TEAM)

    async def work(box: ToolBox) -> Session:
        schemas, text = box.schemas, await result(box, await start(box, "echo"))
        return Session(schemas, text, refused=await start(box, "crew"), left=await start(box, "waits"))

    before = Holdings()
    found: Session = ask(str(team), work)
    wait_until(lambda: not before.new_processes(), "nothing is left")
    return found


def test_a_host_starts_a_task_and_gets_its_result(session: Session) -> None:
    schemas, text = session.schemas, session.result
    assert [schema["function"]["name"] for schema in schemas] == [
        "run_background_agent",
        "view_background_agent",
        "stop_background_agent",
        "wait_background_agents",
    ]
    assert "- echo: Says it again.\n- waits" in schemas[0]["function"]["description"]
    assert "completed" in text
    assert "hello" in text


def test_modules_beside_the_team_file_are_found_and_print_nothing_into_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("print('imported')\ndef work(task): return 'from ' + __file__\n")
    team = tmp_path / "team.yaml"
    team.write_text("agents: {a: {entrypoint: 'beside:work'}}\nruntime: {preload: [beside, missing]}\n")

    async def work(box: ToolBox) -> str:
        return await result(box, await start(box, "a"))

    assert f"from {tmp_path / 'beside.py'}" in ask(str(team), work, "--working-dir", "/")


def test_a_host_may_start_what_the_agent_in_whose_place_it_is_may_start(session: Session, team: str) -> None:
    async def work(box: ToolBox) -> ToolAnswer:
        return await start(box, "crew")

    assert session.refused.is_error
    assert "Available: echo, waits." in session.refused.text
    assert not ask(team, work, "--agent", "echo").is_error


def test_what_still_runs_ends_with_the_host(session: Session) -> None:
    assert "Started" in session.left.text


@first_always("closed", ["<&- >&-", "</dev/null", ">/dev/full"])
def test_closed_streams_and_empty_files_are_told_of_in_a_sentence(team: str, closed: str) -> None:
    command = f"exec {sys.executable} -m subactors.runtime.cli mcp {team} {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("subactors: Standard input and output must be pipes")
    assert len(done.stderr.splitlines()) == 1


def test_a_signal_ends_it_all(team: str) -> None:
    with subprocess.Popen(
        [PROGRAM, "mcp", team], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        program.stdin.flush()
        assert b'"id":1' in program.stdout.readline()
        program.send_signal(signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM


def test_a_file_as_standard_input_is_refused_with_a_sentence(team: str) -> None:
    with Path(team).open("rb") as file:
        done = subprocess.run([PROGRAM, "mcp", team], stdin=file, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Standard input and output must be pipes" in done.stderr
