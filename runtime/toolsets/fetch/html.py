"""HTML: turns a page into what a model reads best, Markdown or plain text.

A pure function of the page; it loads nothing that a page refers to. It reads a broken page as far as it can, and never
raises an error for one.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

__all__ = ["readable"]

_BLOCK = re.compile(
    r"address|article|aside|blockquote|body|center|d[dlt]|details|div|fieldset|fig(caption|ure)|footer|form|h[1-6]|header"
    r"|hr|html|li|main|nav|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_UNSEEN = frozenset({"head", "iframe", "noscript", "object", "script", "select", "style", "svg", "template"})
_EMPHASIS = {"b": "**", "strong": "**", "em": "*", "i": "*", "code": "`", "kbd": "`"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BREAK = "\x1f"
"""Stands for `<br>` until white space has been made single spaces."""


def readable(page: str, *, base: str, markup: bool) -> tuple[str, str]:
    """Return a page's title and its text.

    Args:
        page: the HTML.
        base: the page's address; links are made absolute with it.
        markup: whether headings, links, emphasis, code and tables are marked as in Markdown.
    """
    converter = _Converter(base, markup=markup)
    converter.feed(page)
    converter.close()
    return converter.result()


class _Converter(HTMLParser):
    def __init__(self, base: str, *, markup: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._markup = markup
        self._text: list[str] = []
        self._is_tight = True
        self._inline: list[str] = []
        self._lead = ""
        self._unseen = 0
        self._in_pre = 0
        self._quotes = 0
        self._lists: list[int | None] = []
        self._links: list[tuple[int, str]] = []
        self._cell: int | None = None
        self._cells: list[str] = []
        self._has_header = False
        self._in_title = False
        self._title = ""

    def result(self) -> tuple[str, str]:
        """Return title and text of what has been fed."""
        self._flush()
        return " ".join(self._title.split()), "".join(self._text).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and not self._title:
            self._in_title = True
        if tag == "body":  # whatever was never closed before it
            self._unseen = 0
        if tag in _UNSEEN:
            self._unseen += 1
        if not self._unseen:
            self._begin(tag, attrs)

    def _begin(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if _BLOCK.fullmatch(tag):
            self._begin_block(tag)
        elif tag == "br":
            self._inline.append("\n" if self._in_pre else _BREAK)
        elif tag in {"td", "th"}:
            self._end_cell()  # pages may leave its end out
            self._cell = len(self._inline)
            self._has_header = self._has_header or tag == "th"
        elif tag == "a":
            self._links.append((len(self._inline), dict(attrs).get("href") or ""))
        elif tag == "img":
            self._image(dict(attrs))
        elif tag in _EMPHASIS and self._markup and not self._in_pre:
            self._inline.append(_EMPHASIS[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        if self._unseen:
            return
        if _BLOCK.fullmatch(tag):
            self._end_block(tag)
        elif tag in {"td", "th"}:
            self._end_cell()
        elif tag == "a" and self._links:
            self._link(*self._links.pop())
        elif tag in _EMPHASIS and self._markup and not self._in_pre:
            self._inline.append(_EMPHASIS[tag])

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title += data
        elif not self._unseen:
            self._inline.append(data)

    def _begin_block(self, tag: str) -> None:
        if tag == "table":
            # A table in a cell: the outer one is there for the looks.
            self._cell = None
            self._cells.clear()
            self._has_header = False
        elif tag == "tr":
            self._end_row()
        self._flush()
        if tag in _HEADINGS and self._markup:
            self._lead = "#" * _HEADINGS[tag] + " "
        elif tag in {"ul", "ol"}:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._lead = self._bullet()
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._in_pre += 1
        elif tag == "hr" and self._markup:
            self._block("---")

    def _end_block(self, tag: str) -> None:
        if tag in {"tr", "table"}:
            self._end_row()
        if tag == "pre" and self._in_pre:
            self._end_pre()
        self._flush()
        if tag in _HEADINGS or tag == "li":
            self._lead = ""
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)

    def _bullet(self) -> str:
        depth = max(0, len(self._lists) - 1)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "  " * depth + "- "
        self._lists[-1] = number + 1
        return "  " * depth + f"{number + 1}. "

    def _end_cell(self) -> None:
        if self._cell is not None:
            self._cells.append(_flat("".join(self._inline[self._cell :])).replace("\n", " "))
            del self._inline[self._cell :]
            self._cell = None

    def _end_row(self) -> None:
        self._end_cell()
        self._flush()
        if any(self._cells):
            self._block(f"| {' | '.join(self._cells)} |" if self._markup else " | ".join(self._cells), tight=True)
            if self._has_header and self._markup:
                self._block("|" + "---|" * len(self._cells), tight=True)
        self._has_header = False
        self._cells.clear()

    def _end_pre(self) -> None:
        self._in_pre = 0
        code = "".join(self._inline).strip("\n")
        self._inline.clear()
        self._links.clear()
        if code.strip():
            self._block(f"```\n{code}\n```" if self._markup else code)

    def _link(self, start: int, target: str) -> None:
        text = "".join(self._inline[start:])
        if not self._markup or self._in_pre or not text.strip():
            return
        try:
            address = urljoin(self._base, target.strip())
        except ValueError:  # no address at all
            return
        if target and not target.startswith("#") and address.startswith(("http://", "https://")):
            flat = _flat(text).replace("\n", " ")
            self._inline[start:] = [f"[{flat}]({address.replace(' ', '%20').replace(')', '%29')})"]

    def _image(self, attributes: dict[str, str | None]) -> None:
        if alternative := (attributes.get("alt") or "").strip():
            self._inline.append(f"[image: {alternative}]" if self._markup else alternative)

    def _flush(self) -> None:
        """End the paragraph; inside a cell it only becomes a space."""
        if self._cell is not None:
            self._inline.append(" ")
            return
        if self._in_pre:
            return
        text = _flat("".join(self._inline))
        self._inline.clear()
        self._links.clear()
        if text.strip("*` "):
            lead, self._lead = self._lead, ""
            self._block(lead + text.replace("\n", "\n" + " " * len(lead)), tight=bool(self._lists))

    def _block(self, text: str, *, tight: bool = False) -> None:
        mark = "> " * self._quotes if self._markup else ""
        if self._text:
            self._text.append("\n" if tight and self._is_tight else "\n\n")
        self._text.append(mark + text.replace("\n", f"\n{mark}"))
        self._is_tight = tight


def _flat(text: str) -> str:
    """Return text with all white space made single spaces, save for line breaks that the page asks for."""
    lines = re.sub(r"\s+", " ", text.replace(_BREAK, "\x00")).split("\x00")
    return "\n".join(line.strip() for line in lines).strip()
