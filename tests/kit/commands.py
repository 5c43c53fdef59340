"""The commands, as a shell and a terminal run them, in a folder with a team that works and fails in several ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from warm_commands import run_command

COMMAND = [sys.executable, "-m", "subactors.runtime.cli"]

SHELL_COMMAND = f"{sys.executable} -m subactors.runtime.cli"

PATIENCE = 50.0

TEAM = """\
agents:
  root: {entrypoint: "terminal_work:say"}
  loud: {entrypoint: "terminal_work:loud"}
  broken: {entrypoint: "terminal_work:broken"}
  torn: {entrypoint: "terminal_work:torn"}
  slow: {entrypoint: "terminal_work:slow"}
  silent: {entrypoint: "terminal_work:silent"}
  streams: {entrypoint: "terminal_work:streams"}
  "a[/b]": {entrypoint: "terminal_work:loud"}
"""

WORK = """\
import os
import subprocess
import sys
import time

EVIL = "evil \\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b31m\\u202e\\r text"


def say(task):
    return task.text


def loud(task):
    task.emit("said " + EVIL + "\\n")
    return "result " + EVIL


def broken(task):
    raise RuntimeError("reason " + EVIL)


def torn(task):
    task.emit("before \\x1b]52;c;")
    time.sleep(0.3)
    task.emit("aGk=\\x07 after\\n")
    return "done"


def slow(task):
    task.emit("tick\\n" * 100)
    for _ in range(1000):
        task.emit("tick\\n" * 100)
        time.sleep(0.1)


def silent(task):
    task.emit("once\\n")
    time.sleep(1000)


def streams(task):
    opened = os.open("/dev/null", os.O_RDONLY)
    kinds = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]
    program = "import os; print(*[os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)], sep='|', end='')"
    child = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    return {"opened": opened, "kinds": kinds, "child": child.stdout.split('|')}
"""


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "SUBACTORS_STATE_DIR": str(folder / "state"), **more}


def shell(folder: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `bash`, in which $S is `subactors`."""
    return subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environ(folder, S=SHELL_COMMAND, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def newest_task(folder: Path) -> dict[str, object]:
    listed = run_command("ps", "--all", "--json", cwd=folder, environ=environ(folder))
    task: dict[str, object] = json.loads(listed.stdout.splitlines()[-1])
    return task
