"""What a task's answer is on its way and where it is kept: JSON text, decoded only by who reads it.

Some megabytes of it can stand for some hundred as objects, which the host then neither makes nor keeps; and beyond a
number of values they are refused, as no other thread runs while they are made.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ._encodable import encodable

__all__ = ["MOST_VALUES", "check_result", "decode_result", "encode_result"]

MOST_VALUES: Final = 1_000_000
"""Values that an answer may hold, those inside of lists and mappings counted; a text is one, however long."""

_SPARE_LEVELS: Final = 100
"""Levels that an answer must leave: those who read it do so deeper in a stack, or inside of something."""


def encode_result(result: Any) -> str:
    """Return an answer as JSON text; runs in the task's process.

    Raises:
        TypeError, ValueError, RecursionError, msgspec.MsgspecError: JSON cannot hold it, or it is too much.
    """
    return msgspec.json.encode(encodable(result) if isinstance(result, str) else result).decode()


def decode_result(text: str) -> Any:
    """Return an answer as an object, made anew at each call; the text must have been checked."""
    return msgspec.json.decode(text)


def check_result(text: str) -> None:
    """Refuse what is no answer; takes a tenth of a second at most, of which other threads wait for a part.

    Raises:
        TypeError: it is no JSON, holds more than `MOST_VALUES` values, or is nested too deeply.
    """
    if text.startswith('"'):
        levels = 0  # a text has no other values in it
    elif not _may_hold_too_many(text):
        levels = _SPARE_LEVELS
    else:
        raise TypeError(f"the result cannot be kept: it holds more than {MOST_VALUES:,} values")
    try:
        decode_result(f"{'[' * levels}{text}{']' * levels}")
    except (ValueError, RecursionError, MemoryError, msgspec.MsgspecError) as error:
        raise TypeError(f"the result cannot be kept: {error}") from error


def _may_hold_too_many(text: str) -> bool:
    """Whether there are more values than may be, where it is JSON; for other text the answer means nothing."""
    if len(text) <= MOST_VALUES or _values(text) <= MOST_VALUES:
        return False
    # Some of what was counted may be inside of texts.
    text = text.replace("\\\\", "").replace('\\"', "")
    if text.count('"') > 2 * MOST_VALUES:
        return True
    return _values("".join(text.split('"')[::2])) > MOST_VALUES


def _values(text: str) -> int:
    """Return how many values there are at most: one more for each list and mapping that begins, and each comma."""
    return 1 + text.count("[") + text.count("{") + text.count(",")
