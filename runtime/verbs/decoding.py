"""Decoding: turns plain data into what a program wants to have: its own classes."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["NotOfTypeError", "decode_as"]


class NotOfTypeError(TypeError):
    """Data that is not of the type that is wanted; the message says where, and what is wrong."""


def decode_as(kind: Any, data: Any, what: str) -> Any:
    """Return plain data as an object of a type.

    Args:
        kind: a dataclass, msgspec struct, TypedDict, enum or pydantic model, or an annotation of these and of built-in
            types, such as `list[Row]`.
        data: plain data.
        what: what the data is, as the beginning of a sentence.

    Raises:
        NotOfTypeError: it is not of that type.
        TypeError: nothing can be decoded as that type.
    """
    try:
        return msgspec.convert(data, kind, dec_hook=_validated)
    except msgspec.ValidationError as error:
        raise NotOfTypeError(f"{what} is not what {_name(kind)} takes: {error}") from None


def _validated(kind: Any, data: Any) -> Any:
    """Return data as an object of a class that `msgspec` does not know: one of pydantic's."""
    if hasattr(kind, "model_validate"):
        return kind.model_validate(data)
    raise TypeError(f"Plain data cannot become {_name(kind)}: use a dataclass, a pydantic model or a TypedDict.")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)
