"""What the agents do; agents with models are used in the same way."""

from __future__ import annotations

from subactors.runtime import EntrypointTask

__all__ = ["look_up"]


def look_up(task: EntrypointTask) -> str:
    """Look into one topic."""
    print(f"looking for {task.text}")
    return f"all about {task.text}"
