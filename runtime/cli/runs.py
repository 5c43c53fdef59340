"""Run commands: `runs` and `prune`.

Imported when one of them is called; it must not bring what only a process that runs tasks needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ..runs.overview import RunOverview, overviews
from ..runs.upkeep import prune
from ..tasks.views import iso_time
from ..terminal.streams import out, warn
from ..text import one_line
from .json_style import print_json
from .manner import manner

__all__ = ["list_runs", "prune_runs"]

_WORDS: Final = 200
"""Characters of a task's reason, and of its text."""


def list_runs(root: Path, *, at_most: int | None, only_open: bool, as_json: bool) -> int:
    """Print runs, the newest last; return the exit status.

    Args:
        root: the state folder.
        at_most: how many are looked at, the newest; None: all.
        only_open: whether those are left out of which no task can be continued.
        as_json: whether to print one run a line, as JSON.
    """
    found = [run for run in overviews(root, at_most) if run.open_ends or not only_open]
    for run in found:
        if as_json:
            print_json(_plain(run))
        elif manner.quiet:
            out.line(run.path.name)
        else:
            _print_run(run)
    if not (found or as_json or manner.quiet):
        warn(f"There are no runs{' with open ends' if only_open else ''} in {root}.")
    return 0


def _plain(run: RunOverview) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "host_pid": run.host_pid,
        "started_at": iso_time(run.started) if run.started else None,
        "ended_at": iso_time(run.ended) if run.ended is not None else None,
        "command": run.facts.command,
        "team": run.facts.team_file or run.facts.team,
        "working_dir": run.facts.working_dir,
        "tasks": dict(run.counts),
        "open_ends": [
            {"id": view.id, "agent": view.agent, "status": view.status, "reason": view.reason, "task": view.task}
            for view in run.open_ends
        ],
        "damage": run.damage,
    }


def _print_run(run: RunOverview) -> None:
    until = f"process {run.host_pid}" if run.ended is None else f"to {_to_the_second(run.ended)}"
    what = " ".join(filter(None, [run.facts.command, run.facts.team_file or run.facts.team]))
    out.sentence(f"{run.path.name}  {_to_the_second(run.started)} {until}  {one_line(what, _WORDS)}".rstrip(), hang=4)
    counts = ", ".join(f"{count} {status}" for status, count in run.counts.items()) or "no tasks"
    out.sentence(f"    {counts}", hang=4)
    for view in run.open_ends:
        reason = one_line(view.reason, _WORDS)
        out.sentence(f"    {view.id} ({view.agent}) {view.status}: {reason} - {one_line(view.task, _WORDS)}", hang=8)
    if run.damage:
        out.sentence(f"    {run.damage}", hang=4)


def _to_the_second(seconds: float) -> str:
    return f"{iso_time(seconds).partition('.')[0]}Z"


def prune_runs(root: Path, *, keep: float, unread: bool, as_json: bool) -> int:
    """Remove old runs and print which; return the exit status."""
    pruned = prune(root, keep, unread=unread)
    if as_json:
        for path, tasks in pruned.removed.items():
            print_json({"run": str(path), "removed": True, "tasks_removed": tasks, "reason": ""})
        for path, why in pruned.kept.items():
            print_json({"run": str(path), "removed": False, "tasks_removed": 0, "reason": why})
        return 0
    if manner.quiet:
        return 0
    for path, tasks in pruned.removed.items():
        out.sentence(f"Removed {path.name}, with {tasks} task{'' if tasks == 1 else 's'}.")
    for path, why in pruned.kept.items():
        out.sentence(f"Kept {path.name}: {why}.")
    if not pruned.removed and not pruned.kept:
        out.sentence(f"No run in {root} is old enough.")
    elif pruned.kept and not unread:
        warn("`subactors prune --unread` removes those, too.")
    return 0
