"""Shown: what tasks ask, on a terminal, so that it cannot be taken for words of this program.

Each line of it stands behind a mark, also where the terminal would break it, and nothing in it is unseen.
"""

from __future__ import annotations

import textwrap
import unicodedata
from typing import Final

from ..tasks.questions import Question
from ..tasks.wording import form_text, question_text
from ..terminal.control_sequences import visible
from ..text import bounded

__all__ = ["ALL", "all_of", "question_shown"]

ALL: Final = "show all"
"""What a person chooses who wants to see all of a call before the answer to it."""

_MARK: Final = "| "

_FACTS: Final = 16
"""Columns that stand before the lines of a fact at most."""

_LONGEST: Final = 3000
"""Characters of an approval that are shown at first."""


def question_shown(
    question: Question, columns: int | None, *, whole: bool = False, indented: int = 0
) -> tuple[list[str], bool]:
    """Return the lines of a question's text, and whether they are all of it.

    Args:
        question: what is asked.
        columns: of the terminal; None: there is none.
        whole: whether all of an approval is to be shown, however long.
        indented: columns that stand before each line.
    """
    text, is_whole = f"{question.text}{form_text(question)}", True
    if question.kind == "approval" and len(text) > _LONGEST and not whole:
        text, is_whole = bounded(text, _LONGEST, hint=f"Choose `{ALL}` to see them before you allow it."), False
    lines = visible(text).split("\n")
    if columns is None:
        return [f"{_MARK}{line}" for line in lines], is_whole
    return [f"{_MARK}{piece}" for line in lines for piece in _pieces(line, columns - indented)], is_whole


def all_of(question: Question, columns: int | None) -> list[str]:
    """Return all of a question, for a list of facts: nobody is to answer what is hidden."""
    line = question_text(question)
    if question.kind == "question" and question.text in line:
        return [f"{_MARK}{visible(line)} ({question.id})"]
    lines, _ = question_shown(question, columns, whole=True, indented=_FACTS)
    choices = [f"Choose from: {', '.join(map(repr, question.choices))}."] if question.choices else []
    default = [f"Without an answer: {question.default!r}."] if question.default is not None else []
    return [f"({question.id})", *lines, *choices, *default]


def _pieces(line: str, columns: int) -> list[str]:
    room = max(10, columns - len(_MARK) - 1)
    if not line.isascii() and any(unicodedata.east_asian_width(letter) in "WF" for letter in line):
        room //= 2  # such a character is two columns wide
    pieces = textwrap.wrap(
        line, room, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False, break_long_words=True
    )
    return pieces or [""]
