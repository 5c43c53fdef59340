"""Steering: what a person who watches does: stops tasks, says something to them, answers, continues them.

Each function asks the task's host, for a thread that may wait: two seconds at most. What comes of it is seen in the
model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from ..control.other_hosts import ForeignTask
from ..errors import RunError
from ..tasks.messages import StopTasks
from ..tasks.questions import LONGEST_ANSWER, AnswerQuestion
from ..tasks.talk import LONGEST_LETTER, SteerReceipt, SteerTask
from ..text import encodable

__all__ = ["answer", "continued_by", "steer", "stop"]

_HEARD: Final = 0.5
"""Seconds in which a host refuses a stop, if it does; the stop itself may take as long as the team's settings allow."""


def stop(task: ForeignTask) -> None:
    """Have a task stopped, with all that it has started; returns when its host has heard of it.

    Raises:
        TaskEndedError: it has ended before.
        RunError: it is refused.
        OSError, RuntimeClosedError: its host is gone.
    """
    try:
        task.ask(StopTasks([task.id], limit=1, refuse_ended=True, peek=True), _HEARD)
    except TimeoutError:
        return  # it is on its way


def steer(task: ForeignTask, text: str) -> SteerReceipt:
    """Say something to a task.

    Raises:
        RunError: it is refused.
        OSError, RuntimeClosedError: its host is gone.
    """
    _check(text, LONGEST_LETTER)
    return task.ask(SteerTask(task.id, encodable(text)))


def answer(task: ForeignTask, question: str, text: str) -> None:
    """Answer a question of a task.

    Raises:
        UnknownQuestionError: it waits for no answer any more.
        RunError: it is none of the choices, or too long.
        OSError, RuntimeClosedError: its host is gone.
    """
    _check(text, LONGEST_ANSWER)
    task.ask(AnswerQuestion(question, encodable(text)))


def continued_by(root: Path, task_id: str, text: str) -> subprocess.Popen[bytes]:
    """Continue a task that has ended, as `subactors resume` does, in a program of its own; return that.

    What it prints comes through a pipe. It ends when nobody reads that any more.

    Args:
        root: the state folder.
        task_id: the task.
        text: what is said to it now; empty: nothing.

    Raises:
        RunError: the text is too long.
        OSError: no program can be started.
    """
    _check(text or " ", LONGEST_LETTER)
    command = [sys.executable, "-m", "subactors.runtime.cli", "resume", "--json", "--ends-with-output"]
    # What is said is not among a process's arguments, which every user sees; and a file waits for no reader.
    with tempfile.TemporaryFile() as said:
        said.write(encodable(text).encode())
        said.seek(0)
        return subprocess.Popen(
            [*command, "--state-dir", str(root), task_id, *(["-"] if text else [])],
            stdin=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def _check(text: str, most: int) -> None:
    if not text:
        raise RunError("There is no text.")
    if len(text) > most:
        raise RunError(f"The text has {len(text):,} characters; {most:,} may be.")
