"""Details: everything about one task that is watched. Every look leaves no trace: its result does not count as read.

Each function asks the task's host, or reads files: for a thread that may wait, two seconds at most.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from ..control.other_hosts import ForeignTask
from ..control.wire import Face
from ..errors import StateError, UnknownTaskError
from ..runs.claims import is_claimed
from ..runs.facts import Facts
from ..runs.folder import RunFiles, host_pid, is_live, runs
from ..runs.output import Piece, log_tail
from ..runs.reader import JournalReader
from ..tasks.views import TaskView, iso_time
from ..tasks.wording import result_text
from ..text import bounded

__all__ = ["MOST_RESULT", "details", "foreign", "messages", "output", "view"]

MOST_RESULT: Final = 200_000
"""Characters of a result that are shown, head and tail."""

_MOST_MESSAGE: Final = 20_000
"""Characters of a message that are shown, head and tail."""

_MESSAGES: Final = 200
"""Messages that are read at a time."""

_LOG: Final = 64_000
"""Bytes at the end of a log that are shown."""


def foreign(root: Path, run: str, task_id: str, face: Face = "dashboard") -> ForeignTask:
    """Return the way to a task; to be closed.

    Args:
        root: the state folder.
        run: the name of the folder of its run; empty: any that has the task.
        task_id: the task's id.
        face: where the person is who looks.

    Raises:
        UnknownTaskError: there is no such task.
        StateError: the state folder cannot be read.
    """
    for path in reversed(runs(root)):
        if run in {"", path.name}:
            task = ForeignTask(path, task_id, face)
            if run or _has(path, task_id):
                return task
    raise UnknownTaskError(f"There is no task {task_id!r} in {root}.")


def _has(path: Path, task_id: str) -> bool:
    if host_pid(path) == os.getpid() and is_live(path):
        return False  # whoever opens and closes a journal takes the locks on it from this process
    try:
        with JournalReader(RunFiles(path).journal, live=is_live(path)) as reader:
            return task_id in reader.ids()
    except sqlite3.Error:
        return False


def view(task: ForeignTask, *, closely: bool = False) -> TaskView:
    """Return a task as it is now; see `ForeignTask.view` for what is raised."""
    return task.view(closely=closely, peek=True)


def details(task: ForeignTask) -> dict[str, Any]:
    """Return everything about a task but its output and conversation, as plain data.

    Raises:
        UnknownTaskError: it has been forgotten, or its run has been removed.
        StateError: its journal, or its result, cannot be read.
    """
    seen = view(task, closely=True)
    data = seen.as_data()
    for unwanted in ("result_file", "output", "error_args"):
        del data[unwanted]
    if seen.result_file:  # it takes seconds to read, and much room
        text = f"It is large, and in the file {seen.result_file}."
    else:
        text = result_text(seen) if seen.has_result else ""
    attempts, resumable = _of_journal(task)
    return {
        **data,
        "result": bounded(text, MOST_RESULT) if seen.has_result else None,
        "result_is_text": bool(seen.result_file) or isinstance(data["result"], str),
        "run": task.run.name,
        "host_pid": task.host_pid,
        "warning": task.warning,
        "attempts_made": attempts,
        "resumable": resumable and seen.ended,
        "log": str(task.log),
        "log_tail": log_tail(task.log, _LOG),
    }


def _of_journal(task: ForeignTask) -> tuple[list[dict[str, Any]], bool]:
    """Return the changes of a task's status, in order, and whether it can be continued; nothing if nobody can tell."""
    live = task.host_pid is not None
    if task.host_pid == os.getpid():
        return [], False
    try:
        with JournalReader(RunFiles(task.run).journal, live=live) as reader:
            rows = reader.attempts(task.id)
            has_team = bool(Facts.of_journal(reader.facts()).team_file)
            is_free = reader.continuing(task.id) is None and not is_claimed(task.run, task.id)
            resumable = has_team and task.id in reader.resumable() and is_free
    except (sqlite3.Error, msgspec.MsgspecError):
        return [], False
    attempts = [
        {"at": iso_time(at), "status": status, "reason": reason, "attempt": attempt}
        for at, status, reason, attempt in rows
    ]
    return attempts, resumable


def output(task: ForeignTask, offset: int, limit: int = 256_000) -> Piece:
    """Return what a task has said from an offset on; of very much that is left out, `missed` counts it.

    Args:
        task: the task.
        offset: in bytes; below 0: that many before the end.
        limit: bytes at most.
    """
    files = task.output
    return files.read_from(max(0, files.size + offset) if offset < 0 else offset, limit)


def messages(task: ForeignTask, after: int = 0) -> list[dict[str, Any]]:
    """Return a task's conversation, as its journal has it: number, attempt, role, text, calls of tools.

    Args:
        task: the task.
        after: the number of the last message that is known.

    Raises:
        StateError: the journal cannot be read.
    """
    if task.host_pid == os.getpid():
        return []
    try:
        with JournalReader(RunFiles(task.run).journal, live=task.host_pid is not None) as reader:
            rows = reader.conversation(task.id, after, _MESSAGES)
    except sqlite3.Error as error:
        raise StateError(f"The journal of {task.run.name} cannot be read: {error}.") from error
    return [{"number": number, "attempt": attempt, **_message(body)} for number, attempt, body in rows]


def _message(body: str) -> dict[str, Any]:
    """Return a message as it is shown, whatever it looks like."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return {"role": "", "text": bounded(body, _MOST_MESSAGE), "calls": []}
    content = said.get("content")
    text = content if isinstance(content, str) else "" if content is None else msgspec.json.encode(content).decode()
    calls = said.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return {
        "role": str(said.get("role", "")),
        "text": bounded(text, _MOST_MESSAGE),
        "calls": [
            {"name": str(each.get("name", "")), "arguments": bounded(str(each.get("arguments", "")), _MOST_MESSAGE)}
            for each in functions
            if isinstance(each, dict)
        ],
    }
