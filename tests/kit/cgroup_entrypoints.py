"""Entrypoints, and an actor, for tests of control groups: what they see of theirs, and what they do in it."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from subactors.actors import ProcessActor
from subactors.runtime import EntrypointTask

_LONG = 600.0
_STEP = 1_000_000


def tells_its_group(task: EntrypointTask) -> dict[str, str | None]:
    """Answer with the name of the group that the process is in, and with the variable that names the tree."""
    del task
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(group for group in groups if group.startswith("0::"))
    return {"group": own.rpartition("/")[2], "variable": os.environ.get("SUBACTORS_CGROUP")}


def leaves_a_daemon(task: EntrypointTask) -> None:
    """Start a process with a session and an environment of its own, say its id, and wait for a stop."""
    program = [sys.executable, "-S", "-c", f"import time; time.sleep({_LONG})"]
    task.emit(f"{subprocess.Popen(program, env={}, start_new_session=True).pid}\n")
    task.wait_for_stop(_LONG)


def shares_memory(task: EntrypointTask) -> NoReturn:
    """Fill memory that is shared, and so is no process's own, with another process that holds it too."""
    task.emit("so far ")
    if not os.fork():
        time.sleep(_LONG)
    kept = []
    while True:
        piece = mmap.mmap(-1, _STEP)
        piece.write(b"x" * _STEP)
        kept.append(piece)


def forks_without_end(task: EntrypointTask) -> NoReturn:
    """Fork as fast as can be, until that is refused."""
    task.emit("so far ")
    while True:
        if not os.fork():
            time.sleep(_LONG)


class Holder(ProcessActor):
    """Has other processes hold memory."""

    def spread(self, count: int, size: int) -> None:
        """Start so many processes that hold so many bytes each."""
        program = f"import time; kept = bytearray({size}); time.sleep({_LONG})"
        for _ in range(count):
            subprocess.Popen([sys.executable, "-S", "-c", program])
