"""Functions that say what they have used, for tests of limits on it. What they are to do is the task's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from processes_and_waits import wait_until
from subactors.runtime import BudgetError, EntrypointTask, LimitError, Limits

_PATIENCE = 30.0


def spends(task: EntrypointTask, data: list[Any]) -> list[str]:
    """Do one thing after the other, and answer with what it was refused.

    A thing is one of
    - `["spend", dollars, tokens]`;
    - `["run", data, limits]`: start another such task, `limits` being those of the call, or nothing;
    - `["results"]`: wait for all that it has started;
    - `["touch", path]`, `["wait_for", path]`, `["wait"]`: for a stop.
    """
    started, refused = [], []
    for what, *given in data:
        match what, given:
            case "spend", [dollars, tokens]:
                task.usage(cost=dollars, input_tokens=tokens)
            case "run", [work, *limits]:
                try:
                    chosen = Limits(**limits[0]) if limits else None
                    started.append(task.runtime.run("worker", "go", data=work, limits=chosen))
                except BudgetError as error:
                    refused.append(str(error))
            case "results", []:
                task.runtime.wait(started, timeout=_PATIENCE)
            case "touch", [path]:
                Path(path).touch()
            case "wait_for", [path]:
                wait_until(Path(path).exists, "the file", limit=_PATIENCE)
            case _:
                task.wait_for_stop(_PATIENCE)
    return refused


def asks_on(task: EntrypointTask) -> str:
    """Start one task like itself, if it may start any, and ask its model until there is nothing left for that."""
    if task.text == "lead":
        task.runtime.run("worker", "go")
    while True:
        try:
            task.model.ask("Anything new?")
        except LimitError as error:
            return str(error)
