"""Host programs: a program of somebody's own that uses the runtime, started and watched by a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 40.0

START = """
from subactors.runtime import Runtime
agents = ["echo", "waits", "deaf", "deaf_in_c", "keeps_daemons", "segfaults", "prints", "meet"]
team = {"agents": {name: {"entrypoint": f"entrypoints:{name}"} for name in agents}}
"""

RUN = (
    START
    + """
with Runtime.from_mapping(team) as runtime:
    (view,) = runtime.wait([runtime.run("echo", "hello")])
    print(view.status, view.result)
"""
)

CROWD = (
    START
    + """
import json, os, time
runtime = Runtime.from_mapping(team, stop_grace=0.3)
ids = [runtime.run(agent, "x") for agent in ("keeps_daemons", "waits", "deaf", "deaf_in_c")]
while not all(runtime.view(task_id).output for task_id in ids):
    time.sleep(0.01)
daemons = json.loads(runtime.view(ids[0]).output)
pids = json.dumps([runtime.view(task_id).pid for task_id in ids] + daemons)
"""
)
SAY = "print(pids, flush=True)\n"


class Host:
    """A running program, with the tests' modules on its path and a folder of its own for temporary files."""

    def __init__(self, folder: Path, *arguments: str, **keywords: Any) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "TMPDIR": str(self.temporary)}
        self.program = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdin": subprocess.DEVNULL, **keywords},
        )

    def read_line(self) -> str:
        assert self.program.stdout is not None
        line: str = self.program.stdout.readline()
        assert line, self.finish()
        return line

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end; returns exit status, output and errors."""
        output, errors = self.program.communicate(timeout=PATIENCE)
        return self.program.returncode, output, errors

    def end(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
        with contextlib.suppress(ValueError):  # it has finished
            self.program.communicate(timeout=PATIENCE)
