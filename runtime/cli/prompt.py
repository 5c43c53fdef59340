"""Prompt: asks the person at the terminal what tasks ask, one question at a time, while the command shows their work.

A question that waits for no answer any more is taken back while the answer is being typed; what was typed is dropped.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ..people import Gone
from ..tasks.questions import Question
from ..terminal.streams import err

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["prompting"]

_LOOK: Final = 0.1
"""Seconds between looks at whether a question still waits for an answer, while a person types."""

_LONGEST: Final = 65536
"""Bytes of a line that is typed; terminals take less."""

_ENDS: Final = {
    "answered": "Answered elsewhere.",
    "default": "Time is over, and the default counts.",
    "too late": "Time is over: nobody waits for the answer any more.",
    "withdrawn": "The question is withdrawn.",
}


@contextlib.contextmanager
def prompting(host: Host, pause: Callable[[], contextlib.AbstractContextManager[object]]) -> Iterator[None]:
    """Have the person at the terminal asked meanwhile, if standard input and standard error are one.

    Args:
        host: whose tasks ask.
        pause: stops what is drawn on the terminal, for as long as a person types.
    """
    if not (os.isatty(0) and err.is_terminal):
        yield
        return
    prompt = _Prompt(pause)
    host.people.attach(prompt, "a person at the terminal")
    try:
        yield
    finally:
        host.people.detach(prompt)
        prompt.close()


class _Prompt:
    """See the module, and `AskPerson`."""

    def __init__(self, pause: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self._pause = pause
        self._turn = threading.Lock()
        self._is_closed = False

    def __call__(self, question: Question, gone: Gone, wrong: str) -> str | None:
        while not self._turn.acquire(timeout=_LOOK):
            if gone.is_set() or self._is_closed:
                return None
        try:
            if gone.is_set() or self._is_closed:
                return None
            with self._pause():
                _show(question, wrong)
                line = self._line(gone)
                if line is None and gone.how is not None:
                    with contextlib.suppress(termios.error):
                        termios.tcflush(0, termios.TCIFLUSH)
                    err.line(f"\n({_ENDS[gone.how]})")
                return None if line is None else _meant(question, line)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Ask nothing any more."""
        self._is_closed = True

    def _line(self, gone: Gone) -> str | None:
        """Return the line that is typed; None if the question is gone, or nothing can be typed any more."""
        while not (gone.is_set() or self._is_closed):
            try:
                if select.select([0], [], [], _LOOK)[0]:
                    data = os.read(0, _LONGEST)
                    if not data:  # Ctrl-D
                        err.line("\n(Left to others.)")
                        return None
                    return data.decode(errors="replace").rstrip("\r\n")
            except OSError:  # the terminal is gone
                self._is_closed = True
        return None


def _show(question: Question, wrong: str) -> None:
    if wrong:
        err.sentence(wrong)
    else:
        err.line()
        err.sentence(f"{question.agent} ({question.task_id}) asks:")
        err.sentence(question.text)
    for number, choice in enumerate(question.choices, 1):
        err.sentence(f"  {number}) {choice}", hang=5)
    if question.default is not None:
        err.sentence(f"Without an answer: {question.default}")
    err.own("> ")


def _meant(question: Question, line: str) -> str:
    """Return the choice whose number was typed, with what may stand behind a colon; else the line."""
    number, colon, word = line.strip().partition(":")
    if question.choices and number.strip().isdigit() and 0 < int(number) <= len(question.choices):
        return question.choices[int(number) - 1] + colon + word
    return line
