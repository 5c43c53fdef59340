"""Questions: what a task asks its owner, or a person, and waits for. Frozen values, safe to keep and to share."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from .request import Request
from .result import check_result

__all__ = [
    "APPROVAL",
    "LONGEST_ANSWER",
    "LONGEST_ARGUMENTS",
    "LONGEST_CHOICE",
    "LONGEST_QUESTION",
    "LONGEST_WAIT",
    "MOST_CHOICES",
    "AnswerQuestion",
    "Answered",
    "AskApproval",
    "AskQuestion",
    "Question",
    "QuestionDropped",
    "QuestionSettled",
    "Settled",
]

LONGEST_QUESTION: Final = 20_000
LONGEST_CHOICE: Final = 1000
MOST_CHOICES: Final = 50
"""Characters of a question, and of an answer to choose; how many of these there may be."""

LONGEST_ARGUMENTS: Final = 50_000
"""Characters of the arguments of a call, as JSON, that a person can be asked about: all of them are shown."""

LONGEST_ANSWER: Final = 100_000
"""Characters of an answer: it enters the context of a model."""

LONGEST_WAIT: Final = 30 * 86400.0
"""Seconds that a question may wait for its answer."""

Settled: TypeAlias = Literal["answered", "default", "too late", "withdrawn"]
"""How a question ended: with an answer; with its default, or without, as its time was over; or it was withdrawn, since
nobody wants to know any more: its task has ended, or has given up."""

APPROVAL: Final = ("allow once", "always for this task", "always for this run", "deny")
"""The answers to the question whether a tool may be called. A word may follow the last, behind a colon."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question that waits for its answer.

    Attributes:
        id: begins with `question_`.
        task_id: the task that asks; of an orchestrator in the host, its own id.
        agent: its agent.
        text: what it asks; of an approval with all the arguments of the call. It is the task's own words.
        choices: the answers of which one is to be chosen; empty: any text.
        to: whom it asks: the `owner` of the task, or a `person`. A person may answer either.
        kind: `approval`: whether a tool may be called, which `permissions: ask` of the team file wants to be asked.
        asked_at: when it was asked, in the form of `TaskView.started_at`.
        deadline: until when it waits, in the same form.
        default: the answer that counts where nobody has given one until then; None: there is none.
        schema: JSON schema of an answer with several fields, as JSON text: the answer is JSON then; empty: it is text.
    """

    id: str
    task_id: str
    agent: str
    text: str
    choices: list[str] = []
    to: Literal["owner", "person"] = "person"
    kind: Literal["question", "approval"] = "question"
    asked_at: str = ""
    deadline: str = ""
    default: str | None = None
    schema: str = ""

    def __repr__(self) -> str:
        return f"<Question {self.id} of {self.agent}: {self.text[:60]!r}>"


Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_QUESTION)]
Choice: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_CHOICE)]
Choices: TypeAlias = Annotated[tuple[Choice, ...], msgspec.Meta(max_length=MOST_CHOICES)]
AnswerText: TypeAlias = Annotated[str, msgspec.Meta(max_length=LONGEST_ANSWER)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_WAIT)]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Answered(msgspec.Struct, frozen=True):
    """Supervisor to the asker: the answer to a question.

    Attributes:
        text: the answer; to an approval one of `APPROVAL`, or the reason for which nobody could be asked.
        word: what whoever denied a call has said to it; empty if nothing.
        by: who has answered; empty where it is the default.
    """

    text: str
    word: str = ""
    by: str = ""


class _Form(msgspec.Struct):
    properties: dict[str, Any]
    required: list[str] = []


class AskQuestion(Request[Answered], frozen=True, tag="ask"):
    """Ask somebody something; answered when there is an answer, or with the default, or refused, when time is over.

    Attributes:
        text: the question.
        choices: see `Question`.
        to: see `Question`.
        timeout: seconds until the default counts; None: as the settings have it.
        default: see `Question`.
        number: by which the asker can say later that it does not want to know any more (`QuestionDropped`); 0: never.
        schema: see `Question`.
        is_aside: whether a thread beside the main one asks, so that the task may do something else meanwhile.
    """

    text: Text
    choices: Choices = ()
    to: Literal["owner", "person"] = "owner"
    timeout: Seconds | None = None
    default: AnswerText | None = None
    number: Number = 0
    schema: Annotated[str, msgspec.Meta(max_length=LONGEST_QUESTION)] = ""
    is_aside: bool = False

    def __post_init__(self) -> None:
        """Refuse a schema that nobody who is shown the question could read; in the task's process and in the host.

        Raises:
            TypeError, ValueError: it is no plain data, or no JSON schema of an object with properties.
        """
        if self.schema:
            check_result(self.schema)
            msgspec.json.decode(self.schema, type=_Form)


class AskApproval(Request[Answered], frozen=True, tag="ask_approval"):
    """Ask a person whether a tool may be called; answered as `AskQuestion`. Denied at once where nobody can be asked.

    Attributes:
        tool: its name.
        pattern: the pattern of `permissions: ask` that the call matches.
        arguments: of the call, as JSON text, all of them: nobody is to approve what is not shown.
        number: see `AskQuestion`.
    """

    tool: Annotated[str, msgspec.Meta(max_length=200)]
    pattern: Annotated[str, msgspec.Meta(max_length=2000)]
    arguments: Annotated[str, msgspec.Meta(max_length=LONGEST_ARGUMENTS)]
    number: Number = 0


class QuestionSettled(msgspec.Struct, frozen=True):
    """Supervisor to whoever has answered: the answer counts.

    Attributes:
        question_id: the question.
        task_id: the task that has asked.
    """

    question_id: str
    task_id: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"Answered: {self.task_id} has the answer to {self.question_id}, and goes on."


class AnswerQuestion(Request[QuestionSettled], frozen=True, tag="answer"):
    """Answer a question.

    Attributes:
        question: its id, or that of a task, or of a group, that asks one thing only.
        text: the answer.
    """

    question: str
    text: AnswerText


class QuestionDropped(msgspec.Struct, frozen=True, tag="question_dropped"):
    """The task's code does not want to know the answer any more."""

    number: Number
