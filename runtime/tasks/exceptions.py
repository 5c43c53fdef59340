"""Exceptions: sends one of Python's own types from a task's process to the program, as plain data, and makes it anew.

What a task sends is not trusted: it can name a type of Python's own, and give that plain data, and nothing else.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, Final, TypeAlias

import msgspec

from .messages import LONGEST_ARGUMENTS

__all__ = ["error_of", "pack_arguments"]


class _Bytes(msgspec.Struct, frozen=True):
    """Bytes, which JSON does not have."""

    data: bytes


_Plain: TypeAlias = bool | int | float | str | _Bytes | None
_Arguments: TypeAlias = tuple[_Plain | tuple[_Plain, ...], ...]

_decoder: Final = msgspec.json.Decoder(_Arguments)


def pack_arguments(error: BaseException) -> str:
    """Return the arguments of an exception as JSON text; empty if its type is not Python's own, or they are not plain.

    Plain are None, truths, numbers, text and bytes, and tuples of these. Runs in the task's process.
    """
    kind = type(error)
    if getattr(builtins, kind.__name__, None) is not kind:
        return ""
    try:
        # Not `args`: those of an OSError lack the names of the files.
        text = msgspec.json.encode(_plain(error.__reduce__()[1])).decode()
    except (TypeError, ValueError, OverflowError):
        return ""
    return text if len(text) <= LONGEST_ARGUMENTS else ""


def error_of(name: str, arguments: str) -> Exception | None:
    """Return an exception made of what a task has sent; None if it has not sent what makes one.

    Args:
        name: of its type.
        arguments: as `pack_arguments` has made them.
    """
    kind = getattr(builtins, name, None)
    if not arguments or not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        given = [_value(value) for value in _decoder.decode(arguments)]
        if issubclass(kind, UnicodeError) and not _is_within(given):
            return None
        error: Exception = kind(*given)
    except (TypeError, ValueError, OverflowError):  # not what the constructor takes
        return None
    return error


def _plain(value: Any, *, depth: int = 0) -> Any:
    kind = type(value)
    if kind is tuple and depth <= 1:
        return [_plain(inner, depth=depth + 1) for inner in value]
    if kind is bytes:
        return _Bytes(value)
    if kind is float and not math.isfinite(value):
        raise ValueError(value)  # JSON has no such numbers
    if value is None or kind in {bool, int, float, str}:
        return value
    raise TypeError(kind)


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_value(inner) for inner in value)
    return value.data if isinstance(value, _Bytes) else value


def _is_within(given: list[Any]) -> bool:
    """Whether the place that a UnicodeError tells is in its text. Python does not look before it reads there."""
    match given:
        case [*_, str() | bytes() as text, int() as start, int() as end, str()]:
            return 0 <= start <= end <= len(text)
        case _:
            return len(given) <= 1
