"""Runs for tests to find: hosts that are processes of their own, and folders of runs whose hosts are gone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from subactors.runtime.runs.folder import RunFolder
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.runs.schema import Statement
from warm_commands import run_command

__all__ = ["Host", "command", "host", "make_old", "past_run", "python", "subactors", "task_row"]

PATIENCE = 30.0
"""Seconds to wait for something that must come."""

_HOLDER = """\
import sys
from pathlib import Path
from subactors.runtime.runs.folder import RunFolder

folder = RunFolder.create(Path(sys.argv[1]))
print(folder.path, flush=True)
sys.stdin.read()
"""


def command(*arguments: object) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "subactors.runtime.cli", *map(str, arguments)]


def subactors(*arguments: object, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a state folder, to its end."""
    return run_command(*arguments, "--state-dir", root, timeout=PATIENCE)


class Host(NamedTuple):
    """A process that holds the lock of a run."""

    program: subprocess.Popen[str]
    run: Path

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self.program.kill()
        self.program.wait()


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program with pipes for its standard input and output."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def host(root: Path, code: str = _HOLDER) -> Iterator[Host]:
    """Have a host run in a process of its own; its program prints the folder of its run first."""
    with python(code, root) as program:
        assert program.stdout is not None
        try:
            yield Host(program, Path(program.stdout.readline().rstrip("\n")))
        finally:
            program.kill()


def task_row(number: int, **values: Any) -> Statement:
    """A completed task that has been read, with what is given changed."""
    row = {
        "number": number,
        "id": f"agent_task_{number:08x}",
        "agent": "worker",
        "task": f"work {number}",
        "started": time.time() - 10,
        "status": "completed",
        "runtime": 2.5,
        "result": json.dumps(f"result {number}"),
        "was_read": 1,
        **values,
    }
    places = ", ".join("?" * len(row))
    return f"INSERT INTO task ({', '.join(row)}) VALUES ({places})", list(row.values())  # noqa: S608 - names of columns


def past_run(root: Path, *statements: Statement, said: Mapping[str, bytes] | None = None) -> Path:
    """Make the folder of a run that has ended, with these entries in its journal and this output of tasks."""
    folder = RunFolder.create(root)
    journal = Journal(folder.journal, {})
    journal.write(statements)
    journal.close()
    for task_id, data in (said or {}).items():
        output = OutputFiles(folder.output, task_id, 1000)
        output.write(data)
        output.close()
    folder.release()
    return folder.path


def make_old(run: Path, days: float) -> Path:
    """Make a past run look as if it had ended so long ago, and return where it is now."""
    then = time.time() - days * 86400
    for path in [*(run / "output").iterdir(), *(run / "log").iterdir()]:
        os.utime(path, (then, then))
    name = f"run_{time.strftime('%Y%m%dT%H%M%S', time.gmtime(then))}_{run.name.rpartition('_')[2]}"
    return run.rename(run.with_name(name))
