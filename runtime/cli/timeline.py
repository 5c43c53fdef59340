"""Timeline command: `timeline`. Imported when it is called; it must not bring what only a host needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from ..control.finding import find, find_run
from ..errors import RunError, UnknownTaskError
from ..runs.folder import runs
from ..terminal.streams import err, warn
from ..timeline.page import page
from ..timeline.reading import NoTasksError, Timeline, read_timeline
from ..timeline.svg import svg
from ..timeline.trace_events import trace_events
from ..timeline.words import about_timeline
from .manner import manner

__all__ = ["write_timeline"]

_FORMS: Final[dict[str, Callable[[Timeline], str]]] = {".svg": svg, ".html": page, ".json": trace_events}


def write_timeline(root: Path, part: str | None, path: Path) -> int:
    """Write the timeline of a run, or of a task and all that it has started; return the exit status.

    Args:
        root: the state folder.
        part: a part of the name of the run, or of the task's id; None: the newest run that has tasks.
        path: where to; its suffix says in which form.

    Raises:
        click.UsageError: there is no such form, or the file cannot be written.
        RunError: there is no such run, nor such a task.
        StateError: the state folder, or the journal, cannot be read.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise click.UsageError(f"{path} is in no form that is known here: its name must end in {' or '.join(_FORMS)}.")
    timeline = _timeline(root, part)
    try:
        path.write_text(form(timeline), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror or error}.") from None
    for sentence in timeline.damaged:
        warn(sentence)
    if not manner.quiet:
        err.sentence(f"{path}: {about_timeline(timeline)}.")
    return 0


def _timeline(root: Path, part: str | None) -> Timeline:
    if part is None:
        for path in reversed(runs(root)):
            with contextlib.suppress(NoTasksError):
                return read_timeline(path)
        raise RunError(f"There are no runs with tasks in {root}.")
    if part.startswith("run_") or "/" in part:
        return read_timeline(find_run(root, part))
    try:
        with find(root, part) as task:
            return read_timeline(task.run, task.id)
    except UnknownTaskError as no_task:
        try:
            return read_timeline(find_run(root, part))
        except RunError as no_run:
            raise RunError(f"{no_task} {no_run}") from None
