"""The model of the agent `notes`: collects what authors have left to do, from the comments.

A word in a string or in a name is not a note. So files in which a word occurs are read, and their comments told apart.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..models.base import Message, ToolSchema
from . import brace_source, python_source
from .conversation import AnsweredCall, answered_calls, call, turn
from .folder import Folder
from .languages import BRACES, language_of
from .reading import Reading, choose
from .words import cell, count, paragraphs, table

__all__ = ["model"]

_MARKS: Final = ("FIXME", "TODO", "XXX", "HACK")
_MARK: Final = re.compile(rf"\b(?:{'|'.join(_MARKS)})\b")
_NOTE: Final = re.compile(rf"\A\W*(?P<first>{'|'.join(_MARKS)})\b|\b(?P<called>{'|'.join(_MARKS)})\b(?=\s?[:(])")
"""A comment that begins with one of the words, or has one with a colon or a bracket: others only speak of them."""

_SHOWN: Final = 20
_MOST_EXCLUDED: Final = 500

_FOUND_LINE: Final = re.compile(r"(.+?):(\d+):\d+: (.*)")
_NOT_ALL: Final = re.compile(r"\[[\d,]+ of ([\d,]+) matching lines shown\.|\[Stopped after ", re.MULTILINE)

_COMMENT_LINE: Final = re.compile(rf"(?:#|//|/\*|<!--|--|;|%|\A\s*\*)\s*(.*\b(?:{'|'.join(_MARKS)})\b.*)")
_PROSE_LINE: Final = re.compile(rf"\A\s*(?:[-*+]\s+)?((?:{'|'.join(_MARKS)})\b[:( ].*)")
_PROSE: Final = frozenset({"Markdown", "reStructuredText", "text"})


@dataclass(frozen=True)
class _Note:
    path: str
    line: int
    mark: str
    text: str


def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
    """List the folder, search it for the words, read the files that have them, answer with the notes."""
    calls = answered_calls(messages)
    folder = Folder.seen(calls)
    if folder.pending:
        return turn(folder.progress(), folder.calls())
    searches = [made for made in calls if made.name == "search_files_content"]
    if not searches:
        # What the tool leaves out by itself is known by name only; the rest was told by what lies beside it.
        excluded = [glob.escape(path) for path in [*folder.skipped, *folder.unlisted][:_MOST_EXCLUDED]]
        words = f"Searching {count(len(folder.files), 'file')} for {', '.join(_MARKS)}, all at the same time."
        return turn(words, [call("search_files_content", query=mark, excludePatterns=excluded) for mark in _MARKS])
    matches = _matches(searches)
    chosen = choose([file for file in folder.files if file.path in matches])
    reading = Reading(chosen.files, messages)
    if reading.calls():
        lines = count(sum(map(len, matches.values())), "line")
        words = f"{lines} in {count(len(matches), 'file')} have one of the words; reading to see which are notes."
        return turn(words, reading.calls())
    return _answer(matches, reading, searches, [*chosen.left_out(), *reading.left_out()])


def _matches(searches: Sequence[AnsweredCall]) -> dict[str, set[int]]:
    """Return the numbers of the lines in which the searches found one of the words, by file."""
    matches: dict[str, set[int]] = {}
    for search in searches:
        for line in search.answer.split("\n"):
            found = _FOUND_LINE.fullmatch(line)
            if found is not None:
                matches.setdefault(found[1], set()).add(int(found[2]))
    return matches


def _answer(
    matches: dict[str, set[int]], reading: Reading, searches: Sequence[AnsweredCall], left_out: list[str]
) -> str:
    notes: list[_Note] = []
    elsewhere = 0
    for path, text in reading.texts.items():
        found = _notes(path, text)
        notes += found
        lines = text.split("\n")
        words = {line for line in matches[path] if line <= len(lines) and _MARK.search(lines[line - 1])}
        elsewhere += len(words - {note.line for note in found})
    if any(_NOT_ALL.search(search.answer) for search in searches):
        left_out.insert(0, "The search found more than it shows: files beyond its bound are not in this.")
    if elsewhere:
        left_out.append(f"Not counted: {count(elsewhere, 'line')} with one of the words in a string, a name or prose.")
    if not notes:
        return paragraphs("No open notes.", "\n".join(left_out))
    tally = Counter(note.mark for note in notes)
    kinds = ", ".join(f"{tally[mark]:,} {mark}" for mark in _MARKS if tally[mark])
    files = len({note.path for note in notes})
    notes.sort(key=lambda note: (_MARKS.index(note.mark), note.path, note.line))
    rows = [[f"{cell(note.path, 60)}:{note.line}", cell(note.text, 90)] for note in notes[:_SHOWN]]
    if len(notes) > _SHOWN:
        left_out.insert(0, f"{len(notes) - _SHOWN:,} more are not shown.")
    summary = f"{count(len(notes), 'open note')} in {count(files, 'file')}: {kinds}."
    return paragraphs(summary, table(["where", "note"], rows), "\n".join(left_out))


def _notes(path: str, source: str) -> list[_Note]:
    """Return the notes of a file: comments that hold one of the words; in prose, lines that begin with one."""
    notes = []
    for line, comment in sorted(_comments(path, source).items()):
        note = _NOTE.search(comment)
        if note is not None:
            kind = "first" if note["first"] else "called"
            text = comment[note.start(kind) :].rstrip().removesuffix("*/").removesuffix("-->")
            notes.append(_Note(path, line, note[kind], text))
    return notes


def _comments(path: str, text: str) -> dict[int, str]:
    language = language_of(path)
    if language == "Python":
        comments = python_source.comment_lines(text)
        if comments is not None:
            return comments
    elif language in BRACES:
        return brace_source.comments_only(text, language or "")
    pattern = _PROSE_LINE if language in _PROSE else _COMMENT_LINE
    return {
        number: found[1]
        for number, line in enumerate(text.split("\n"), 1)
        if (found := pattern.search(line)) is not None
    }
