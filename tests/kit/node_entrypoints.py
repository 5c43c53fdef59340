"""Entrypoints for tasks on nodes. Imported in their processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = [
    "closes_its_connection",
    "floods",
    "holds_devices",
    "leaves_a_daemon",
    "once_then_waits",
    "says_much",
    "tells_where",
    "works_a_little",
    "works_beside_another",
    "writes_a_large_result",
]


def leaves_a_daemon(task: Any) -> None:
    """Start a process that would outlive it, in a session of its own; say its id and this one's; wait."""
    program = "import time; time.sleep(600)"
    daemon = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    task.emit(f"{os.getpid()} {daemon.pid}\n")
    time.sleep(600)


def tells_where(_: Any) -> dict[str, Any]:
    """Return what a task sees of the machine that it runs on."""
    return {"pid": os.getpid(), "folder": str(Path.cwd()), "modules": [entry for entry in sys.path if "code" in entry]}


def once_then_waits(task: Any) -> str:
    """Wait the first time; return at once after a restart."""
    mark = Path(task.text)
    if mark.exists():
        return "again"
    mark.touch()
    task.emit("first\n")
    time.sleep(600)
    return "never"


def writes_a_large_result(task: Any) -> str:
    """Return a text of so many characters, and write as many to standard error."""
    size = int(task.text)
    sys.stderr.write("e" * size)
    os.write(2, b"e" * size)
    return "r" * size


def says_much(task: Any) -> int:
    """Say so many megabytes, and return how many bytes that were."""
    piece = "x" * 3999 + "\n"
    for _ in range(int(task.text) * 250):
        task.emit(piece)
    return int(task.text) * 1_000_000


def works_a_little(task: Any) -> int:
    """Say its process's id, work for a moment, and return the square of a number."""
    task.emit(f"{os.getpid()}\n")
    number = int(task.text)
    time.sleep(0.02 * (number % 4) + 0.3 * (number % 2))
    return number * number


def works_beside_another(task: Any) -> int:
    """The same, and leave a process that would outlive it, in a session of its own; say its id, too."""
    other = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    task.emit(f"{other.pid} ")
    return works_a_little(task)


def holds_devices(task: Any) -> None:
    """Say which GPUs it may use, and hold them."""
    task.emit(f"{os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    time.sleep(600)


def closes_its_connection(task: Any) -> None:
    """Close all that is open, as a daemon does at its start, and say something."""
    os.closerange(3, 1000)
    task.emit("Nobody hears this.")


def floods(task: Any) -> None:
    """Say something for ever, as fast as it is taken."""
    while True:
        task.emit("x" * 3999 + "\n")
