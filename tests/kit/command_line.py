"""Command line: subactors run as a program, in a folder with a team."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from warm_commands import run_command

COMMAND = [sys.executable, "-m", "subactors.runtime.cli"]

TEAM = """\
agents:
  root:
    model: python/cli_models:coordinator
    sub_agents: [greeter, failing, patient]
    toolsets: [{type: background_agents}]
  greeter: {entrypoint: "cli_models:greet"}
  failing: {entrypoint: "cli_models:fail"}
  patient: {entrypoint: "cli_models:wait_for_ever"}
  pair: {entrypoint: "cli_models:end_with_the_other"}
"""

MODELS = """\
import asyncio
import time
from pathlib import Path


def call(name, **arguments):
    return {"function": {"name": name, "arguments": arguments}}


async def coordinator(messages, tools):
    turn = sum(message["role"] == "assistant" for message in messages)
    prompt = next(message["content"] for message in messages if message["role"] == "user")
    if prompt == "raise":
        raise ValueError("the model is broken")
    if turn == 0:
        agent = {"hang": "patient", "fail": "failing"}.get(prompt, "greeter")
        return {"content": "starting", "tool_calls": [call("run_background_agent", agent=agent, task="hello")]}
    if prompt == "hang":
        await asyncio.sleep(1000)
    if turn == 1 or "still at work" in messages[-1]["content"] and " 0 still at work" not in messages[-1]["content"]:
        await asyncio.sleep(0.01)
        return {"content": "", "tool_calls": [call("list_background_agents")]}
    return "The answer to " + prompt


def greet(task):
    task.emit("greeting\\n")
    return f"Hello, {task.text}!"


def fail(task):
    task.emit("until then\\n")
    raise RuntimeError("no luck")


def end_with_the_other(task):
    task.emit("here I am\\n")
    while not task.stop_requested:
        time.sleep(0.01)
    Path(task.text).touch()
    while not all(Path(name).exists() for name in ("one", "other")):
        time.sleep(0.01)
    return "both"


def wait_for_ever(task):
    task.emit("here I am\\n")
    while True:
        time.sleep(1000)
"""


def write_team(folder: Path) -> Path:
    """Write the team file and the models of its agents; return the folder."""
    (folder / "team.yaml").write_text(TEAM)
    (folder / "cli_models.py").write_text(MODELS)
    return folder


def subactors(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=folder, environ={**os.environ, "PYTHONPATH": str(folder)}, text=text)


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command, with what it prints in pipes."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
