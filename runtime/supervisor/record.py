"""Record: what the journal keeps of a task's start and of its end."""

from __future__ import annotations

import msgspec

from ..runs.conversation import append_messages
from ..runs.letters import insert_letter
from ..runs.schema import Statement, insert_task, note_continued, note_end, note_start
from ..tasks.messages import RunTask
from ..tasks.past import encode_options
from ..tasks.views import Status
from ..text import encodable
from .task import Task

__all__ = ["accepted", "ended", "started"]


def accepted(task: Task, request: RunTask) -> list[Statement]:
    """Return what to write when a task is accepted."""
    has_conversation = task.spec.entrypoint is None
    statements = insert_task(
        task.id,
        agent=task.agent,
        text=task.text,
        expected_output=request.expected_output,
        parent=task.parent,
        started=task.started_at,
        queued=task.queued_at,
        status=task.status,
        attempts=task.attempts,
        workdir=encodable(task.spec.own_folder),
        continues=task.continues,
        options=encode_options(request.options) if has_conversation else None,
        owed=request.notify,
        item_of=task.item_of,
    )
    if task.continues:
        statements += append_messages(task.id, 1, task.attempts, task.spec.conversation)
        waiting = task.letters.waiting if task.letters is not None else ()
        statements += [insert_letter(task.id, each.number, task.started_at, each.sender, each.text) for each in waiting]
        statements += note_continued(task.continues)
    return statements


def started(task: Task) -> list[Statement]:
    """Return what to write when a task that was queued starts."""
    return note_start(task.id, started=task.started_at, status=task.status, attempt=task.attempts)


def ended(task: Task, status: Status, reason: str) -> list[Statement]:
    """Return what to write when a task's end has been decided, before anybody is told."""
    assert task.ran_for is not None  # noqa: S101 - the caller has just set both
    assert task.ended_at is not None  # noqa: S101 - the same
    return note_end(
        task.id,
        status=status,
        reason=reason,
        traceback=task.traceback,
        runtime=task.ran_for,
        ended=task.ended_at,
        result=task.result,
        result_in_file=bool(task.result_file),
        vitals=msgspec.json.encode(task.vitals).decode() if task.vitals is not None else None,
        output_size=task.output.size,
        attempt=task.attempts,
        node=task.body.node,
    )
