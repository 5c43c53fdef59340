"""Your own program: it has agents work on texts, and makes one digest of what they say, whatever happens to them."""

from __future__ import annotations

from collections.abc import Sequence

from subactors.runtime import Runtime, TaskFailed

__all__ = ["digest"]


def digest(runtime: Runtime, work: Sequence[tuple[str, str]]) -> str:
    """Return a line for each piece of work.

    Args:
        runtime: of the team that has the agents.
        work: an agent and its text, each.
    """
    with runtime.group(on_error="collect") as group:
        tasks = [group.run(agent, text) for agent, text in work]
    lines = []
    for task in tasks:
        try:
            lines.append(f"{task.agent}: {task.result()}")
        except TaskFailed as failed:
            lines.append(f"{task.agent} failed: {failed.reason.partition(chr(10))[0]}")
    return "\n".join(lines)
