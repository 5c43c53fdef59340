"""The model of the agent `functions`: reads the source code and finds the longest functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..models.base import Message, ToolSchema
from . import brace_source, python_source
from .conversation import answered_calls, turn
from .folder import Folder
from .languages import BRACES, language_of
from .python_source import Function
from .reading import Reading, choose
from .words import cell, count, listed, paragraphs, table

__all__ = ["model"]

_LONG: Final = 50
"""Lines from which on a function counts as long."""

_SHOWN: Final = 10


@dataclass
class _Found:
    """Functions with the files that they are in."""

    functions: list[tuple[str, Function]] = field(default_factory=list)
    unparsable: list[str] = field(default_factory=list)


def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
    """List the folder, read the source files, answer with the longest functions."""
    calls = answered_calls(messages)
    folder = Folder.seen(calls)
    if folder.pending:
        return turn(folder.progress(), folder.calls())
    chosen = choose([file for file in folder.files if language_of(file.path) in {"Python", *BRACES}])
    reading = Reading(chosen.files, messages)
    if reading.calls():
        return turn(_progress(reading, len(chosen.files)), reading.calls())
    found = _functions(reading.texts)
    return _answer(found, len(reading.texts), [*chosen.left_out(), *reading.left_out()])


def _functions(texts: Mapping[str, str]) -> _Found:
    found = _Found()
    for path, text in texts.items():
        functions = _functions_of(path, text)
        if functions is None:
            found.unparsable.append(path)
        else:
            found.functions += [(path, function) for function in functions]
    return found


def _functions_of(path: str, text: str) -> list[Function] | None:
    language = language_of(path)
    if language != "Python":
        return brace_source.functions(text, language or "")
    tree = python_source.parse(text)
    return None if tree is None else python_source.functions(tree)


def _progress(reading: Reading, files: int) -> str:
    """Say how far the reading has come, and what the last turn's files had to show."""
    if not reading.texts:
        return f"There are {count(files, 'file')} of source code; reading."
    words = f"{len(reading.texts)} of {count(files, 'file')} read"
    longest = max(_functions(reading.latest).functions, key=lambda item: item[1].lines, default=None)
    if longest is None:
        return f"{words}."
    path, function = longest
    return f"{words}; the longest in the latest: {cell(function.name, 40)}, {count(function.lines, 'line')}, in {path}."


def _answer(found: _Found, files: int, left_out: list[str]) -> str:
    if found.unparsable:
        left_out.append(f"No valid Python, hence not in it: {listed(found.unparsable, 3)}.")
    if any(language_of(path) in BRACES for path, _ in found.functions):
        left_out.append("Functions in languages other than Python were found by their braces, which is approximate.")
    if not found.functions:
        what = f"in {count(files, 'source file')}" if files else "as there is no source code that I can read"
        return paragraphs(f"No functions {what}.", "\n".join(left_out))
    lengths = [function.lines for _, function in found.functions]
    where = len({path for path, _ in found.functions})
    long = sum(length > _LONG for length in lengths)
    summary = (
        f"{count(len(lengths), 'function')} in {where:,} of {files:,} source files read; the median is "
        f"{count(int(statistics.median_low(lengths)), 'line')}, {long or 'none'} {'has' if long == 1 else 'have'} more "
        f"than {_LONG}."
    )
    longest = sorted(found.functions, key=lambda item: (-item[1].lines, item[0], item[1].line))[:_SHOWN]
    rows = [
        [f"{function.lines:,}", cell(function.name, 30), f"{cell(path, 80)}:{function.line}"]
        for path, function in longest
    ]
    shown = table(["lines", "function", "where"], rows, numbers=(0,))
    return paragraphs(summary, shown, "\n".join(left_out))
