"""Hosts in other processes that run one task, or continue it, and are killed in the middle of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from teams import PATIENCE, model

SHELL: Final = [{"type": "shell"}]
TEAM: Final[dict[str, Any]] = {
    "agents": {
        "plans": model("follows_a_plan", toolsets=SHELL),
        "private": model("follows_a_plan", toolsets=SHELL, workdir="private"),
        "shows": model("shows_its_conversation"),
        "says_much": {"entrypoint": "entrypoints:says_much"},
        "boss": model(
            "follows_a_plan", sub_agents=["plans", "says_much"], toolsets=[*SHELL, {"type": "background_agents"}]
        ),
    }
}

HOST: Final = """
import json, sys
from subactors.runtime import Runtime
team, state, agent, task = json.loads(sys.argv[1])
runtime = Runtime.from_mapping(team, state_dir=state, standby=0)
print(runtime.run(agent, task).id, flush=True)
sys.stdin.read()
"""
"""A host that starts one task, and lives until it is killed."""


FINISHER: Final = """
import json, sys
from subactors.runtime import Runtime
team, state, task_id, task = json.loads(sys.argv[1])
with Runtime.from_mapping(team, state_dir=state, standby=0) as runtime:
    task = runtime.resume(task_id) if task_id else runtime.run("plans", task)
    print("begun", flush=True)
    print(task.result(), flush=True)
"""
"""A host that starts one task, or continues it, to its end."""


@contextlib.contextmanager
def host(state: Path, agent: str, task: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Have a host in another process run a task; its id is given, too."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", HOST, json.dumps([TEAM, str(state), agent, task])],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


@contextlib.contextmanager
def continuing_host(state: Path, task_id: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a host in another process continue a task."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", FINISHER, json.dumps([TEAM, str(state), task_id, ""])],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def killed_host(state: Path, agent: str, task: str, begun: Path) -> str:
    """Run a task in a host, and kill that once the file is there and the journal has what was said before it was."""
    with host(state, agent, task) as (program, task_id):
        wait_until(begun.exists, "the call has begun", limit=PATIENCE)
        wait_until(lambda: last_is_open(state, task_id), "the journal has the turn", limit=PATIENCE)
        program.kill()
        program.wait()
    return task_id


def last_is_open(state: Path, task_id: str) -> bool:
    """Whether the conversation of a task ends with a turn that has unanswered calls."""
    return bool(last_said(state, task_id).get("tool_calls"))


def last_said(state: Path, task_id: str) -> dict[str, Any]:
    """The last message of the conversation of a task."""
    code = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("
    code += "'SELECT body FROM message WHERE task = ? ORDER BY number DESC', sys.argv[2:]).fetchone()[0])"
    (journal,) = state.glob("run_*/journal.sqlite")
    command = [sys.executable, "-c", code, str(journal), task_id]
    last = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    message: dict[str, Any] = json.loads(last)
    return message


def resumed(runtime: Runtime, task: str, message: str | None = None) -> TaskView:
    """Continue a task to its end."""
    (view,) = runtime.wait([runtime.resume(task, message)], timeout=PATIENCE)
    return view


def long_call(folder: Path) -> list[Any]:
    """A turn that leaves a trace, and goes on for ever."""
    return [["shell", {"cmd": f"echo begun >> '{folder / 'begun'}'; sleep 600"}]]
