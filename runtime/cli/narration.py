"""Narration: what `--verbose` tells on standard error: what the host does, and what its log says, with times."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Final, Self

from ..tasks.events import (
    Event,
    Lagged,
    TaskAnswered,
    TaskAsked,
    TaskCalledTool,
    TaskEnded,
    TaskGotToolAnswer,
    TaskOutput,
    TaskProgress,
    TaskQueued,
    TaskRestarting,
    TaskStarted,
)
from ..tasks.views import TaskView, iso_time
from ..tasks.wording import progress_text, question_text, usage_text
from ..terminal.streams import err
from ..text import duration, one_line
from .answer import print_answer
from .display import EventFollower, WaitLines

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["NarratedLines", "QuietLines", "log_with_times"]

_WORDS: Final = 200
"""Characters of a text that somebody has written."""


def log_with_times() -> None:
    """Have all that this package logs told on standard error, with times."""
    handler = _Handler()
    logger = logging.getLogger("subactors")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _tell(iso_time(record.created), record.getMessage())


def _tell(moment: str, what: str) -> None:
    err.sentence(f"{moment.partition('T')[2]} {what}")


class QuietLines:
    """The answer on standard output, and why there is none: nothing else. See `Display`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def paused(self) -> contextlib.AbstractContextManager[object]:
        """See `Display`: nothing is drawn."""
        return contextlib.nullcontext()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output."""
        del agent
        print_answer(text)

    def failed(self, agent: str, reason: str) -> None:
        """Say why on standard error."""
        err.sentence(f"{agent}: {reason}")


class NarratedLines(QuietLines):
    """A line on standard error for each thing that happens, with its time. See `Display`.

    Args:
        host: what to tell of.
    """

    def __init__(self, host: Host) -> None:
        self._waits = WaitLines(host)
        self._follower = EventFollower(host, self._show, self._show_what_waits)
        settings = host.team.settings
        _tell(
            iso_time(time.time()),
            f"Host: process {os.getpid()}, run {host.folder.path}, team {host.team.source}, room for "
            f"{settings.max_running} tasks and {settings.max_queued} queued ones, {settings.standby} on standby.",
        )

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.stop()

    def answered(self, agent: str, text: str) -> None:
        """Print it on standard output."""
        self._follower.stop()
        super().answered(agent, text)

    def failed(self, agent: str, reason: str) -> None:
        """Say why on standard error."""
        self._follower.stop()
        super().failed(agent, reason)

    def _show(self, event: Event) -> None:
        match event:
            case TaskStarted(task=task) | TaskQueued(task=task) | TaskRestarting(task=task) | TaskEnded(task=task):
                _tell(event.time, f"{task.id} {one_line(task.agent, 100)}: {_of_task(event, task)}")
            case TaskOutput(text=text) if not text.strip():
                pass
            case TaskOutput() | TaskProgress() | TaskCalledTool() | TaskGotToolAnswer() | TaskAsked() | TaskAnswered():
                _tell(event.time, f"{event.task_id}: {_of_work(event)}")
            case Lagged(missed=missed):
                _tell(event.time, f"{missed:,} events were too many to tell.")

    def _show_what_waits(self) -> None:
        for line in self._waits.new():
            _tell(iso_time(time.time()), line)


def _of_task(event: TaskStarted | TaskQueued | TaskRestarting | TaskEnded, task: TaskView) -> str:
    match event:
        case TaskStarted():
            by = f" by {task.parent}" if task.parent else ""
            return f"started{by}: {one_line(task.task, _WORDS)}"
        case TaskQueued():
            return f"queued at place {task.queue_place}: {one_line(task.task, _WORDS)}"
        case TaskRestarting(delay=delay):
            return f"starts again in {duration(delay)} after a failure: {one_line(task.reason, _WORDS)}"
        case TaskEnded():
            used = f", {usage_text(task.usage)}" if task.usage.requests else ""
            reason = f": {one_line(task.reason, _WORDS)}" if task.reason else ""
            return f"{task.status} after {duration(task.runtime)}{used}{reason}"


def _of_work(
    event: TaskOutput | TaskProgress | TaskCalledTool | TaskGotToolAnswer | TaskAsked | TaskAnswered,
) -> str:
    match event:
        case TaskOutput(text=text):
            return f"says: {one_line(text, _WORDS)}"
        case TaskProgress(progress=progress):
            return f"is at {progress_text(progress)}"
        case TaskCalledTool(name=name, arguments=arguments):
            return f"calls {one_line(name, 100)} {one_line(arguments, _WORDS)}"
        case TaskGotToolAnswer(name=name, text=text, is_error=is_error):
            return f"{one_line(name, 100)} {'fails' if is_error else 'answers'}: {one_line(text, _WORDS)}"
        case TaskAsked(question=question):
            return f"asks {question.to}: {question_text(question)} ({question.id})"
        case TaskAnswered(question_id=question_id, how=how, text=text):
            return f"{question_id} is settled, {how}: {one_line(text, _WORDS)}"
