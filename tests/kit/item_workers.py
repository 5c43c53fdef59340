"""Functions that do the items of groups."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from subactors.runtime import EntrypointTask

_LONG = 600.0


def shouts(task: EntrypointTask) -> str:
    return task.text.upper()


def measures(task: EntrypointTask) -> dict[str, Any]:
    return {"text": task.text, "length": len(task.text)}


def minds_itself(task: EntrypointTask) -> str:
    """Do what the text says: fail, die, wait, or be good."""
    word = task.text.split()[-1]
    if word == "fails":
        raise ValueError(f"{task.text} is no good")
    if word == "dies":
        os._exit(3)
    if word == "waits":
        time.sleep(_LONG)
    return f"{word} is done"


def fails_without_its_file(task: EntrypointTask) -> str:
    """Fail unless there is the file that the text names, but for those named `good`."""
    path = Path(task.text)
    if path.name != "good" and not path.exists():
        raise FileNotFoundError(path.name)
    return path.name


def counts_its_siblings(task: EntrypointTask) -> int:
    """Return how many others were at work at the same time, as a folder shows that the text names."""
    folder = Path(task.text.split()[0])
    mine = folder / task.id
    mine.touch()
    most = 0
    for _ in range(20):
        most = max(most, len(list(folder.iterdir())))
        time.sleep(0.005)
    mine.unlink()
    return most


def spends(task: EntrypointTask) -> str:
    task.usage(input_tokens=100, cost=0.01)
    return task.text


def asks(task: EntrypointTask) -> str:
    return task.text + ": " + str(task.ask("What is " + task.text + "?", timeout=60))


def is_large(task: EntrypointTask) -> str:
    return task.text * 1_000_000
