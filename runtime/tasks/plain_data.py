"""Plain data: makes JSON text of what an entrypoint returns, and of what a program gives a task to work on.

`msgspec` takes most of it as it is: mappings, sequences, sets, dataclasses, attrs classes, its own structs, enums,
dates, decimals, UUIDs and bytes (as Base64). What it does not know is converted here, by what the object can do. No
package that such objects come from is imported.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections import UserString
from collections.abc import Callable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from ..text import encodable, joined, one_line
from .result import is_too_deep

__all__ = ["NotPlainError", "encode_answer", "encode_data", "encode_result"]

_REFUSED: Final = "\0refused\0"
"""Stands for a value that is not plain data until it is known where it is."""

_MOST_BITS: Final = 14_000
"""Of a whole number: what has more may have more than 4,300 digits, which no reader takes in Python's own setting."""

_MOST_PLACES: Final = 3
"""Places in a result that an error names."""

_SUSPECT: Final = (b"null", b'"nan":', b'"inf":', b'"-inf":')
"""What may stand for a number that JSON does not have."""

_ENCODING_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)

Way: TypeAlias = tuple[Any, ...]
"""Where a value is: empty, or the last key or number on the way to it and the way to that."""


class NotPlainError(TypeError):
    """A result holds what JSON cannot hold; the message says what, where, and what would do instead."""


class _Words(NamedTuple):
    """What it is called that is made plain, and what whoever has it does with it.

    Attributes:
        replaces: whether text that is not Unicode is shown as well as can be; else it is refused.
    """

    root: str
    verb: str
    replaces: bool = False


_RESULT: Final = _Words("result", "Return")
_DATA: Final = _Words("data", "Give")
_ANSWER: Final = _Words("result", "Return", replaces=True)


def encode_result(result: Any) -> bytes:
    """Return a result as JSON text.

    Raises:
        NotPlainError: JSON cannot hold it.
    """
    return _checked(result, _RESULT)


def encode_answer(answer: Any) -> bytes:
    """Return what a tool returns to a model as JSON text, with `\ufffd` for what is not Unicode; raises as above."""
    return _checked(answer, _ANSWER)


def encode_data(data: Any) -> bytes:
    """Return what a task is given to work on as JSON text; raises as `encode_result` does."""
    return _checked(data, _DATA)


def _checked(value: Any, words: _Words) -> bytes:
    if type(value) is str:
        return msgspec.json.encode(_Check(words).plain(value) if joined(value) != value else value)
    data = _encoded(value, words)
    if is_too_deep(data):
        raise NotPlainError(f"{_TOO_DEEP} {words.verb} {_FLATTER}")
    return data


def _encoded(result: Any, words: _Words) -> bytes:
    try:
        data = msgspec.json.encode(result, enc_hook=_converted)
    except _ENCODING_ERRORS:
        pass  # what is wrong, and where, is found below
    else:
        # Numbers that JSON does not have become null, or text as a key, without a word.
        if not any(sign in data for sign in _SUSPECT) or _has_only_numbers_of_json(result):
            if b'":' in data and (key := _key_twice(data)) is not None:
                _Check(words).plain(result)  # says where, but for keys such as dates
                raise NotPlainError(_same_text(f"a mapping in the {words.root}", key, words))
            return data
    return msgspec.json.encode(_Check(words).plain(result))


def _key_twice(data: bytes) -> str | None:
    """Return a key that a mapping of JSON text has twice; None if there is none. A reader would see the last only."""
    try:
        if len(msgspec.json.encode(msgspec.json.decode(data))) == len(data):
            return None
        twice: list[str] = []

        def noted(pairs: list[tuple[str, Any]]) -> None:
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    twice.append(key)
                seen.add(key)

        json.loads(data, object_pairs_hook=noted)
    except _ENCODING_ERRORS:  # nested too deeply, which is told by others
        return None
    return twice[0] if twice else None


def _same_text(place: str, key: str, words: _Words) -> str:
    return (
        f"{place} has two keys that both become {one_line(repr(key), 60)}, as JSON has text only. "
        f"{words.verb} keys that differ as text."
    )


def _has_only_numbers_of_json(result: Any) -> bool:
    """Whether what became null is nothing but None: in a third of the time that it takes to say where it is not."""
    try:
        json.dumps(msgspec.to_builtins(result, enc_hook=_converted), allow_nan=False)
    except _ENCODING_ERRORS:
        return False
    return True


class _Check:
    """Makes plain data of one value, and knows where it found something that is not plain."""

    def __init__(self, words: _Words) -> None:
        self._words = words
        self._root, self._verb, self._replaces = words
        self._refused: list[str] = []
        self._numbers: list[str] = []

    def plain(self, result: Any) -> Any:
        """Return it; raises NotPlainError."""
        try:
            plain = self._walk(msgspec.to_builtins(result, enc_hook=self._convert), ())
        except RecursionError:
            raise NotPlainError(f"{_TOO_DEEP} {self._verb} {_FLATTER}") from None
        if self._numbers:
            raise NotPlainError(
                f"{_enumerated(self._numbers)}. JSON has no such numbers: {self._verb.lower()} None, or text, in their "
                "place."
            )
        return plain

    def _convert(self, value: Any) -> Any:
        try:
            return _converted(value)
        except RecursionError:
            raise
        except NotPlainError as error:
            self._refused.append(str(error))
        except Exception as error:  # noqa: BLE001 - of a method of the object; it is told with its place
            self._refused.append(f"could not be converted ({one_line(f'{type(error).__name__}: {error}', 300)})")
        return _REFUSED

    def _walk(self, value: Any, way: Way) -> Any:
        match value:
            case dict():
                # No comprehensions here: they would halve the levels that there may be.
                mapping = {}
                for key, inner in value.items():
                    text = self._key(key, way)
                    if text in mapping:
                        raise NotPlainError(_same_text(self._place(way), text, self._words))
                    mapping[text] = self._walk(inner, (key, way))
                return mapping
            case list() | tuple():
                sequence = []
                for number, inner in enumerate(value):
                    sequence.append(self._walk(inner, (number, way)))
                return sequence
            case str():
                if value == _REFUSED and self._refused:
                    raise NotPlainError(f"{self._place(way)} {self._refused[0]}. {self._verb} {_REMEDY}")
                return self._text(value, way)
            case int() if value.bit_length() > _MOST_BITS:
                raise NotPlainError(f"{self._place(way)} {_TOO_LONG} {self._verb} it as text, such as hex(…).")
            case float() if not math.isfinite(value):
                self._numbers.append(f"{_number(value)} at {self._place(way)}")
                return None
            case _:
                return value

    def _key(self, key: Any, way: Way) -> str:
        """Return a key as text, as Python's own `json` does."""
        match key:
            case str() if key == _REFUSED and self._refused:
                raise NotPlainError(f"a key of {self._place(way)} {self._refused[0]}. {self._verb} {_KEYS}")
            case str():
                return self._text(key, way, "a key of ")
            case float() if not math.isfinite(key):
                self._numbers.append(f"{_number(key)} as a key of {self._place(way)}")
                return ""
            case int() if key.bit_length() > _MOST_BITS:
                raise NotPlainError(f"a key of {self._place(way)} {_TOO_LONG} {self._verb} it as text, such as hex(…).")
            case None | bool() | int() | float():
                return json.dumps(key)
            case _:
                raise NotPlainError(
                    f"a key of {self._place(way)} is of type {type(key).__name__}. {self._verb} {_KEYS}"
                )

    def _text(self, text: str, way: Way, what: str = "") -> str:
        found = joined(text)
        if found is not None:
            return found
        if self._replaces:
            return encodable(text)
        raise NotPlainError(f"{what}{self._place(way)} {_NOT_UNICODE} {self._verb} it as bytes, by os.fsencode(…).")

    def _place(self, way: Way) -> str:
        """Return where a value is, as one would write it: `result['rows'][3]`."""
        steps: list[str] = []
        while way:
            key, way = way
            steps.append(f"[{one_line(repr(key), 60)}]")
        return self._root + "".join(reversed(steps))


_TOO_DEEP: Final = "it is nested too deeply, or holds itself."
_FLATTER: Final = "text, or data of fewer levels, such as rows."
_REMEDY: Final = (
    "text, or None, truths, numbers, lists and mappings of these, or what becomes that: dataclasses, pydantic "
    "and attrs objects, enums, dates, paths, sets, NumPy values."
)
_NOT_UNICODE: Final = (
    "is text with half of a surrogate pair, as a file name has that is not UTF-8, which JSON cannot hold."
)
_TOO_LONG: Final = "is a number of thousands of digits, which Python does not read."
_KEYS: Final = "text as keys, or numbers, dates, enums or paths, which become text."


_CONVERSIONS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (os.PathLike, os.fsdecode),
    # Subclasses of what is plain: msgspec takes no such values.
    (str, str.__str__),
    (UserString, str),
    (int, int),
    (float, float),
    ((dt.date, dt.time), lambda moment: moment.isoformat()),
    (Mapping, dict),
    # And not all that has elements: those of a table would be the names of its columns.
    ((AbstractSet, Sequence, ValuesView), list),
)


def _converted(value: Any) -> Any:
    """Return what stands for a value that `msgspec` does not know; raises NotPlainError if there is nothing."""
    kind = type(value)
    # Asked of the type: an instance, such as a mock, may have any attribute.
    if hasattr(kind, "model_dump"):
        return _dumped(value)
    if hasattr(kind, "__fields__") and hasattr(kind, "dict"):  # pydantic 1
        return value.dict()
    if hasattr(kind, "tolist") and hasattr(kind, "dtype"):  # NumPy, and those that are like it
        return value.tolist()
    if value is None or kind is bool:
        raise NotPlainError("is a key that msgspec does not take")  # `_Check` does
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    raise NotPlainError(f"is of type {kind.__name__}")


def _dumped(model: Any) -> Any:
    try:
        return model.model_dump(mode="json")
    except ValueError:
        return model.model_dump()  # a field of a type that the model cannot dump may be one that we can


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinity" if value > 0 else "minus infinity"


def _enumerated(places: list[str]) -> str:
    shown = places[:_MOST_PLACES]
    more = len(places) - len(shown)
    return f"it holds {', '.join(shown)}{f' and {more:,} more' if more else ''}"
