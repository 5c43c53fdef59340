"""The model of the agent `sizes`: what the working directory consists of, in files, lines and bytes by language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ..models.base import Message, ToolSchema
from .conversation import AnsweredCall, answered_calls, call, turn
from .folder import File, Folder
from .languages import language_of
from .reading import line_count
from .words import cell, count, listed, paragraphs, percent, size, table

__all__ = ["model"]

_MOST_COUNTED: Final = 1_500
_LARGEST_COUNTED: Final = 20_000_000
_CALLS_A_TURN: Final = 40
_OTHER: Final = "other"


@dataclass
class _Tally:
    """What there is of one language; `counted` files have their lines in `lines`."""

    files: int = 0
    counted: int = 0
    lines: int = 0
    bytes: int = 0


@dataclass
class _Lines:
    """Lines of files, as far as they have been counted."""

    counted: dict[str, int] = field(default_factory=dict)
    uncountable: list[str] = field(default_factory=list)
    waiting: list[File] = field(default_factory=list)


def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
    """List the folder, have the lines of its files counted, answer with a table."""
    calls = answered_calls(messages)
    folder = Folder.seen(calls)
    if folder.pending:
        return turn(folder.progress(), folder.calls())
    texts = [file for file in folder.files if language_of(file.path) is not None and file.size <= _LARGEST_COUNTED]
    lines = _count(texts[:_MOST_COUNTED], calls)
    if lines.waiting:
        next_files = lines.waiting[:_CALLS_A_TURN]
        words = f"{folder.summary()}, {size(sum(file.size for file in folder.files))}; counting lines"
        if lines.counted:
            words = (
                f"{sum(lines.counted.values()):,} lines in the first {count(len(lines.counted), 'file')}; counting on"
            )
        return turn(f"{words}.", [call("read_file", path=file.path, limit=1) for file in next_files])
    return _answer(folder, lines, uncounted=len(texts) - len(texts[:_MOST_COUNTED]))


def _count(files: Sequence[File], calls: Sequence[AnsweredCall]) -> _Lines:
    answers = {made.arguments["path"]: made.answer for made in calls if made.name == "read_file"}
    lines = _Lines()
    for file in files:
        if file.size == 0:
            lines.counted[file.path] = 0
        elif file.path not in answers:
            lines.waiting.append(file)
        elif (number := line_count(answers[file.path], file.size)) is None:
            lines.uncountable.append(file.path)
        else:
            lines.counted[file.path] = number
    return lines


def _answer(folder: Folder, lines: _Lines, uncounted: int) -> str:
    if not folder.files:
        return paragraphs("There are no files here.", "\n".join(folder.left_out()))
    tallies = _tallies(folder.files, lines.counted)
    in_all = sum(lines.counted.values())
    summary = f"{folder.summary()}, {size(sum(file.size for file in folder.files))}"
    if in_all:
        language, most = max(tallies.items(), key=lambda item: item[1].lines)
        share = "all" if most.lines == in_all else percent(most.lines, in_all)
        where = f" in the {count(len(lines.counted), 'file')} counted" if uncounted else ""
        summary += f": {count(in_all, 'line')} of text{where}, {share} of them {language}"
    rows = [
        [language, f"{tally.files:,}", f"{tally.lines:,}" if tally.counted else "-", size(tally.bytes)]
        for language, tally in sorted(tallies.items(), key=lambda item: (-item[1].lines, -item[1].bytes))
    ]
    parts = [f"{summary}.", table(["language", "files", "lines", "size"], rows, numbers=(1, 2, 3))]
    longest = sorted(lines.counted.items(), key=lambda item: (-item[1], item[0]))[:5]
    if in_all:
        entries = [[cell(path, 80), f"{number:,}"] for path, number in longest if number]
        parts.append(table(["longest files", "lines"], entries, numbers=(1,)))
    left_out = folder.left_out()
    if lines.uncountable:
        left_out.append(f"Lines not counted, as no readable text: {listed(lines.uncountable, 3)}.")
    if uncounted:
        left_out.append(f"Lines of {count(uncounted, 'file')} are not counted: this survey stops at {_MOST_COUNTED:,}.")
    return paragraphs(*parts, "\n".join(left_out))


def _tallies(files: Sequence[File], counted: dict[str, int]) -> dict[str, _Tally]:
    tallies: dict[str, _Tally] = {}
    for file in files:
        tally = tallies.setdefault(language_of(file.path) or _OTHER, _Tally())
        tally.files += 1
        tally.bytes += file.size
        if file.path in counted:
            tally.counted += 1
            tally.lines += counted[file.path]
    return tallies
