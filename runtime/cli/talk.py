"""Talking commands: `tell`, for a task that another process runs. Imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..control.other_hosts import ForeignTask, find
from ..errors import RuntimeClosedError
from ..tasks.talk import SteerTask
from ..terminal.streams import out, warn
from ..text import encodable

__all__ = ["tell_task"]

_FAILED: Final = 1


def tell_task(root: Path, part: str, text: str) -> int:
    """Say something to a task, and print what becomes of it; return the exit status."""
    with find(root, part) as task:
        try:
            receipt = task.ask(SteerTask(task.id, encodable(text)))
        except (OSError, RuntimeClosedError):
            warn(_why_not(task))
            return _FAILED
    if receipt.outcome == "ended":
        warn(str(receipt))
        return _FAILED
    out.sentence(str(receipt))
    return 0


def _why_not(task: ForeignTask) -> str:
    """Return why a task cannot be told anything: its host does not answer."""
    view = task.view_by_journal()
    if view.ended:
        return f"Task {view.id} has ended already: {view.status}. {view.reason}".rstrip()
    return f"{view.id} is {view.status}. {task.warning or 'Its host is just ending.'}"
