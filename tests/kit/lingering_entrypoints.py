"""Entrypoints that answer, and whose processes are not over with that."""

from __future__ import annotations

import atexit
import json
from pathlib import Path

from processes_and_waits import wait_until
from subactors.runtime import EntrypointTask

_LONG = 600.0
"""Seconds; nobody waits for them to pass."""


def answers_and_floods(task: EntrypointTask) -> str:
    """Answer, and say ten kilobytes after that."""
    atexit.register(task.emit, "x" * 10_000)
    return "the answer"


def answers_and_lives_on(task: EntrypointTask) -> str:
    """Answer, and have the process end when a file is there."""
    file = Path(json.loads(task.text)["file"])
    atexit.register(wait_until, file.exists, "the file", limit=_LONG)
    return "the answer"
