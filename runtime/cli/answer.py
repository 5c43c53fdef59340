"""Answer: prints what an agent has answered, rendered from Markdown on a terminal and unchanged anywhere else.

Nothing in an answer may command the terminal. Its text is cleaned before it is read as Markdown, and each piece again
after that, because `&#27;` is an escape character to Markdown. Addresses are shown, and are no hyperlinks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..terminal.control_sequences import clean
from ..terminal.streams import err, out, own_stream

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.markdown import Markdown

__all__ = ["can_draw", "print_answer", "without_size"]

_WIDEST: Final = 100
"""Cells of a line of prose; longer ones are hard to read."""

_LONGEST: Final = 30_000
"""Characters of an answer that is read as Markdown: hostile ones take seconds from there on."""

_BLANK_END: Final = r"(?: |\x1b\[[0-9;]*m)+\Z"
"""Blanks at the end of a line, which nobody wants who copies it, and the styles that they have."""

_STYLES: Final = {
    "markdown.h1": "bold underline",
    "markdown.h2": "bold",
    "markdown.code": "cyan",  # on whatever the terminal's background is
    "markdown.code_block": "none",
}


def print_answer(text: str) -> None:
    """Print an answer, or data as JSON text, on standard output."""
    columns = out.columns
    if columns is None or len(text) > _LONGEST or not _is_smart() or _is_data(text):
        out.prose(text)
        return
    from rich.console import Console  # noqa: PLC0415 - rich is for terminals only
    from rich.theme import Theme  # noqa: PLC0415 - rich is for terminals only

    console = Console(
        file=own_stream(out),
        width=min(columns, _WIDEST),
        theme=Theme(_STYLES),
        no_color=not out.is_colored,
        _environ=without_size(os.environ),
    )
    with console.capture() as capture:
        console.print(_markdown(clean(text)), crop=False)  # a line of code is longer than the screen where it has to be
    lines = capture.get().rstrip("\n").split("\n")
    out.own("".join(f"{re.sub(_BLANK_END, _reset, line)}\n" for line in lines))


def _reset(blanks: re.Match[str]) -> str:
    return "\x1b[0m" if "\x1b" in blanks[0] else ""


def can_draw() -> bool:
    """Whether standard error is a terminal on which more can be done than to write line after line."""
    return err.is_terminal and _is_smart()


def without_size(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without COLUMNS and LINES: a terminal knows its size, and they do not follow it."""
    return {name: value for name, value in environ.items() if name not in {"COLUMNS", "LINES"}}


def _is_smart() -> bool:
    return os.environ.get("TERM", "dumb") != "dumb"


def _is_data(text: str) -> bool:
    """Whether a text is JSON, and no prose."""
    if not text.startswith(("{", "[")):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _markdown(text: str) -> Markdown:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - for answers on terminals only
    from rich.markdown import CodeBlock, Markdown, TextElement  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    class Code(CodeBlock):
        """Code as it is: highlighted, and neither broken nor framed."""

        def __rich_console__(self, *_: object) -> Iterator[Text]:
            from rich.syntax import Syntax  # noqa: PLC0415 - for answers with code only

            syntax = Syntax("", self.lexer_name, theme="ansi_dark", background_color="default")
            code = syntax.highlight(str(self.text).rstrip("\n"))
            code.rstrip()
            code.no_wrap, code.overflow = True, "ignore"
            yield code

    class Heading(TextElement):
        """A heading, at the left like all else."""

        @classmethod
        def create(cls, markdown: Markdown, token: Token) -> Heading:
            del markdown
            heading = cls()
            heading.style_name = f"markdown.{token.tag}"
            return heading

        def __rich_console__(self, *_: object) -> Iterator[Text]:
            yield self.text

    class Rendered(Markdown):
        elements = Markdown.elements | {"fence": Code, "code_block": Code, "heading_open": Heading}

    rendered = Rendered("", hyperlinks=False)
    # HTML is text here, and an image is what leads to it: nothing of an answer is left out.
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("image")
    rendered.parsed = _harmless(parser.parse(text))
    return rendered


def _harmless(tokens: Sequence[Token]) -> list[Token]:
    """Return the pieces of an answer without what would command the terminal, and with its line breaks kept."""
    kept = []
    for token in tokens:
        if token.type in {"link_open", "link_close"} and token.markup == "autolink":
            continue  # the address is its text, too
        if token.type == "softbreak":
            token.type = "hardbreak"
        token.content, token.info = clean(token.content), clean(token.info)
        token.attrs = {name: _clean(value) for name, value in token.attrs.items()}
        token.children = _harmless(token.children) if token.children is not None else None
        kept.append(token)
    return kept


def _clean(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value
