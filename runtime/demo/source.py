"""Source: where functions begin and end. Python is parsed; in languages with braces it looks at patterns.

There a function is what stands in braces after something like a function's head, which is approximate. Nothing is run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .languages import JAVASCRIPT, KEYWORDS

__all__ = ["Function", "functions", "parse"]

_STRINGS: Final = r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`"""
_SINGLE: Final = rf"{_STRINGS}|'(?:\\.|[^'\\\n])*'|(?<=[=(,:\[!&|?;{{}}\n])[ \t]*/(?![*/])(?:\\.|[^/\\\n])+/"
_CHARACTER: Final = rf'\br(?P<raw>#+)".*?"(?P=raw)|{_STRINGS}|' + r"'(?:\\[^\n']{0,10}.|[^'\\\n])'"  # no Rust lifetime
_BLANKED: Final = {True: re.compile(_SINGLE, re.DOTALL), False: re.compile(_CHARACTER, re.DOTALL)}
_SINGLE_QUOTED_STRINGS: Final = JAVASCRIPT | {"Dart", "PHP"}
_EMPTY_TYPE: Final = re.compile(r"\b(?:interface|struct)\s*\{\s*\}")
_BRACKETS: Final = re.compile(r"\([^(){};]*\)|\([^()]*?\{[^(){}]*\}[^()]*?\)")
_DEEPEST: Final = 50
"""Brackets in brackets that are looked into."""

_PIECE: Final = re.compile(r"[{};]")

_ARGUMENTS: Final = r"\s*(?:<[^;{}]*>|\[[^;{}]*\])?\s*\x02\s*\x03"
"""After a name: brackets with all in them blanked, type parameters before them."""

_KEYWORD: Final = re.compile(rf"\b(?:func|fun|fn|def|function|init)\b\s*(?:\x02\s*\x03\s*)?[*&]?\s*(\w+){_ARGUMENTS}")
_SCRIPT: Final = (
    re.compile(rf"\bfunction\b\s*\*?\s*([\w$]+){_ARGUMENTS}[^=;]*\Z"),
    re.compile(r"([\w$]+)\s*(?::[^=]*)?[=:]\s*(?:async\s+)?function\b[^=]*\Z"),
    re.compile(r"([\w$]+)\s*(?::[^=]*)?[=:]\s*(?:async\s*)?(?:<[^=]*>\s*)?(?:\x02\s*\x03|[\w$]+)[^=]*=>\s*\Z"),
)
_PLAIN: Final = re.compile(rf"(?<![.\w$])(?<!new )(?<!=)([\w$#~:]+){_ARGUMENTS}[^\x02=;]*\Z")
_NO_FUNCTION: Final = re.compile(
    r"\b(?:class|interface|record)\b|\b(?:catch|for|foreach|if|return|switch|synchronized|while|with)\s*\x02"
)


@dataclass(frozen=True)
class Function:
    """A function: name with the classes and functions around it, if that is known; first and last line."""

    name: str
    line: int
    last_line: int

    @property
    def lines(self) -> int:
        """Its length in lines."""
        return self.last_line - self.line + 1


def functions(text: str, language: str) -> list[Function] | None:
    """Return all functions, those in functions and classes included; None if the text is not Python."""
    if language != "Python":
        return list(_braced(text, language))
    tree = parse(text)
    return None if tree is None else list(_parsed(tree))


def parse(text: str) -> ast.Module | None:
    """Return the syntax tree; None if the text is not Python."""
    try:
        with warnings.catch_warnings():
            # What the parser thinks of somebody else's code belongs into nobody's output.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _parsed(tree: ast.Module) -> Iterator[Function]:
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(prefix + node.name, node.lineno, node.end_lineno or node.lineno)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            prefix += f"{node.name}."
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            # Only statements: the body of an expression is not a list, and holds no function with a name.
            inner = getattr(node, block, ())
            waiting += [(child, prefix) for child in inner] if isinstance(inner, list) else []


def _braced(text: str, language: str) -> Iterator[Function]:
    code = _BLANKED[language in _SINGLE_QUOTED_STRINGS].sub(_blank, text)
    code = _EMPTY_TYPE.sub(_blank, code)
    for _ in range(_DEEPEST):
        shorter = _BRACKETS.sub(lambda match: f"\x02{_blank(match)[1:-1]}\x03", code)
        if shorter == code:
            break
        code = shorter
    around: list[tuple[str, int]] = []
    start = 0
    for piece in _PIECE.finditer(code):
        if piece[0] == "{":
            is_inside = any(name for name, _ in around)
            name, offset = _named(code[max(start, piece.start() - 600) : piece.start()], language, is_inside=is_inside)
            around.append((name, max(start, piece.start() - 600) + offset))
        elif piece[0] == "}" and around:
            name, at = around.pop()
            if name:
                yield Function(name, code.count("\n", 0, at) + 1, code.count("\n", 0, piece.start()) + 1)
        start = piece.end()


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _named(head: str, language: str, *, is_inside: bool) -> tuple[str, int]:
    """Return the name in a function's head, and where it stands in it; empty if it is the head of something else."""
    if language in KEYWORDS:
        return _place(max(_KEYWORD.finditer(head), key=re.Match.start, default=None))
    for pattern in _SCRIPT if language in JAVASCRIPT else ():
        if found := pattern.search(head):
            return _place(found)
    # Outside of JavaScript functions in functions do not exist, and a macro that loops looks like one.
    if _NO_FUNCTION.search(head) or (is_inside and language not in JAVASCRIPT):
        return "", 0
    return _place(_PLAIN.search(head))


def _place(match: re.Match[str] | None) -> tuple[str, int]:
    return (match[1], match.start(1)) if match else ("", 0)
