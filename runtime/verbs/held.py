"""Held: what a program holds of tasks: its handles, and until they end its claims to those that have a key."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

import msgspec

from ..tasks.views import TaskList, TaskView

__all__ = ["Handle", "Held"]

_MOST_OUTPUT: Final = 100_000
"""Characters of a task's output that its handle keeps, from the end."""


class Handle(Protocol):
    """A handle; see `TaskHandle`."""

    id: str
    end: TaskView | None


class Held:
    """See the module. Every method may be called from any thread.

    The host forgets a task that has been read, at some time; a handle that is alive then still has its end.
    """

    def __init__(self) -> None:
        self._handles: WeakValueDictionary[str, Handle] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._claims: Counter[str] = Counter()

    def handle(self, task_id: str) -> Handle | None:
        """Return the handle of a task that is alive; None if none is."""
        return self._handles.get(task_id)

    def add(self, handle: Handle) -> None:
        """Take note of a new handle."""
        self._handles[handle.id] = handle

    def note_ends(self, reply: object) -> None:
        """Have handles keep the ends that a reply shows, which have been read with it; claims end there."""
        views: list[TaskView] = [reply] if isinstance(reply, TaskView) else []
        if isinstance(reply, TaskList):
            views = reply.tasks
        for view in views:
            if not view.ended:
                continue
            handle = self._handles.get(view.id)
            if handle is not None:
                handle.end = _bounded(view)
            if self._claims:  # of most programs there are none, and this is on every reply's way
                with self._lock:
                    self._claims.pop(view.id, None)

    def claim(self, task_id: str) -> None:
        """Take note of one more who has asked for a task by its key."""
        with self._lock:
            self._claims[task_id] += 1

    def release(self, task_id: str) -> bool:
        """Take note of one less; return whether nobody else has asked for the task, or it has ended."""
        with self._lock:
            self._claims[task_id] -= 1
            if self._claims[task_id] > 0:
                return False
            del self._claims[task_id]
            return True


def _bounded(view: TaskView) -> TaskView:
    if len(view.output) <= _MOST_OUTPUT:
        return view
    changes: dict[str, Any] = {"output": view.output[-_MOST_OUTPUT:]}
    return msgspec.structs.replace(view, **changes)
