"""Functions of tasks that wait for tasks of their own."""

from __future__ import annotations

from subactors.runtime import EntrypointTask


def waits_for_its_own(task: EntrypointTask) -> None:
    """Start a task that ends when it is stopped, and wait for it."""
    task.runtime.wait([task.runtime.run("waits", "x")])
