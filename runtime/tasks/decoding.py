"""Decoding: turns plain data into what a program wants to have: its own classes."""

from __future__ import annotations

import os
import re
import typing
from pathlib import PurePath
from typing import Any, Final

import msgspec

__all__ = ["NotOfTypeError", "check_decodable", "decode_as", "has_pydantic", "name_of"]

_PLACE: Final = re.compile(r"(.*) - at `(?:key in )?\$(.*)`", re.DOTALL)
"""How `msgspec` ends a sentence about a value that is inside of another."""

_OF_PYDANTIC: Final = "__pydantic_validator__"
_MOST_MISTAKES: Final = 3


class NotOfTypeError(TypeError):
    """Data that is not of the type that is wanted; the message says where, and what is wrong."""


def decode_as(kind: Any, data: Any, what: str, root: str = "result") -> Any:
    """Return plain data as an object of a type.

    Args:
        kind: a dataclass, msgspec struct, TypedDict, enum or pydantic model, or an annotation of these and of built-in
            types, such as `list[Row]`.
        data: plain data.
        what: what the data is, as the beginning of a sentence.
        root: what its places are told to be in, such as `result['rows'][3]`.

    Raises:
        NotOfTypeError: it is not of that type.
        TypeError: nothing can be decoded as that type.
    """
    try:
        if has_pydantic(kind):
            return _by_pydantic(kind, data, root)
        return msgspec.convert(data, kind, dec_hook=_converted)
    except msgspec.ValidationError as error:
        wrong = _with_place(str(error), root)
    except _InvalidError as error:
        wrong = str(error)
    raise NotOfTypeError(f"{what} is not what {name_of(kind)} takes: {wrong}")


def check_decodable(kind: Any) -> None:
    """Refuse what is no type, and types that no data can be decoded as.

    Raises:
        TypeError: it is so.
    """
    if isinstance(kind, str):
        raise TypeError(f"type is the text {kind!r}; give the type itself, such as int or list[Row].")
    if has_pydantic(kind):
        return
    wrong = ""
    try:
        msgspec.convert(None, kind)
    except msgspec.ValidationError:
        wrong = _class_of_its_own(kind)  # else it is not None, and that is all that was found
    except (TypeError, NameError) as error:
        wrong = str(error).removesuffix(".")
    if not wrong:
        return
    raise TypeError(
        f"Nothing can be decoded as {name_of(kind)}: {wrong}. "
        "Use a dataclass, a pydantic model, a TypedDict, or built-in types."
    )


def _class_of_its_own(kind: Any) -> str:
    """Return why a type, or that of its elements, is one that no data becomes; empty if it is not."""
    from msgspec import inspect  # noqa: PLC0415 - for types that are no pydantic models

    known: Any = inspect.type_info(kind)
    while isinstance(inner := getattr(known, "item_type", getattr(known, "value_type", None)), inspect.Type):
        known = inner
    if not isinstance(known, inspect.CustomType) or issubclass(known.cls, PurePath):
        return ""
    return f"{name_of(known.cls)} is a class whose fields nobody knows"


class _InvalidError(ValueError):
    """What pydantic has found."""


def has_pydantic(kind: Any) -> bool:
    """Whether a type is one of pydantic's, or has one in its brackets."""
    return hasattr(kind, _OF_PYDANTIC) or any(map(has_pydantic, typing.get_args(kind)))


def _by_pydantic(kind: Any, data: Any, root: str) -> Any:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - for programs that have its models

    try:
        # As JSON: there, dates, enums and the like are text in strict types, too.
        return TypeAdapter(kind).validate_json(msgspec.json.encode(data))
    except ValidationError as error:
        mistakes = [f"{one['msg']} at {root}{_steps(one['loc'])}" for one in error.errors()[:_MOST_MISTAKES]]
        more = error.error_count() - len(mistakes)
        raise _InvalidError("; ".join([*mistakes, *([f"and {more} more"] if more else [])])) from None


def _steps(keys: tuple[int | str, ...]) -> str:
    return "".join(f"[{key!r}]" for key in keys)


def _with_place(sentence: str, root: str) -> str:
    """Return a sentence of `msgspec` with the place as one would write it in Python."""
    found = _PLACE.fullmatch(sentence)
    if found is None:
        return f"{sentence.removesuffix('.')} at {root}"
    text, way = found.groups()
    steps = re.sub(r"\.([^.\[`]+)", lambda step: f"[{step[1]!r}]", way)
    return f"{text.removesuffix('.')} at {root}{steps}"


def _converted(kind: Any, data: Any) -> Any:
    """Return data as an object of a class that `msgspec` does not know."""
    if hasattr(kind, _OF_PYDANTIC):
        return _by_pydantic(kind, data, "")
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(data, str):
        return kind(os.fspath(data))
    raise TypeError(f"plain data cannot become {name_of(kind)}, but a dataclass, a pydantic model or a TypedDict")


def name_of(kind: Any) -> str:
    """Return what to call a type."""
    return str(kind) if typing.get_args(kind) else getattr(kind, "__name__", None) or str(kind)
