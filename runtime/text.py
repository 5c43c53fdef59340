"""Text for models and terminals: bounded, with a word about what was left out."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

__all__ = [
    "LONGEST_NAME",
    "bounded",
    "broken",
    "broken_prose",
    "duration",
    "encodable",
    "head_and_tail",
    "joined",
    "json_line",
    "one_line",
    "without_tags",
]

LONGEST_NAME: Final = 200
"""Characters of what a task that is a function is called."""

_MARK: Final = re.compile(r"\s*(?:(?:[-*+]|\d+[.)])\s+|>\s?)?")
"""With which a line of prose begins: its indentation, and what makes it part of a list or a quotation."""

_TAGS: Final = re.compile(r"<(?=\s*/?\s*(?:background_agents|continued|message)\b)", re.IGNORECASE)
"""How a tag begins with which the runtime marks what it tells a model."""

_FENCES: Final = ("```", "~~~")
_AS_THEY_ARE: Final = ("|", "{", "[", '"')
"""Beginnings of lines of tables and of JSON."""

_NOT_ASCII: Final = re.compile("[^\\x00-\\x7e]+")

_HEAD_SHARE = 0.4
"""The tail gets more than the head: what happened last is what a reader of output usually needs."""


def bounded(text: str, limit: int, *, hint: str = "") -> str:
    """Return `text`, or its head and tail with a line between them that says how much is missing.

    Args:
        text: anything.
        limit: the longest result that is not cut, in characters; the line between comes on top.
        hint: how to read the rest; a sentence for the line between.
    """
    if len(text) <= limit:
        return text
    head, tail = head_and_tail(text, limit)
    left_out = len(text) - len(head) - len(tail)
    note = f"[{left_out:,} of {len(text):,} characters left out here.{' ' + hint if hint else ''}]"
    return f"{head}\n\n{note}\n\n{tail}"


def head_and_tail(text: str, limit: int) -> tuple[str, str]:
    """Return the two ends of a text that is longer than `limit` characters, which both together are long."""
    head = int(limit * _HEAD_SHARE)
    return text[:head], text[-(limit - head) :]


def one_line(text: str, limit: int) -> str:
    """Return `text` with every run of white space made one space, cut at `limit` characters with an ellipsis."""
    # Four characters of input for one of output bound the work on huge texts.
    flat = " ".join(text[: limit * 4].split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def broken(line: str, columns: int, further: str = "") -> str:
    """Return a line with breaks between its words where it is longer than `columns` characters.

    A path, an id or an address stays whole, as somebody may want to copy it.

    Args:
        line: without a line break.
        columns: how long a line may be.
        further: with what the other lines begin, after the indentation of the first.
    """
    if len(line) <= columns:
        return line
    import textwrap  # noqa: PLC0415 - for long lines on terminals only

    return textwrap.fill(
        line,
        columns,
        subsequent_indent=line[: len(line) - len(line.lstrip())] + further,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )


def broken_prose(text: str, columns: int) -> str:
    """Return Markdown with the lines of its prose broken as by `broken`; code, tables and JSON stay as they are."""
    lines = []
    is_code = False
    for line in text.split("\n"):
        begins_with = line.strip()
        if begins_with.startswith(_FENCES):
            is_code = not is_code
        if is_code or line.startswith(("    ", "\t")) or begins_with.startswith(_AS_THEY_ARE):
            lines.append(line)
            continue
        mark = _MARK.match(line)
        found = mark[0].lstrip() if mark is not None else ""
        lines.append(broken(line, columns, found if found.startswith(">") else " " * len(found)))
    return "\n".join(lines)


def without_tags(text: str) -> str:
    """Return what somebody else says, so that it cannot end a block of the runtime's, nor look like another."""
    return _TAGS.sub("< ", text)


def json_line(value: Any) -> str:
    """Return plain data as JSON on one line, in characters that every locale has."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in the name of a file
        return json.dumps(value)
    return _NOT_ASCII.sub(lambda found: json.dumps(found.group()).strip('"').replace("\x7f", "\\u007f"), text)


def duration(seconds: float) -> str:
    """Return a duration as people write it: `3.2 s`, `4 min 05 s`, `2 h 11 min`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def joined(text: str) -> str | None:
    """Return `text` with surrogate pairs joined, so that it can be written as UTF-8; None if it has half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return None
    return text


def encodable(text: str) -> str:
    """Return `text` with surrogate pairs joined and lone surrogates replaced, so that it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
