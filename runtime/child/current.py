"""Current: the task whose process this is, for code that nobody has given it: libraries, threads, log records."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from ..errors import RunError

if TYPE_CHECKING:
    from .entrypoint import EntrypointTask

__all__ = ["CurrentTask", "current_task", "install", "refuse_endless_import", "set_current"]


class CurrentTask:
    """What is known of the task without asking.

    Attributes:
        id: the task's id.
        agent: name of its agent, or of the function.
        task: returns the task as the user's own code sees it.
    """

    __slots__ = ("agent", "id", "task")

    def __init__(self, task_id: str, agent: str, task: Callable[[], EntrypointTask]) -> None:
        self.id = task_id
        self.agent = agent
        self.task = task


_current: CurrentTask | None = None
_is_forked = False
_make_record: Final = logging.LogRecord


def current_task() -> EntrypointTask | None:
    """Return the task whose process this is, in any thread of it; None in a process that is no task's, such as a host.

    It is what an entrypoint is called with, and is there for functions, and for the tools of an agent, too. A process
    has one task, so it is no context variable, which a new thread would not have.
    """
    return None if _current is None else _current.task()


def set_current(current: CurrentTask | None) -> None:
    """Say whose process this is; None: no task's any more."""
    global _current  # noqa: PLW0603 - there is one task in a process
    _current = current


def install() -> None:
    """Have the log records of tasks say whose they are. Runs in the zygote, so that no task pays for it."""
    global _is_forked  # noqa: PLW0603 - true of this process, and of all that are forked from it
    _is_forked = True
    logging.setLogRecordFactory(_record)


def refuse_endless_import(modules: Callable[[], Iterable[str]]) -> None:
    """Refuse to start a task for code of a module that this process, a task's or the zygote's, is importing.

    The new task would import the module, too, which would start the next, without end.

    Args:
        modules: returns the names of the modules of that code; is called in such processes only.

    Raises:
        RunError: that is so.
    """
    if not _is_forked:
        return
    for module in modules():
        name = module
        while name:
            if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
                raise RunError(
                    f"Module {name!r} starts a task of its own code while it is imported. The task imports it, too, "
                    "and would start the next, without end. Start it in a function, or under "
                    "`if current_task() is None:`."
                )
            name = name.rpartition(".")[0]


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    record.task_id, record.agent = ("", "") if _current is None else (_current.id, _current.agent)
    return record
