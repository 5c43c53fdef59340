"""Tasks for those who watch: functions whose every step a test decides, and a host for them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from run_folders import Host, command, host
from subactors.runtime import EntrypointTask

AGENTS: Final = ("leads", "speaks", "asks", "crashes", "fails", "hears")

TEAM: Final[dict[str, Any]] = {
    "agents": {
        **{name: {"entrypoint": f"watched:{name}"} for name in AGENTS},
        "leads": {"entrypoint": "watched:leads", "sub_agents": [*AGENTS[1:], "calls"]},
        # Its text is a list of calls of tools, each a name and arguments.
        "calls": {
            "model": "python/asking_entrypoints:does_what_it_is_told",
            "toolsets": [
                {"type": "shell"},
                {"type": "think"},
                {"type": "background_agents", "fan_out": True},
            ],
            "sub_agents": ["speaks"],
        },
    }
}

MAPS: Final = json.dumps(
    [["map_background_agent", {"agent": "speaks", "task": "{item}", "items": [f"item {n}" for n in range(12)]}]]
)
"""The text with which `calls` has a group of twelve tasks."""

_PROGRAM: Final = f"""\
import json, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import watched
from subactors.runtime import Runtime

settings = {{"stop_grace": 0.5, "standby": 0, "max_running": 1000}}
with Runtime.from_mapping(watched.TEAM, state_dir=sys.argv[1], **settings) as runtime:
    print(runtime._host.folder.path, flush=True)
    for line in sys.stdin:
        agent, text, data = json.loads(line)
        print(runtime.run(agent, text, **({{"data": data}} if data is not None else {{}})), flush=True)
"""


def leads(task: EntrypointTask) -> str:
    """Start what its data names, each with its text, and wait for a stop."""
    for agent, text in task.data or []:
        task.runtime.run(agent, text)
    task.emit("all have been started\n")
    task.wait_for_stop(600)
    return "led"


def speaks(task: EntrypointTask) -> str:
    """Say its text; then, each time that a file of its data has grown, what has been added to it; end with a stop."""
    task.emit(f"{task.text}\n")
    path, said = (task.data or {}).get("file"), 0
    while not task.wait_for_stop(0.02):
        if path and Path(path).exists():
            text = Path(path).read_text()
            if len(text) > said:
                task.emit(text[said:])
                said = len(text)
    return "spoken"


def asks(task: EntrypointTask) -> str:
    """Ask its text, and answer with what it was told."""
    return f"told: {task.ask(task.text, **(task.data or {}))}"


def hears(task: EntrypointTask) -> str:
    """Wait until somebody says something, and answer with that."""
    return f"heard: {task.receive(timeout=600)}"


def crashes(task: EntrypointTask) -> None:
    """Say its text, and die."""
    task.emit(f"{task.text}\n")
    os.abort()


def fails(task: EntrypointTask) -> None:
    """Raise an error with its text."""
    raise ValueError(task.text)


def ended_run(folder: Path) -> str:
    """Have a run in a state folder, which ends, and whose task can be continued; return the task's id."""
    team = folder / "team.yaml"
    team.write_text("agents: {root: {model: 'python/asking_entrypoints:does_what_it_is_told'}}")
    done = subprocess.run(
        command("run", team, "[]", "--json", "--state-dir", folder),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return next(task["id"] for line in done.stdout.splitlines() if (task := json.loads(line).get("task")))


class Watched:
    """A runtime in a process of its own, whose tasks are those above; see `watched`.

    Attributes:
        root: the state folder.
        host: the process, and the folder of its run.
    """

    def __init__(self, root: Path, process: Host) -> None:
        self.root = root
        self.host = process

    def start(self, agent: str, text: str, data: object = None) -> str:
        """Have a task started; return its id."""
        pipes = self.host.program
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        pipes.stdin.write(json.dumps([agent, text, data]) + "\n")
        pipes.stdin.flush()
        return pipes.stdout.readline().rstrip("\n")


@contextlib.contextmanager
def watched(root: Path) -> Iterator[Watched]:
    """Have such a runtime, whose tasks are killed at the end of the block."""
    from processes_and_waits import children_of, wait_until  # noqa: PLC0415 - tasks import this module, too

    with host(root, _PROGRAM) as process:
        # What a test finds there is not its own; of what comes later it would be said that it was left behind.
        wait_until(lambda: children_of(process.program.pid), "there is a zygote", 20.0)
        yield Watched(root, process)
