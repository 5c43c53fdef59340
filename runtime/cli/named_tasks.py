"""Named tasks: those that a command names by parts of their ids, of whatever run; what is unknown is said."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ..control.finding import Finder
from ..control.other_hosts import ForeignTask
from ..errors import UnknownTaskError
from ..terminal.streams import warn

__all__ = ["named_tasks"]


def named_tasks(root: Path, parts: Sequence[str], stack: contextlib.ExitStack) -> tuple[dict[str, ForeignTask], bool]:
    """Return the tasks that are meant, each once, by id, and whether all are known; warn of the others.

    Args:
        root: the state folder.
        parts: parts of their ids.
        stack: closes them.
    """
    finder = Finder(root)
    tasks: dict[str, ForeignTask] = {}
    are_all_known = True
    for part in parts:
        try:
            task = stack.enter_context(finder.find(part))
        except UnknownTaskError as error:
            warn(str(error))
            are_all_known = False
        else:
            tasks.setdefault(task.id, task)
    return tasks, are_all_known
