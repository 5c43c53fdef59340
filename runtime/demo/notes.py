"""The model of the agent `notes`: searches for what authors have left to do, in comments that begin so."""

from __future__ import annotations

import glob
import re
from collections import Counter
from typing import Final

from .folder import walk
from .script import Steps, call, scripted, turn
from .words import code, count, one_cell, paragraphs, table

__all__ = ["model"]

_MARKS: Final = ("FIXME", "TODO", "XXX", "HACK")
_NOTE: Final = rf"((?:{'|'.join(_MARKS)})\b.*)"
_COMMENT: Final = rf"""^(?:[^'"]|'[^']*'|"[^"]*")*?(?:#|//|/\*|<!--|--|;|%|^\s*\*)\s*{_NOTE}"""
"""A note, and before it on its line the beginning of a comment that is in no string."""

_SHOWN: Final = 20
_MOST_EXCLUDED: Final = 500

_FOUND_LINE: Final = re.compile(r"(.+?):(\d+):\d+: (.*)")
_NOT_ALL: Final = re.compile(r"^\[[\d,]+ of [\d,]+ matching lines shown\.|^\[Stopped after ", re.MULTILINE)


def _survey(_prompt: str) -> Steps[str]:
    folder = yield from walk(lambda _: "; looking further down")
    # What the tool leaves out by itself is known by name only; the rest was told by what lies beside it.
    excluded = [glob.escape(path) for path in [*folder.skipped, *folder.unlisted][:_MOST_EXCLUDED]]
    search = call("search_files_content", query=_COMMENT, is_regex=True, excludePatterns=excluded)
    words = f"Searching {count(len(folder.files), 'file')} for comments with {', '.join(_MARKS)}."
    [answer] = yield turn(words, [search])
    found = [found.groups() for line in answer.split("\n") if (found := _FOUND_LINE.fullmatch(line))]
    notes = [
        (*place, note[1]) for *place, line in found if (note := re.search(_COMMENT, line) or re.search(_NOTE, line))
    ]
    left_out = ["The search found more than it shows: not all notes are in this."] if _NOT_ALL.search(answer) else []
    if not notes:
        return paragraphs("No open notes.", "\n".join(left_out))
    tally = Counter(re.split(r"\W", note)[0] for *_, note in notes)
    kinds = ", ".join(f"{tally[mark]:,} {mark}" for mark in _MARKS if tally[mark])
    notes.sort(key=lambda note: (_MARKS.index(re.split(r"\W", note[2])[0]), note[0], int(note[1])))
    rows = [
        [code(f"{one_cell(path, 60)}:{line}", 100), code(note.removesuffix("*/"), 90)]
        for path, line, note in notes[:_SHOWN]
    ]
    if len(notes) > _SHOWN:
        left_out.insert(0, f"{len(notes) - _SHOWN:,} more are not shown.")
    files = len({path for path, *_ in notes})
    summary = f"{count(len(notes), 'open note')} in {count(files, 'file')}: {kinds}."
    left_out.append("Notes are comments that begin with the word, line by line: one in a longer string counts, too.")
    return paragraphs(summary, table(["where", "note"], rows), "\n".join(left_out))


model = scripted(_survey)
