"""Prompt: asks the person at the terminal what tasks ask, one question at a time, while the command shows their work.

A question that waits for no answer any more is taken back while the answer is being typed; what was typed is dropped.
So is what was typed before a question was shown: it must approve nothing that nobody has seen.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ..people import Gone
from ..tasks.questions import Question
from ..terminal.control_sequences import visible_line
from ..terminal.keyboard import drop_line, forget_typed, is_in_front
from ..terminal.streams import err
from ..text import one_line
from .shown import ALL, question_shown

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["prompting"]

_LOOK: Final = 0.1
"""Seconds between looks at whether a question still waits for an answer, while a person types."""

_DIGITS: Final = 9

_PATIENCE: Final = 1.0
"""Seconds that the end of the command waits for a question to be taken back."""

_LONGEST: Final = 65536
"""Bytes of a line that is typed; terminals take less."""

_ENDS: Final = {
    "answered": "Answered elsewhere.",
    "default": "Time is over, and the default counts.",
    "too late": "Time is over: nobody waits for the answer any more.",
    "withdrawn": "The question is withdrawn.",
}


@contextlib.contextmanager
def prompting(
    host: Host, pause: Callable[[], contextlib.AbstractContextManager[object]]
) -> Iterator[Callable[[], object]]:
    """Have the person at the terminal asked meanwhile, if standard input and standard error are one.

    Args:
        host: whose tasks ask.
        pause: stops what is drawn on the terminal, for as long as a person types.

    Yields:
        what has nobody asked any more, and a question that is shown taken back before it returns.
    """
    if not (os.isatty(0) and err.is_terminal):
        yield lambda: None
        return
    prompt = _Prompt(pause)
    host.people.attach(prompt, "a person at the terminal")
    try:
        yield prompt.close
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
                return self._asked(question, gone, wrong)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Ask nothing any more; return when what is being asked has been taken back."""
        self._is_closed = True
        if self._turn.acquire(timeout=_PATIENCE):
            self._turn.release()

    def _asked(self, question: Question, gone: Gone, wrong: str) -> str | None:
        is_whole = _show(question, wrong)
        while True:
            # What was typed before this could be read is no answer to it. The mark comes after: who waits for that may
            # type at once.
            forget_typed()
            err.own("> ")
            line = self._line(gone)
            if line is None:
                if gone.is_set() or self._is_closed:
                    err.line(f"\n({_ENDS[gone.how or 'withdrawn']})")
                    drop_line(lambda: self._is_closed)
                return None
            meant = _meant(question, line, is_whole=is_whole)
            if is_whole or meant != ALL:
                return meant
            is_whole = _show(question, "", whole=True)

    def _line(self, gone: Gone) -> str | None:
        """Return the line that is typed; None if the question is gone, or nothing can be typed any more."""
        is_away = False
        while not (gone.is_set() or self._is_closed):
            if is_away is is_in_front():
                is_away = not is_away
                if not is_away:
                    forget_typed()
                    err.own("> ")
            if is_away:
                time.sleep(_LOOK)
                continue
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


def _show(question: Question, wrong: str, *, whole: bool = False) -> bool:
    """Show a question, or why the last answer to it does not count; return whether all of it is shown."""
    lines, is_whole = question_shown(question, err.columns, whole=whole)
    if wrong:
        err.sentence(wrong)
    else:
        err.line()
        err.sentence(f"{one_line(question.agent, 100)} ({question.task_id}) asks:")
        err.line("\n".join(lines))
    for number, choice in enumerate(question.choices, 1):
        err.sentence(f"  {number}) {visible_line(choice)}", hang=5)
    if not is_whole:
        err.sentence(f"  {len(question.choices) + 1}) {ALL}", hang=5)
    if question.default is not None:
        err.sentence(f"Without an answer: {visible_line(question.default)}")
    return is_whole


def _meant(question: Question, line: str, *, is_whole: bool) -> str:
    """Return the choice whose number was typed, with what may stand behind a colon; else the line."""
    choices = [*question.choices, *[ALL] * (not is_whole)]
    if line.strip().casefold() in {choice.strip().casefold() for choice in choices}:
        return line.strip().casefold() if not is_whole else line  # one that looks like a number is itself
    number, colon, word = line.strip().partition(":")
    if question.choices and len(number) < _DIGITS and number.strip().isdecimal() and 0 < int(number) <= len(choices):
        return choices[int(number) - 1] + colon + word
    return line
