"""The root of `subactors run`: a task like any other, in a process of its own, that a person speaks to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, ModelServer, Status, Text
from warm_commands import run_command

COMMAND = [sys.executable, "-m", "subactors.runtime.cli"]

TEAM = """\
agents:
  root:
    model: root
    instruction: You lead.
    sub_agents: [helper]
    toolsets: [{type: background_agents}]
    restart: {policy: transient, max_restarts: 1, backoff: 0}
  helper: {model: helper, instruction: You help.}
  code: {entrypoint: "root_code:speak"}
models:
  root: {provider: openai, model: root, cost: {input: 1000, output: 1000}}
  helper: {provider: openai, model: helper, cost: {input: 1000, output: 1000}}
runtime: {standby: 0}
"""

CODE = """\
def speak(task):
    task.emit("speaking")
    return {"text": task.text, "pid": __import__("os").getpid()}
"""

SCRIPT = {
    "root": [Calls(("transfer_task", {"agent": "helper", "task": "Help."})), Text("The answer.")],
    "helper": [Text("Helped.")],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "root_code.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPT) as server:
        yield server


def subactors(folder: Path, *arguments: str, server: ModelServer | None = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(folder), "SUBACTORS_STATE_DIR": str(folder / "state")}
    if server is not None:
        environ |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key-of-nobody"}
    return run_command(*arguments, cwd=folder, environ=environ)


def tasks(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what `ps --all` lists, by agent."""
    listed = [json.loads(line) for line in subactors(folder, "ps", "--all", "--json").stdout.splitlines()]
    return {task["agent"]: task for task in listed}


def test_the_root_is_in_the_journal_with_its_answer_tokens_and_cost(folder: Path, server: ModelServer) -> None:
    done = subactors(folder, "run", "team.yaml", "Do it.", server=server)
    assert (done.returncode, done.stdout) == (0, "The answer.\n"), done.stderr
    listed = tasks(folder)
    root = json.loads(subactors(folder, "view", listed["root"]["id"], "--json").stdout)
    assert (root["status"], root["task"], root["result"]) == ("completed", "Do it.", "The answer.")
    assert root["usage"]["requests"] == 2
    assert root["usage"]["input_tokens"] > 0
    assert root["usage"]["cost"] > 0
    assert listed["helper"]["parent"] == root["id"]


def test_what_the_run_cost_is_the_last_line_on_standard_error(folder: Path, server: ModelServer) -> None:
    done = subactors(folder, "run", "team.yaml", "Do it.", server=server)
    line = done.stderr.splitlines()[-1]
    used = [task["usage"] for task in tasks(folder).values()]
    assert " root: completed after " in line
    assert f"{sum(usage['input_tokens'] for usage in used):,} tokens in" in line
    assert f"${sum(usage['cost'] for usage in used):,.2f}" in line


def test_a_person_speaks_to_the_root_and_the_root_to_its_team(folder: Path, server: ModelServer) -> None:
    subactors(folder, "run", "team.yaml", "Do it.", server=server)
    to_root = server.requests[0].messages
    assert [message["role"] for message in to_root] == ["system", "user"]
    assert to_root[1]["content"] == "Do it."
    to_helper = next(request.messages for request in server.requests if request.model == "helper")
    assert to_helper[-1]["content"] != "Help."


def test_the_root_takes_the_place_of_no_task(folder: Path, server: ModelServer) -> None:
    text = TEAM.replace("{standby: 0}", "{standby: 0, max_running: 1, max_tasks: 1}")
    (folder / "team.yaml").write_text(text)
    done = subactors(folder, "run", "team.yaml", "Do it.", server=server)
    assert (done.returncode, done.stdout) == (0, "The answer.\n"), done.stderr
    assert tasks(folder)["helper"]["status"] == "completed"


def test_a_root_that_fails_is_started_again_and_still_spoken_to_by_a_person(folder: Path) -> None:
    with ModelServer([Status(400, "no"), Text("Now.")]) as server:
        done = subactors(folder, "run", "team.yaml", "Do it.", server=server)
        assert (done.returncode, done.stdout) == (0, "Now.\n"), done.stderr
        assert server.requests[-1].messages[-1] == {"role": "user", "content": "Do it."}
    assert " root: starts again after a failure: " in done.stderr
    assert tasks(folder)["root"]["attempts"] == 2


def test_limits_hold_for_the_root(folder: Path, server: ModelServer) -> None:
    (folder / "team.yaml").write_text(TEAM.replace("You lead.", "You lead.\n    limits: {tokens: 1}"))
    done = subactors(folder, "run", "team.yaml", "Do it.", server=server)
    assert done.returncode == 1
    assert "The limit tokens of 1 was reached" in tasks(folder)["root"]["reason"]


def test_an_entrypoint_root_is_a_task_with_a_journal_too(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "-a", "code", "hear")
    root = json.loads(subactors(folder, "view", tasks(folder)["code"]["id"], "--json").stdout)
    assert json.loads(done.stdout) == root["result"]
    assert (root["task"], root["status"]) == ("hear", "completed")
    assert done.stderr.splitlines()[-1].startswith(f"{root['id']} code: completed after ")


def test_the_host_of_a_run_imports_neither_a_model_client_nor_asyncio(folder: Path, server: ModelServer) -> None:
    code = (
        "import sys, subactors.runtime.cli.main as cli\n"
        "try: cli.run_command_line()\n"
        "finally: print(sorted(sys.modules), file=sys.stderr)\n"
    )
    environ = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test-key-of-nobody"}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "team.yaml", "Do it.", "--state-dir", "state"],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout == "The answer.\n", done.stderr
    modules = set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))
    assert "subactors.runtime.cli.run" in modules
    assert not modules & {"openai", "httpx2", "anyio", "asyncio", "ssl", "rich", "mcp", "hashlib"}


# --- what is still at work when an orchestrator answers ---------------------------------------------------------------

CUT_OFF = """\
agents:
  lead: &lead
    model: "python/root_code:start_and_answer"
    sub_agents: [slow, under]
    toolsets: [{type: background_agents, on_finish: stop}]
  under: {<<: *lead, sub_agents: [slow]}
  slow: {entrypoint: "root_code:work_on"}
runtime: {standby: 0}
"""

CUT_OFF_CODE = """\
def start_and_answer(messages, tools):
    turn = sum(message["role"] == "assistant" for message in messages)
    if turn == 0 and "under" in messages[-1]["content"]:
        call = {"name": "transfer_task", "arguments": {"agent": "under", "task": "Start two."}}
        return {"tool_calls": [{"function": call}]}
    if turn == 0:
        call = {"name": "run_background_agent", "arguments": {"agent": "slow", "task": "Work."}}
        return {"tool_calls": [{"function": call}, {"function": call}]}
    return "Done."


def work_on(task):
    task.wait_for_stop(1000)
"""


def cut_off(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run something of the team `CUT_OFF`; return how that went, and the tasks that work on and on."""
    (folder / "team.yaml").write_text(CUT_OFF)
    (folder / "root_code.py").write_text(CUT_OFF_CODE)
    done = subactors(folder, *arguments)
    listed = [json.loads(line) for line in subactors(folder, "ps", "--all", "--json").stdout.splitlines()]
    return done, [task for task in listed if task["agent"] == "slow"]


def test_tasks_still_at_work_when_the_root_answers_are_named(folder: Path) -> None:
    done, slow = cut_off(folder, "run", "team.yaml", "Start two.")
    assert (done.returncode, done.stdout) == (0, "Done.\n"), done.stderr
    assert [task["status"] for task in slow] == ["stopped"] * 2
    assert all(task["reason"].startswith("Stopped, because lead had ended") for task in slow)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("When lead ended, 2 tasks were still at")]
    assert all(task["id"] in line for task in slow)


def test_tasks_still_at_work_when_an_agent_below_the_root_answers_are_named(folder: Path) -> None:
    done, slow = cut_off(folder, "run", "team.yaml", "Have under start two.")
    assert (done.returncode, done.stdout) == (0, "Done.\n"), done.stderr
    assert all(task["reason"].startswith("Stopped, because under had ended") for task in slow)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("When under ended, 2 tasks were")]
    assert all(task["id"] in line for task in slow)


def test_tasks_still_at_work_when_a_dispatched_orchestrator_answers_are_named(folder: Path) -> None:
    done, slow = cut_off(folder, "dispatch", "team.yaml", "lead", "Start two.")
    assert done.returncode == 0, done.stderr
    assert all(task["reason"].startswith("Stopped, because lead had ended") for task in slow)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("When lead ended, 2 tasks were")]
    assert all(task["id"] in line for task in slow)
