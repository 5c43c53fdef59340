"""The model of the agent `functions`: reads the source code and finds the longest functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from .folder import File, walk
from .languages import BRACES, language_of
from .reading import Texts
from .script import Steps, scripted
from .source import Function, functions
from .words import cell, count, listed, paragraphs, table

__all__ = ["model"]

_LONG: Final = 50
"""Lines from which on a function counts as long."""

_SHOWN: Final = 10


def _survey() -> Steps[str]:
    source = Texts({"Python", *BRACES})
    found: list[tuple[str, Function]] = []
    no_python: list[str] = []

    def look(files: Sequence[File]) -> str:
        latest = []
        for path, text in source.read(files).items():
            inside = functions(text, language_of(path) or "")
            no_python.extend([path] if inside is None else [])
            latest += [(path, function) for function in inside or ()]
        found.extend(latest)
        return _longest(latest)

    yield from walk(look)
    left_out = source.left_out()
    if no_python:
        left_out.append(f"No valid Python, hence not in it: {listed(no_python, 3)}.")
    if any(language_of(path) in BRACES for path, _ in found):
        left_out.append("Functions in languages other than Python were found by their braces, which is approximate.")
    return paragraphs(*_answer(found, len(source.texts)), "\n".join(left_out))


def _longest(found: Sequence[tuple[str, Function]]) -> str:
    if not found:
        return ""
    path, function = max(found, key=lambda item: item[1].lines)
    return f"; the longest function in the latest: {cell(function.name, 40)}, {function.lines:,} lines, in {path}"


def _answer(found: Sequence[tuple[str, Function]], files: int) -> list[str]:
    if not found:
        what = f"in {count(files, 'source file')}" if files else "as there is no source code that I can read"
        return [f"No functions {what}."]
    lengths = [function.lines for _, function in found]
    long = sum(length > _LONG for length in lengths)
    files_with = len({path for path, _ in found})
    median = count(statistics.median_low(lengths), "line")
    summary = (
        f"{count(len(lengths), 'function')} in {files_with:,} of {files:,} source files read; the median is {median}, "
        f"{long or 'none'} {'has' if long == 1 else 'have'} more than {_LONG}."
    )
    longest = sorted(found, key=lambda item: (-item[1].lines, item[0], item[1].line))[:_SHOWN]
    rows = [
        [f"{function.lines:,}", cell(function.name, 30), f"{cell(path, 80)}:{function.line}"]
        for path, function in longest
    ]
    return [summary, table(["lines", "function", "where"], rows, numbers=(0,))]


model = scripted(_survey)
