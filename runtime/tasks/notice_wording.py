"""Notice wording: news of background tasks in words, marked as data, for a model between two turns."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from ..text import duration, one_line, without_tags
from .news import News, Notice
from .questions import Question
from .views import TaskView
from .wording import question_lines, question_text, result_text

__all__ = ["describe_news", "describe_wait"]

_TAG: Final = "background_agents"

_REASON: Final = 1000
_LAST_WORDS: Final = 400
"""Characters of a reason, and of output where there is no result."""


def describe_news(news: News, *, shown: Sequence[Notice]) -> str:
    """Return one block that tells of ends, and of what tasks ask.

    What tasks say stands in it as data. It cannot look like the end of the block, nor like words of the user.

    Args:
        news: what the supervisor has told.
        shown: the ends among it that the model has not been told of.
    """
    what = " and ".join(["have ended"] * bool(shown) + ["ask you something"] * bool(news.questions))
    lines = [f"<{_TAG}>", f"The runtime tells you, not the user: background tasks of yours {what}."]
    for notice in shown:
        lines += ["", *_lines(notice)]
    for question in news.questions:
        lines += ["", *_asked(question)]
    rest = []
    if news.more:
        rest.append(f"{news.more} more have ended; you will be told next.")
    if news.running:
        rest.append(f"{news.running} of your tasks {'has' if news.running == 1 else 'have'} not ended yet.")
    if rest:
        lines += ["", " ".join(rest)]
    lines.append(f"</{_TAG}>")
    return "\n".join(lines)


def describe_wait(views: Sequence[TaskView], *, seen: Container[str], limit: int, may_answer: bool = True) -> str:
    """Return which tasks a wait has seen end, with the beginning of each result, and which it has not.

    Args:
        views: the tasks that it was about.
        seen: the ids of those that had ended when it was answered.
        limit: characters of the answer.
        may_answer: see `wording.describe_list`.
    """
    done = sum(view.id in seen for view in views)
    if done == len(views):
        lines = [f"All {done} have ended." if done > 1 else "It has ended."]
    else:
        lines = [
            f"{done} of {len(views)} {'has' if done == 1 else 'have'} ended. The others go on; nothing was stopped."
        ]
    room = max(200, (limit - 200) // len(views) - 200)
    for view in views:
        if view.id in seen:
            lines += ["", *_ended(view, room)]
        else:
            lines += ["", f"{view.id} ({view.agent}): {view.status}, {duration(view.runtime)} so far."]
            lines += question_lines(view, may_answer=may_answer)
    return "\n".join(lines)


def _ended(view: TaskView, room: int) -> list[str]:
    reason = f" {one_line(view.reason, _REASON)}" if view.reason else ""
    lines = [f"{view.id} ({view.agent}): {view.status} after {duration(view.runtime)}.{reason}"]
    text = f"(in {view.result_file})" if view.result_file else result_text(view).strip()
    title, text = ("Result:", text) if text else ("It said at last:", view.output.strip()[-_LAST_WORDS:])
    if text:
        lines += [title, *(f"| {line}" for line in text[:room].splitlines())]
    if len(text) > room:
        lines.append(f"[{len(text) - room:,} more characters: view_background_agent]")
    return lines


def _asked(question: Question) -> list[str]:
    text = without_tags(question_text(question))
    head = f"{question.task_id} ({question.agent}) waits for your answer to {question.id}: answer_background_agent."
    return [head, f"| {text}"]


def _lines(notice: Notice) -> list[str]:
    reason = f" {without_tags(notice.reason)}" if notice.reason else ""
    lines = [f"{notice.task_id} ({notice.agent}): {notice.status} after {duration(notice.runtime)}.{reason}"]
    head = without_tags(notice.head)
    if not head:
        return lines
    lines.append("Result:" if notice.status == "completed" else "It said at last:")
    lines += [f"| {line}" for line in head.splitlines()]
    if notice.left_out:
        lines.append(f"[{notice.left_out:,} more characters: view_background_agent]")
    return lines
