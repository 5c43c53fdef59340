"""Python source: its functions, its imports, its comments. Parses, and never runs anything."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Function", "Import", "comment_lines", "functions", "imports", "parse"]


@dataclass(frozen=True)
class Function:
    """A function: name with the classes and functions around it, and its first and last line."""

    name: str
    line: int
    last_line: int

    @property
    def lines(self) -> int:
        """Its length in lines."""
        return self.last_line - self.line + 1


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        level: leading dots.
        module: as written, without the dots.
        name: what is taken from it; empty for `import module`.
        at_start: whether it happens when the module itself is imported, not in a function or for type checkers only.
    """

    level: int
    module: str
    name: str
    at_start: bool


def parse(text: str) -> ast.Module | None:
    """Return the syntax tree; None if the text is not Python."""
    try:
        with warnings.catch_warnings():
            # What the parser thinks of somebody else's code belongs into nobody's output.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def functions(tree: ast.Module) -> list[Function]:
    """Return all functions, those in functions and classes included."""
    found: list[Function] = []
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        for child in _statements(node):
            inner = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{prefix}{child.name}."
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append(Function(prefix + child.name, child.lineno, child.end_lineno or child.lineno))
            waiting.append((child, inner))
    return found


def imports(tree: ast.Module) -> Iterator[Import]:
    """Yield all imports."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, at_start = waiting.pop()
        match node:
            case ast.Import(names):
                yield from (Import(0, alias.name, "", at_start) for alias in names)
            case ast.ImportFrom(module, names, level):
                yield from (Import(level or 0, module or "", alias.name, at_start) for alias in names)
            case ast.If(test, body, orelse) if _is_type_checking(test):
                waiting += [(child, False) for child in body]
                waiting += [(child, at_start) for child in orelse]
            case _:
                in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                waiting += [(child, at_start and not in_function) for child in _statements(node)]


def comment_lines(text: str) -> dict[int, str] | None:
    """Return the comment of each line that has one; None if the text is not Python."""
    found: dict[int, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string
    except (tokenize.TokenError, SyntaxError):
        return None
    return found


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in a statement, and what holds some; expressions, most of a tree, hold none."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        yield from getattr(node, block, ())


def _is_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name("TYPE_CHECKING") | ast.Attribute(_, "TYPE_CHECKING"):
            return True
        case _:
            return False
