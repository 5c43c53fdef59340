"""Resuming: finds in the journal of this run what a task needs that continues one which has ended.

Nothing here waits: the journal answers in its own thread, and what it says comes back to the supervisor as a call.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import RunError, UnknownTaskError
from ..runs.conversation import select_past
from ..runs.journal import Journal
from ..runs.past_rows import past_of
from ..tasks.gateway import Call, Caller, ReplyTo
from ..tasks.messages import ResumeTask
from ..tasks.past import ResumePast
from .messages import Mailbox
from .registry import TaskRegistry

if TYPE_CHECKING:
    from ...actors.regular_files import Folder

__all__ = ["Resumer"]

_CHARGE: Final = 2e-8
"""Seconds that a task is charged for each character of a conversation that the journal is asked for."""


class Resumer:
    """See the module. Used in the supervisor's thread, but where a method says otherwise.

    Args:
        registry: the tasks.
        journal: of this run.
        outputs: the folder of what tasks say, in that of this run.
        mailbox: the supervisor's.
        charge: has the task that asks wait for its next turn, for so many seconds of work.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        journal: Journal,
        outputs: Folder,
        mailbox: Mailbox,
        *,
        charge: Callable[[float], None],
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._run = str(Path(outputs.path).parent)
        self._mailbox = mailbox
        self._charge = charge
        self._asked: set[ReplyTo] = set()

    def give_up(self) -> list[ReplyTo]:
        """Return where answers are owed: nothing is continued any more."""
        asked = []
        with contextlib.suppress(KeyError):  # one by one: each is answered here, or in the journal's thread
            while True:
                asked.append(self._asked.pop())
        return asked

    def find(self, request: ResumeTask, caller: Caller, reply_to: ReplyTo) -> None:
        """Have a task looked up that is to be continued; `ResumePast` comes when it is found.

        Raises:
            UnknownTaskError: a task asks for one that it has not started.
            RunError: it has not ended.
        """
        missing: RunError = RunError(f"The journal cannot be read now, so nothing is known of {request.task_id}.")
        try:
            task = self._registry.find(request.task_id, caller)
        except UnknownTaskError as error:
            if caller.id is not None:
                raise
            missing = error  # unless it is only forgotten: the journal knows
        else:
            if not task.is_over:
                raise RunError(f"Task {task.id} is {task.status}. Only one that has ended can be continued.")
            if caller.id is not None:
                self._charge(task.conversation_size * _CHARGE)
        self._asked.add(reply_to)
        self._journal.query(
            select_past(request.task_id), lambda rows: self._found(rows, request, caller, reply_to, missing)
        )

    def found(self, reply_to: ReplyTo) -> None:
        """Take note that a call has come back."""
        self._asked.discard(reply_to)

    def _found(
        self,
        rows: Sequence[Sequence[Any]],
        request: ResumeTask,
        caller: Caller,
        reply_to: ReplyTo,
        missing: RunError,
    ) -> None:
        """Hand on what the journal says. In the journal's thread."""
        try:
            past = past_of(request.task_id, rows, live=True)
        except sqlite3.DatabaseError as error:
            past, missing = None, RunError(f"In the journal {error}.")
        if past is not None:
            self._mailbox.tell_for(None, Call(ResumePast(past, self._run, request.message), caller, reply_to))
            return
        with contextlib.suppress(KeyError):  # it was given up
            self._asked.remove(reply_to)
            reply_to.set_exception(missing.with_traceback(None))
