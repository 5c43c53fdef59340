"""Run commands: `prune`. Imported when it is called; must not bring what only a process that runs tasks needs."""

from __future__ import annotations

from pathlib import Path

from ..runs.upkeep import prune
from ..terminal.streams import out, warn

__all__ = ["prune_runs"]


def prune_runs(root: Path, *, keep: float, unread: bool) -> int:
    """Remove old runs and print which; return the exit status."""
    pruned = prune(root, keep, unread=unread)
    for path, tasks in pruned.removed.items():
        out.sentence(f"Removed {path.name}, with {tasks} task{'' if tasks == 1 else 's'}.")
    for path, why in pruned.kept.items():
        out.sentence(f"Kept {path.name}: {why}.")
    if not pruned.removed and not pruned.kept:
        out.sentence(f"No run in {root} is old enough.")
    elif pruned.kept and not unread:
        warn("`subactors prune --unread` removes those, too.")
    return 0
