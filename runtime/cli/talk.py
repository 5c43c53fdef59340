"""Talking commands: `tell` and `answer`, for tasks that another process runs. Imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from ..control.finding import ambiguous, find, fitting
from ..control.other_hosts import ForeignTask, ListedTask, tasks_of
from ..errors import RuntimeClosedError
from ..tasks.questions import LONGEST_ANSWER, AnswerQuestion, Question
from ..tasks.talk import LONGEST_LETTER, SteerTask
from ..tasks.views import ID_PREFIX
from ..terminal.streams import out, warn
from ..text import encodable
from .json_style import print_json
from .manner import manner

__all__ = ["answer_question", "tell_task"]

_FAILED: Final = 1
_QUESTION: Final = "question_"
"""How the id of every question begins."""

Waiting: TypeAlias = list[tuple[ListedTask, Question]]
"""Questions that wait for an answer, each with its task."""


def tell_task(root: Path, part: str, text: str, *, as_json: bool = False) -> int:
    """Say something to a task, and print what becomes of it; return the exit status."""
    if _is_too_long("message", text, LONGEST_LETTER):
        return _FAILED
    with find(root, part) as task:
        try:
            receipt = task.ask(SteerTask(task.id, encodable(text)))
        except (OSError, RuntimeClosedError):
            warn(_why_not(task))
            return _FAILED
    if as_json:
        print_json(msgspec.structs.asdict(receipt))
    elif receipt.outcome == "ended":
        warn(str(receipt))
    elif not manner.quiet:
        out.sentence(str(receipt))
    return _FAILED if receipt.outcome == "ended" else 0


def answer_question(root: Path, part: str, text: str, *, as_json: bool = False) -> int:
    """Answer a question of a task, and say so; return the exit status."""
    if _is_too_long("answer", text, LONGEST_ANSWER):
        return _FAILED
    tasks = tasks_of(root, past=False).tasks
    # A group shows what its items ask; each question counts once.
    by_id = {question.id: (each, question) for each in tasks for question in each.view.questions}
    listed = list(by_id.values())
    part = part.strip()
    names = [
        *fitting(part, list(by_id), _QUESTION),
        *fitting(part, [question.task_id for _, question in listed], ID_PREFIX),
    ]
    names = [part] if part in names else names  # a whole name is never a part of another
    chosen = [
        (each, question) for each, question in listed if part and not {question.id, question.task_id}.isdisjoint(names)
    ]
    if len(chosen) != 1:
        warn(_which(part, listed, chosen))
        return _FAILED
    found, question = chosen[0]
    with ForeignTask(found.run, found.view.id) as task:
        try:
            settled = task.ask(AnswerQuestion(question.id, encodable(text)))
        except (OSError, RuntimeClosedError):
            warn(_why_not(task))
            return _FAILED
    if as_json:
        print_json(msgspec.structs.asdict(settled))
    elif not manner.quiet:
        out.sentence(str(settled))
    return 0


def _is_too_long(what: str, text: str, most: int) -> bool:
    if len(text) > most:
        warn(f"The {what} has {len(text):,} characters; {most:,} may be.")
    return len(text) > most


def _which(part: str, listed: Waiting, chosen: Waiting) -> str:
    """Return a sentence on a part of a name that is none, or several ones'."""
    if chosen:
        return ambiguous(part, [f"{question.id} of {question.task_id}" for _, question in chosen], "questions")
    waiting = ", ".join(f"{question.id} of {question.task_id}" for _, question in listed[:10])
    return f"No question fits {part!r}. {f'Those that wait: {waiting}.' if waiting else 'No task waits for an answer.'}"


def _why_not(task: ForeignTask) -> str:
    """Return why a task cannot be told anything: its host does not answer."""
    view = task.view_by_journal()
    if view.ended:
        return f"Task {view.id} has ended already: {view.status}. {view.reason}".rstrip()
    return f"{view.id} is {view.status}. {task.warning or 'Its host is just ending.'}"
