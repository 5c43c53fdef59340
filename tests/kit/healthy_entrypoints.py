"""Entrypoints that work beside a faulty one, for tests that it does them no harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

from subactors.runtime import EntrypointTask


def works_in_steps(task: EntrypointTask) -> dict[str, object]:
    """Say three lines, wait until a file is there, and say three more; each is worked out from the number in the task.

    The task is JSON with `number` and `go_on`, the file.
    """
    given = json.loads(task.text)
    total = 0
    for step in range(6):
        while step == 3 and not Path(given["go_on"]).exists():
            if task.wait_for_stop(0.01):
                return {"stopped": True}
        total += sum(number * number for number in range(given["number"] * 100))
        task.emit(f"{given['number']} step {step}\n")
    return {"number": given["number"], "total": total}


def says_and_answers(task: EntrypointTask) -> str:
    """Say forty numbered lines, and answer with the task's text; die without an answer if the text is `die`."""
    for line in range(40):
        task.emit(f"{task.id} line {line:03} {'x' * 200}\n")
        if task.text == "die" and line == 20:
            os._exit(3)
    return f"answer to {task.text}"
