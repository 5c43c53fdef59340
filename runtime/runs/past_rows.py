"""Past rows: makes of rows of a journal what a task needs that continues another."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..tasks.news import Notice
from ..tasks.past import Past, decode_options
from ..tasks.result import decode_result
from ..tasks.talk import Letter
from ..tasks.views import TERMINAL, Status

__all__ = ["HOST_DIED", "HOST_DIED_QUEUED", "past_of"]

HOST_DIED: Final = "The host died."
HOST_DIED_QUEUED: Final = "The host died while the task was queued."


class _TaskRow(msgspec.Struct, array_like=True, frozen=True):
    agent: str
    task: str
    expected_output: str | None
    status: Status
    reason: str
    options: str | None
    workdir: str
    has_result: int


class _EndRow(msgspec.Struct, array_like=True, frozen=True):
    task_id: str
    agent: str
    result: str | None
    status: Status
    reason: str
    runtime: float | None


class _Said(msgspec.Struct):
    role: str


def past_of(task_id: str, rows: Sequence[Sequence[Any]], *, live: bool) -> Past | None:
    """Return a task as `schema.select_past` finds it; None if there is none.

    Args:
        task_id: the task.
        rows: what was found.
        live: whether the host lives that ran it; if not, what has no end shows as failed.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    try:
        return _past_of(task_id, rows, live=live)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise sqlite3.DatabaseError(f"what it holds of {task_id} cannot be read: {error}") from error


def _past_of(task_id: str, rows: Sequence[Sequence[Any]], *, live: bool) -> Past | None:
    ends: list[Notice] = []
    messages: list[str] = []
    letters: list[Letter] = []
    found: _TaskRow | None = None
    for kind, _, *fields in rows:
        if kind == 0:
            found = msgspec.convert(fields, _TaskRow)
        elif kind == 1:
            end = msgspec.convert(fields, _EndRow)
            status, reason = _as_ended(end.status, end.reason, live=live)
            if status in TERMINAL:
                ends.append(Notice(end.task_id, end.agent, status, reason, end.runtime or 0.0, _text_of(end.result)))
        elif kind == 3:  # noqa: PLR2004 - see `select_past`
            sender, text, *_ = fields
            letters.append(Letter(len(letters) + 1, msgspec.convert(sender, str), msgspec.convert(text, str)))
        else:
            messages.append(msgspec.convert(fields[0], str))
    if found is None:
        return None
    if messages:
        msgspec.json.decode(messages[-1], type=_Said)  # to be looked at before anything starts
    status, reason = _as_ended(found.status, found.reason, live=live)
    return Past(
        id=task_id,
        agent=found.agent,
        task=found.task,
        expected_output=found.expected_output,
        status=status,
        reason=reason,
        options=decode_options(found.options) if found.options is not None else None,
        folder=found.workdir,
        # An answer that the host kept back when it died is one to go on from, and none that it had to hand back.
        has_result=bool(found.has_result) and reason != HOST_DIED,
        untold=tuple(ends),
        conversation=tuple(messages),
        letters=tuple(letters),
    )


def _as_ended(status: Status, reason: str, *, live: bool) -> tuple[Status, str]:
    if status in TERMINAL or live:
        return status, reason
    return "failed", HOST_DIED_QUEUED if status == "queued" else HOST_DIED


def _text_of(result: str | None) -> str:
    """Return a result as text. It may have been cut."""
    if result in {None, "null"}:
        return ""
    assert result is not None  # noqa: S101 - see above
    try:
        decoded = decode_result(result)
    except msgspec.MsgspecError:
        return result
    return decoded if isinstance(decoded, str) else result
