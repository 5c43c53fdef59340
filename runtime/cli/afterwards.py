"""Afterwards: what a run has cost, and which commands show more of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ..models.base import Usage
from ..tasks.views import ID_PREFIX, TaskView
from ..tasks.wording import usage_text
from ..terminal.streams import err
from ..text import duration, one_line

__all__ = ["cost_of_root", "cost_together", "say_what_next"]

_MOST_NAMED: Final = 3
"""Failed tasks that are named; `ps` lists the others."""


def cost_of_root(view: TaskView) -> str:
    """Return how the root of a run ended, and what it has cost with all its tasks, as a line."""
    head = f"{view.id} {view.agent}: {view.status} after {duration(view.runtime)}."
    return head + _cost(" With all its tasks: ", view.total_usage)


def cost_together(views: Sequence[TaskView], seconds: float) -> str:
    """Return how tasks ended that were started together, and what they have cost with theirs, as a line."""
    statuses = ("completed", "failed", "stopped")
    numbers = {status: sum(view.status == status for view in views) for status in statuses}
    counts = ", ".join(f"{number:,} {status}" for status, number in numbers.items() if number)
    head = f"{'1 task' if len(views) == 1 else f'{len(views):,} tasks'}: {counts} after {duration(seconds)}."
    return head + _cost(" Together: ", sum((view.total_usage for view in views), Usage()))


def say_what_next(
    views: Sequence[TaskView], root: TaskView | None, run: Path, state_dir: str | None, *, can_resume: bool = True
) -> None:
    """Say on a terminal which commands show more of a run.

    Args:
        views: all its tasks.
        root: the task that was its root; None: there was none.
        run: its folder.
        state_dir: the state folder that the user has named, which the next commands need as well.
        can_resume: whether `subactors resume` could continue the root: it has a conversation, and its team a file.
    """
    if not err.is_terminal:
        return
    option = f" --state-dir {shlex.quote(state_dir)}" if state_dir is not None else ""
    commands = {f"subactors {command}{option}": why for command, why in _commands(views, root, run, can_resume)}
    width = max(map(len, commands), default=0)
    for head, (command, why) in zip(["Next:", *["     "] * len(commands)], commands.items(), strict=False):
        err.sentence(f"{head} {command:{width}}  {why}", hang=6)


def _commands(
    views: Sequence[TaskView], root: TaskView | None, run: Path, can_resume: bool
) -> Iterator[tuple[str, str]]:
    """Yield commands without the program's name, and what each is for."""
    if root is not None:
        yield f"view {_short(root)}", "what it said, and what it used"
        if root.status != "completed" and can_resume:
            yield f"resume {_short(root)}", "goes on from its last finished turn"
    failed = [view for view in views if view.status == "failed" and (root is None or view.id != root.id)]
    for view in failed[:_MOST_NAMED]:
        yield f"view {_short(view)}", f"why {one_line(view.agent, 30)} failed"
    if len(views) > 1:
        yield f"ps --all --run {run.name.rpartition('_')[2]}", f"its {len(views):,} tasks"
    elif root is None and not failed:
        yield from ((f"view {_short(view)}", "what it said, and what it used") for view in views)


def _short(view: TaskView) -> str:
    """Return the part of an id by which people name it."""
    return view.id.removeprefix(ID_PREFIX)


def _cost(head: str, usage: Usage) -> str:
    return f"{head}{usage_text(usage)}." if usage.input_tokens or usage.output_tokens or usage.cost else ""
