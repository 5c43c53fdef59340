"""Talking commands: `tell` and `answer`, for tasks that another process runs. Imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..control.other_hosts import ForeignTask, find, tasks_of
from ..errors import RuntimeClosedError
from ..tasks.questions import AnswerQuestion
from ..tasks.talk import SteerTask
from ..terminal.streams import out, warn
from ..text import encodable

__all__ = ["answer_question", "tell_task"]

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


def answer_question(root: Path, part: str, text: str) -> int:
    """Answer a question of a task, and say so; return the exit status."""
    listed = [(each, question) for each in tasks_of(root, past=False).tasks for question in each.view.questions]
    fitting = [(each, question) for each, question in listed if part in {question.id, question.task_id}] or [
        (each, question) for each, question in listed if part and (part in question.id or part in question.task_id)
    ]
    tasks = {each.view.id: each for each, _ in fitting}
    if not fitting or (len(tasks) > 1):
        waiting = ", ".join(f"{question.id} of {question.task_id}" for _, question in (fitting or listed)[:10])
        what = f"{len(fitting)} questions fit {part!r}" if fitting else f"No question fits {part!r}"
        warn(f"{what}. " + (f"Those that wait: {waiting}." if waiting else "No task waits for an answer."))
        return _FAILED
    found, question = fitting[0]
    with ForeignTask(found.run, found.view.id) as task:
        try:
            settled = task.ask(AnswerQuestion(question.id, encodable(text)))
        except (OSError, RuntimeClosedError):
            warn(_why_not(task))
            return _FAILED
    out.sentence(str(settled))
    return 0


def _why_not(task: ForeignTask) -> str:
    """Return why a task cannot be told anything: its host does not answer."""
    view = task.view_by_journal()
    if view.ended:
        return f"Task {view.id} has ended already: {view.status}. {view.reason}".rstrip()
    return f"{view.id} is {view.status}. {task.warning or 'Its host is just ending.'}"
