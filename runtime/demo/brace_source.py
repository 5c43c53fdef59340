"""Brace source: what source in languages with braces shows without a parser: functions, comments, imports by path.

It works by patterns, hence approximately: a function is what stands in braces after something like a function's head.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from .languages import JAVASCRIPT
from .python_source import Function

__all__ = ["code_only", "comments_only", "functions", "imported_paths", "included_paths"]

_COMMENT: Final = r"(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))"
_DOUBLE_QUOTED: Final = r'"(?:\\.|[^"\\\n])*"'
_SINGLE_QUOTED: Final = r"'(?:\\.|[^'\\\n])*'"
_CHARACTER: Final = r"'(?:\\[^\n']{0,10}.|[^'\\\n])'"  # not a Rust lifetime
_TEMPLATE: Final = r"`(?:\\.|[^`\\])*`"
_LITERAL: Final = r"`[^`]*`"
_TRIPLE_QUOTED: Final = r'""".*?"""'
_RAW: Final = r'\br(?P<hashes>#*)".*?"(?P=hashes)'
_REGULAR_EXPRESSION: Final = r"(?<=[=(,:\[!&|?{};\n])[ \t]*/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"

_TOKENS_SCRIPT: Final = re.compile(
    rf"{_COMMENT}|{_DOUBLE_QUOTED}|{_SINGLE_QUOTED}|{_TEMPLATE}|{_REGULAR_EXPRESSION}", re.DOTALL
)
_TOKENS: Final = re.compile(rf"{_COMMENT}|{_RAW}|{_TRIPLE_QUOTED}|{_DOUBLE_QUOTED}|{_CHARACTER}|{_LITERAL}", re.DOTALL)
_SINGLE_QUOTED_STRINGS: Final = JAVASCRIPT | {"Dart", "PHP"}

_NO_NEWLINE: Final = re.compile(r"[^\n]")
_PIECE: Final = re.compile(r"[(){}\[\];]|[^(){}\[\];]+")
_EMPTY_TYPE: Final = re.compile(r"\b(?:interface|struct)\s*\{\s*\}")

_HEAD: Final = 600
"""Characters before a brace in which a function's head is looked for."""

_KEYWORD_HEADS: Final = {
    "Go": re.compile(r"\bfunc\s*(?:\(\)\s*)?(\w+)\s*(?:\[\]\s*)?\(\)[^\n]*\Z"),
    "Kotlin": re.compile(r"\bfun\b[^()]*?(\w+)\s*\(\)[^()]*\Z"),
    "PHP": re.compile(r"\bfunction\s+&?(\w+)\s*\(\)[^()]*\Z"),
    "Rust": re.compile(r"\bfn\s+(\w+)[^;]*\Z"),
    "Scala": re.compile(r"\bdef\s+(\w+)[^;]*\Z"),
    "Swift": re.compile(r"\bfunc\s+(\w+)[^;]*\Z|\b(init)[?!]?\s*(?:<[^()]*>\s*)?\(\)[^()]*\Z"),
}
_SCRIPT_HEADS: Final = (
    re.compile(r"\bfunction\b\s*\*?\s*([\w$]+)\s*(?:<[^()]*>\s*)?\(\)[^()=;]*\Z"),
    re.compile(r"([\w$]+)\s*[=:]\s*(?:async\s+)?function\b\s*\*?\s*\(\)[^()=;]*\Z"),
    re.compile(
        r"([\w$]+)\s*(?:(?::[^=;\n]*)?=|:)\s*(?:async\s*)?(?:<[^()]*>\s*)?(?:\(\)|[\w$]+)\s*(?::[^=;\n]*)?=>\s*\Z"
    ),
)
_NAME: Final = r"(?P<before>\bnew\s+|=>?\s*|\.\s*)?(?P<name>~?[\w$#]+(?:::~?\w+)*)\s*(?:<[^<>()]*>\s*)?\(\)\s*"
_SCRIPT_METHOD: Final = re.compile(_NAME + r"(?::[^;=\n]*)?\Z")
_PLAIN_HEAD: Final = re.compile(
    _NAME + r"(?:(?:const|noexcept|override|final|mutable|volatile|async|throws\s+[\w.,\s]+)\s*)*"
    r"(?:(?::|->|where\b)[^;]*)?\Z"
)
_TYPE_HEAD: Final = re.compile(r"\b(?:class|interface|record)\b")
_CONTROL: Final = frozenset(
    {"catch", "for", "foreach", "function", "if", "return", "switch", "synchronized", "while", "with"}
)

_SCRIPT_IMPORT: Final = re.compile(
    r"""^[ \t]*(?:import|export)\b(?P<type>\s+type\b)?[^'"`;()]*?['"](?P<path>[^'"\n]+)['"]"""
    r"""|\b(?P<how>require|import)\s*\(\s*['"](?P<called_path>[^'"\n]+)['"]\s*\)""",
    re.MULTILINE,
)
_INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]+"([^"\n]+)"', re.MULTILINE)


def code_only(text: str, language: str) -> str:
    """Return the text with comments, strings and characters blanked out, every line in its place."""
    return _tokens(language).sub(lambda match: _NO_NEWLINE.sub(" ", match[0]), text)


def comments_only(text: str, language: str) -> dict[int, str]:
    """Return what is comment on each line that has some."""
    found: dict[int, str] = {}
    position = line = 0
    for match in _tokens(language).finditer(text):
        if match["comment"] is None:
            continue
        line += text.count("\n", position, match.start())
        position = match.start()
        for number, part in enumerate(match["comment"].split("\n"), line + 1):
            found[number] = f"{found[number]} {part}" if number in found else part
    return found


def functions(text: str, language: str) -> list[Function]:
    """Return the functions that have a name and a body in braces."""
    code = _EMPTY_TYPE.sub(lambda match: _NO_NEWLINE.sub(" ", match[0]), code_only(text, language))
    newlines = [index for index, character in enumerate(code) if character == "\n"]
    found: list[Function] = []
    levels = [_Level()]
    for piece in _PIECE.finditer(code):
        here = levels[-1]
        match piece[0]:
            case "{":
                inside = any(level.name for level in levels)
                name, start = here.head(language, inside=inside) if here.depth == 0 else ("", 0)
                levels.append(_Level(name, bisect_right(newlines, start) + 1))
            case "}":
                if here.name:
                    found.append(Function(here.name, here.line, bisect_right(newlines, piece.start()) + 1))
                if len(levels) > 1:
                    levels.pop()
                levels[-1].ended()
            case ";":
                here.ended()
            case text_piece:
                here.take(text_piece, piece.start())
    return found


def imported_paths(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what JavaScript or TypeScript imports, as written, and whether that is when the file itself is imported.

    Where `require` is indented, it is taken to be in a function.
    """
    without_comments = _TOKENS_SCRIPT.sub(
        lambda match: match[0] if match["comment"] is None else _NO_NEWLINE.sub(" ", match[0]), text
    )
    for match in _SCRIPT_IMPORT.finditer(without_comments):
        if match["path"]:
            yield match["path"], match["type"] is None
        else:
            yield match["called_path"], match["how"] == "require" and not _is_indented(without_comments, match.start())


def included_paths(text: str) -> Iterator[str]:
    """Yield what C or C++ includes in quotes, as written."""
    for match in _INCLUDE.finditer(text):
        yield match[1]


def _is_indented(text: str, position: int) -> bool:
    """Whether a line begins with white space, which a statement outside all functions does not."""
    return text[text.rfind("\n", 0, position) + 1].isspace()


def _tokens(language: str) -> re.Pattern[str]:
    return _TOKENS_SCRIPT if language in _SINGLE_QUOTED_STRINGS else _TOKENS


@dataclass
class _Level:
    """What is between a pair of braces: the function that it is the body of, and the head of what comes next in it.

    Attributes:
        name: the function; empty if it is none.
        line: where the function's head has its name.
        depth: brackets that are open.
        pieces: text outside brackets since the last statement ended, and where each piece begins.
    """

    name: str = ""
    line: int = 0
    depth: int = 0
    pieces: list[tuple[str, int]] = field(default_factory=list)

    def take(self, text: str, start: int) -> None:
        """Take text, or a bracket."""
        if text in ")]":
            self.depth = max(0, self.depth - 1)
        if self.depth == 0:
            self.pieces.append((text, start))
        if text in "([":
            self.depth += 1

    def ended(self) -> None:
        """A statement ends, unless it is in brackets."""
        if self.depth == 0:
            self.pieces.clear()

    def head(self, language: str, *, inside: bool) -> tuple[str, int]:
        """Return the name in the function's head that the text since the last statement is, and where it stands.

        Args:
            language: of the text.
            inside: whether the text is in a function.
        """
        text = "".join(piece for piece, _ in self.pieces)
        cut = max(0, len(text) - _HEAD)
        found = _named(text[cut:], language, inside=inside)
        if found is None:
            return "", 0
        name, offset = found
        offset += cut
        for piece, start in self.pieces:
            if offset < len(piece):
                return name, start + offset
            offset -= len(piece)
        return "", 0


def _named(head: str, language: str, *, inside: bool) -> tuple[str, int] | None:
    if language in _KEYWORD_HEADS:
        return _last(_KEYWORD_HEADS[language], head)
    if language in JAVASCRIPT:
        for pattern in _SCRIPT_HEADS:
            if (found := _last(pattern, head)) is not None:
                return found
    elif inside:
        # A macro that loops looks like a function; functions in functions do not exist here.
        return None
    if _TYPE_HEAD.search(head):
        return None
    for match in (_SCRIPT_METHOD if language in JAVASCRIPT else _PLAIN_HEAD).finditer(head):
        if match["before"] is None and match["name"] not in _CONTROL:
            return match["name"], match.start("name")
    return None


def _last(pattern: re.Pattern[str], head: str) -> tuple[str, int] | None:
    """Return the last place where a pattern fits: what comes before it in the same text is something else."""
    found = None
    for match in pattern.finditer(head):
        group = match.lastindex or 0
        found = match[group], match.start(group)
    return found
