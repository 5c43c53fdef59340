"""Results: a task's answer on its way and where it is kept, as JSON text, decoded only by its reader.

A few megabytes of JSON can become a few hundred as objects, and the host neither makes nor keeps those. A result beyond
a number of values is refused, because no other thread runs while they are made.
"""

from __future__ import annotations

import os
from itertools import accumulate
from typing import Any, Final

import msgspec

from ...actors import MOST_VALUES
from ...actors.regular_files import open_to_read
from ..errors import StateError

__all__ = [
    "MOST_LEVELS",
    "MOST_VALUES_IN_FILE",
    "check_result",
    "decode_result",
    "decode_result_file",
    "holds_more",
    "is_too_deep",
    "read_result_file",
]

MOST_VALUES_IN_FILE: Final = 10_000_000
"""Values that an answer in a file may hold. Only who wants it reads it, in some seconds and about a gigabyte. One that
is sent may hold `MOST_VALUES`, as the answer to any ask."""

MOST_LEVELS: Final = 500
"""Lists and mappings that may be inside of each other. Python 3.11 reads some 900, with nothing else on its stack, and
later versions some thousand: an answer that one takes must be one for whoever reads it, too."""

_FLAT: Final = 4
"""Levels that are taken away one by one: there are no more in what is large because of its rows."""

_NO_BRACKET: Final = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_AS_LISTS: Final = bytes.maketrans(b"{}", b"[]")
_RUN: Final = 8
"""Brackets of one kind behind each other that are counted as one: there are as many in what is large for its levels."""

_STEPS: Final = {ord("["): 1, ord("]"): -1, ord("+"): _RUN, ord("-"): -_RUN}


def decode_result(text: str) -> Any:
    """Return an answer as an object, made anew at each call; the text must have been checked."""
    return msgspec.json.decode(text)


def check_result(text: str) -> None:
    """Refuse what is not an answer; takes a tenth of a second at most; other threads wait for a part of it.

    Raises:
        TypeError: it is not JSON, holds more than `MOST_VALUES` values, or is nested too deeply.
    """
    try:
        _decode_within(MOST_VALUES, text)
    except (ValueError, RecursionError, MemoryError, msgspec.MsgspecError) as error:
        raise TypeError(f"the result cannot be kept: {error}") from error


def read_result_file(path: str) -> str:
    """Return what is in the file of an answer that was too large to be sent, as JSON text.

    Raises:
        StateError: the file is gone or damaged.
    """
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            text = file.read().decode()
    except (OSError, ValueError, MemoryError) as error:  # it may seem to be of any size
        raise _unreadable(path, error) from error
    return text


def decode_result_file(path: str) -> Any:
    """Return an answer that is in a file as an object, made anew at each call; raises as `read_result_file` does."""
    text = read_result_file(path)
    try:
        return _decode_within(MOST_VALUES_IN_FILE, text)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise _unreadable(path, error) from error


def _decode_within(most_values: int, text: str) -> Any:
    if holds_more(text, most_values):
        raise ValueError(f"it holds more than {most_values:,} values")
    if is_too_deep(text.encode()):
        raise ValueError(f"it is nested in more than {MOST_LEVELS} levels")
    return decode_result(text)


def _unreadable(path: str, error: Exception) -> StateError:
    return StateError(f"The result in {path} cannot be read: {str(error) or type(error).__name__}.")


def holds_more(text: str, most: int) -> bool:
    """Whether JSON text has more values than that; for other text the answer means nothing."""
    if text.startswith('"') or len(text) <= most or _values(text) <= most:
        return False
    # Some of what was counted may be inside of texts.
    text = text.replace("\\\\", "").replace('\\"', "")
    if text.count('"') > 2 * most:
        return True
    return _values("".join(text.split('"')[::2])) > most


def is_too_deep(data: bytes) -> bool:
    """Whether there are more levels than `MOST_LEVELS`, where it is JSON; for other text the answer means nothing."""
    if data.startswith(b'"') or data.count(b"[") + data.count(b"{") <= MOST_LEVELS:
        return False
    # Nothing but brackets, all of one kind, and what is left of texts with brackets in them.
    data = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(_AS_LISTS, _NO_BRACKET).replace(b'""', b"")
    data = b"".join(data.split(b'"')[::2])
    for _ in range(_FLAT):
        data = data.replace(b"[]", b"")
    data = data.replace(b"[" * _RUN, b"+").replace(b"]" * _RUN, b"-")
    return max(accumulate(map(_STEPS.__getitem__, data)), default=0) > MOST_LEVELS - _FLAT


def _values(text: str) -> int:
    """Return how many values there are at most: one more for each list and mapping that begins, and each comma."""
    return 1 + text.count("[") + text.count("{") + text.count(",")
