"""Resuming command: `resume`, for a task of an earlier run. Imported when it is called."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from ..control.finding import find
from ..control.former import FormerTask, former_task
from ..errors import RunError, StateError
from ..runs.facts import Facts
from ..runs.folder import RunFiles, is_live
from ..runs.reader import JournalReader
from ..teamfile.load import load_team
from .run import resume_root

__all__ = ["resume_task"]


def resume_task(
    root: Path, part: str, text: str | None, team_file: Path | None, *, as_json: bool, settings: dict[str, Any]
) -> int:
    """Continue a task, in this process, and print its answer; return the exit status.

    Args:
        root: the state folder.
        part: a part of its id; see `control.finding`.
        text: what is said to it now.
        team_file: its team; None: the file that its run had.
        as_json: whether events are to be printed.
        settings: of the host; without a working directory, it is that of its run.

    Raises:
        UnknownTaskError: there is no such task.
        RunError: it cannot be continued, or nobody knows with which team, or where.
        StateError: its journal cannot be read.
        TeamFileError: its team cannot be used.
    """
    with find(root, part) as found:
        task_id, run = found.id, found.run
    former = former_task(root, task_id)
    if former is None:
        raise RunError(f"Task {task_id} is not in the journal of its run, so there is nothing to continue.")
    return _resume(former, _facts(run), text, team_file, as_json=as_json, settings=settings)


def _resume(
    former: FormerTask,
    facts: Facts,
    text: str | None,
    team_file: Path | None,
    *,
    as_json: bool,
    settings: dict[str, Any],
) -> int:
    task_id = former.past.id
    if team_file is None:
        if not facts.team_file:
            raise RunError(
                f"The run of {task_id} had no team file ({facts.team or 'its journal does not say'}). Name one with "
                "--team, or continue the task in the program that has the team: `runtime.resume(ID)`."
            )
        team_file = Path(facts.team_file)
    if "working_dir" not in settings and facts.working_dir:
        if not Path(facts.working_dir).is_dir():
            raise RunError(
                f"{facts.working_dir}, where {task_id} worked, is not there any more. Name another with --working-dir."
            )
        settings = {**settings, "working_dir": facts.working_dir}
    return resume_root(load_team(team_file), former, text, as_json=as_json, settings=settings)


def _facts(run: Path) -> Facts:
    try:
        with JournalReader(RunFiles(run).journal, live=is_live(run)) as reader:
            return Facts.of_journal(reader.facts())
    except sqlite3.Error as error:
        raise StateError(f"The journal of {run.name} cannot be read: {error}.") from error
