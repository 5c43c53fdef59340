"""Entrypoints that use `multiprocessing` in their tasks: processes, managers and shared memory of their own."""

from __future__ import annotations

import multiprocessing
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from context_targets import append_to
from subactors.actors import get_context
from subactors.runtime import EntrypointTask


def share(task: EntrypointTask) -> list[Any]:
    """Share a manager's lists with a process, by the start method that the task names."""
    context: Any = get_context() if task.text == "context" else multiprocessing.get_context(task.text)
    with context.Manager() as manager:
        shared = manager.list([manager.list(["inside"])])
        process = context.Process(target=append_to, args=(shared, "from a process"))
        process.start()
        process.join()
        return [list(shared[0]), shared[1], process.exitcode]


def leave_a_segment(task: EntrypointTask) -> str:
    """Make a segment of shared memory, never remove it, and return its name."""
    return SharedMemory(create=True, size=len(task.text) or 1).name
