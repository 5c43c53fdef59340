"""Restarting: begins the next attempt of a task, when the pause before it is over, from its last finished turn.

Used in the supervisor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..runs.conversation import select_conversation
from ..runs.journal import Journal
from ..tasks.views import Status
from .messages import Conversation, Mailbox, RestartDue
from .task import Task

__all__ = ["Restarts"]


class Restarts:
    """See the module.

    Args:
        journal: has the conversation.
        mailbox: the supervisor's; it is told `Conversation`.
        change_status: notes that a task is starting.
        start_attempt: starts a process of a task.
        failed: is called with a task that cannot be started, and with the reason.
    """

    def __init__(
        self,
        journal: Journal,
        mailbox: Mailbox,
        *,
        change_status: Callable[[Task, Status], None],
        start_attempt: Callable[[Task], None],
        failed: Callable[[Task, str], None],
    ) -> None:
        self._journal = journal
        self._mailbox = mailbox
        self._change_status = change_status
        self._start_attempt = start_attempt
        self._failed = failed

    def take(self, message: RestartDue | Conversation) -> None:
        """Take the next step; not for a task that was stopped meanwhile."""
        task = message.task
        if task.status != "restarting" or task.concluded:
            return
        if isinstance(message, Conversation):
            self._restart(task, message.messages)
            return
        self._journal.query(
            select_conversation(task.id),
            lambda rows: self._mailbox.tell_for(None, Conversation(task, tuple(body for (body,) in rows))),
        )

    def _restart(self, task: Task, messages: tuple[str, ...]) -> None:
        task.attempts += 1
        task.reason = ""
        task.spec = msgspec.structs.replace(task.spec, attempt=task.attempts, conversation=messages)
        self._change_status(task, "starting")
        try:
            self._start_attempt(task)
        except Exception as error:  # noqa: BLE001 - out of descriptors, say; the task ends for it, nobody else
            self._failed(task, f"It could not be started again: {error}")
