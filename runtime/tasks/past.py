"""Past: a task that has ended, as another task needs it that continues its conversation, and what that begins with."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import RunError
from ..text import one_line, without_tags
from .messages import AS_USUAL, RunOptions, TaskAccepted
from .news import News, Notice
from .notice_wording import describe_news
from .request import Request
from .talk import Letter
from .views import Status

__all__ = [
    "Past",
    "ResumePast",
    "check_resumable",
    "conversation_of",
    "decode_options",
    "encode_options",
    "text_of",
]

_REASON: Final = 1000
_NOTICE_REASON: Final = 300
_MOST_HEADS: Final = 24_000
"""Characters of a reason, of that of another task, and of the results of all tasks of which a continuation is told."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.

    Attributes:
        id: its id.
        agent: who ran it.
        task: what it was asked to do.
        expected_output: what its answer was to look like.
        status: what it is at; one that is final is how it ended.
        reason: why it ended so.
        options: how it differed from others of its agent; None: it has no conversation, because it is a function's.
        has_result: whether there is an answer of it: one that failed all the same had to hand back what there was.
        folder: the folder that it had to itself; empty if it had none.
        untold: ends of tasks that it had started, and had not been told of; oldest first.
        conversation: the messages, each as JSON text.
        letters: what was said to it, and it had not taken when it ended.
    """

    id: str
    agent: str
    task: str
    expected_output: str | None
    status: Status
    reason: str
    options: RunOptions | None
    folder: str
    has_result: bool = False
    untold: tuple[Notice, ...] = ()
    conversation: tuple[str, ...] = ()
    letters: tuple[Letter, ...] = ()

    def __repr__(self) -> str:
        return f"<Past {self.id} of {self.agent}: {self.status}>"


class ResumePast(Request[TaskAccepted], frozen=True, tag="resume_past"):
    """To the host only: continue a task that has ended, in this run or another; see `ResumeTask`.

    Attributes:
        past: the task.
        run: the folder of its run.
        message: what it is to do now; None: what it was at.
    """

    past: Past
    run: str
    message: str | None = None


def encode_options(options: RunOptions) -> str:
    """Return how a task differs from others, as the JSON text that the journal keeps.

    Its key, and the task that it was to be near, are of its run alone.
    """
    if options == AS_USUAL:
        return "{}"
    return msgspec.json.encode(msgspec.structs.replace(options, key=None, near=None)).decode()


def decode_options(text: str) -> RunOptions:
    """Return the same from that text; raises msgspec.MsgspecError or ValueError for another."""
    return msgspec.json.decode(text, type=RunOptions)


def check_resumable(past: Past, message: str | None) -> None:
    """Refuse to continue what cannot go on.

    Raises:
        RunError: it is a function's task, or has completed and nothing more is wanted of it.
    """
    if past.options is None:
        raise RunError(
            f"Task {past.id} ran a function ({one_line(past.agent, 100)}), and has no conversation to go on with. "
            "Start it anew."
        )
    if message is not None and not message.strip():
        raise RunError("The message is empty. Leave it out, or say what the task is to do now.")
    if past.status == "completed" and message is None:
        raise RunError(f"Task {past.id} has completed. Say what it is to do now: it goes on with a message only.")


def text_of(past: Past, message: str | None) -> str:
    """Return what the task that continues another is asked to do, all in all."""
    return past.task if message is None else f"{past.task}\n\n{message}"


def conversation_of(past: Past, message: str | None, folder: str) -> tuple[str, ...]:
    """Return the messages that a continuation begins with; none: it begins anew, as nothing had been said.

    Args:
        past: what is continued.
        message: what it is to do now; None: what it was at.
        folder: the folder that it has to itself; empty if it has none.
    """
    if not past.conversation:
        return ()
    is_told = message is None and not past.untold and not past.letters
    if is_told and not past.has_result and _is_answered(past.conversation[-1]):
        return past.conversation  # it had ended between its final answer and its end: that is its answer
    is_news = past.status != "completed" or past.untold or (folder and folder != past.folder)
    told = [_notice(past, folder)] if is_news else []
    content = "\n\n".join([*told, *([message] if message is not None else [])])
    return (*past.conversation, msgspec.json.encode({"role": "user", "content": content}).decode())


def _is_answered(last: str) -> bool:
    message: dict[str, Any] = msgspec.json.decode(last)
    return message["role"] == "assistant" and not message.get("tool_calls")


def _notice(past: Past, folder: str) -> str:
    """Return what the model is told of the interruption, marked as data."""
    end = f"{past.status}: {without_tags(one_line(past.reason, _REASON))}" if past.reason else f"{past.status}."
    lines = [
        "<continued>",
        "The runtime tells you, not the user: this task had ended, and goes on now in a new process.",
        f"It had ended as {end}",
        "Programs and background tasks that it had started are gone.",
    ]
    if folder and folder != past.folder:
        lines.append(f"Its working directory is {folder} now. What was in the former one is there.")
    lines.append("</continued>")
    if past.untold:
        room = _MOST_HEADS // len(past.untold)
        lines += ["", describe_news(News(), shown=[_shortened(notice, room) for notice in past.untold])]
    return "\n".join(lines)


def _shortened(notice: Notice, room: int) -> Notice:
    """Return a notice that has no more than so much of a result: nobody can view the rest of a former task's."""
    head = notice.head if len(notice.head) <= room else f"{notice.head[:room]}…"
    return msgspec.structs.replace(notice, head=head, reason=one_line(notice.reason, _NOTICE_REASON))
