"""Text for models and terminals: bounded, with a word about what was left out."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

__all__ = ["bounded", "head_and_tail", "json_line", "one_line"]

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


def json_line(value: Any) -> str:
    """Return plain data as JSON on one line, in characters that every locale has."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in the name of a file
        return json.dumps(value)
    return _NOT_ASCII.sub(lambda found: json.dumps(found.group()).strip('"').replace("\x7f", "\\u007f"), text)
