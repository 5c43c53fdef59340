"""The model of the agent `functions`: parses the Python files and finds the longest functions."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .folder import File, walk
from .reading import Texts
from .script import Steps, scripted
from .words import code, count, one_cell, paragraphs, table

__all__ = ["model"]

_LONG: Final = 50
"""Lines from which on a function counts as long."""

_SHOWN: Final = 10


@dataclass(frozen=True)
class _Function:
    """A function: its file, its name with the classes and functions around it, its first line, how many it has."""

    path: str
    name: str
    line: int
    lines: int


def _survey(_prompt: str) -> Steps[str]:
    source = Texts({"Python"})
    found: list[_Function] = []

    def look(files: Sequence[File]) -> str:
        latest = [function for path in source.read(files) for function in _functions(path, source.parsed(path))]
        found.extend(latest)
        if not latest:
            return ""
        longest = max(latest, key=lambda function: function.lines)
        name = one_cell(longest.name, 40)
        return f"; the longest function in the latest: {name}, {longest.lines:,} lines, in {longest.path}"

    yield from walk(look)
    left_out = [*source.left_out(), "Counted for Python; functions in other languages are not looked for."]
    return paragraphs(*_answer(found, len(source.texts)), "\n".join(left_out))


def _functions(path: str, tree: ast.Module) -> Iterator[_Function]:
    """Yield all functions of a file, those in functions and classes included."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last_line = node.end_lineno or node.lineno
            yield _Function(path, prefix + node.name, node.lineno, last_line - node.lineno + 1)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            prefix += f"{node.name}."
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            # Only statements: the body of an expression is not a list, and holds no function with a name.
            inner = getattr(node, block, ())
            waiting += [(child, prefix) for child in inner] if isinstance(inner, list) else []


def _answer(found: Sequence[_Function], files: int) -> list[str]:
    if not found:
        what = f"in {count(files, 'Python file')}" if files else "as there is no Python that I can read"
        return [f"No functions {what}."]
    lengths = [function.lines for function in found]
    long = sum(length > _LONG for length in lengths)
    files_with = len({function.path for function in found})
    summary = (
        f"{count(len(found), 'function')} in {files_with:,} of {files:,} Python files read; the median is "
        f"{count(statistics.median_low(lengths), 'line')}, "
        f"{long or 'none'} {'has' if long == 1 else 'have'} more than {_LONG}."
    )
    longest = sorted(found, key=lambda function: (-function.lines, function.path, function.line))[:_SHOWN]
    rows = [
        [f"{function.lines:,}", code(function.name, 30), code(f"{one_cell(function.path, 80)}:{function.line}", 100)]
        for function in longest
    ]
    return [summary, table(["lines", "function", "where"], rows, numbers=(0,))]


model = scripted(_survey)
