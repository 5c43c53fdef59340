"""Type schemas: a program's own types as JSON schemas, made by what decodes them (`decoding`)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec

from .decoding import check_decodable, has_pydantic, name_of

__all__ = ["schema_of"]


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of what can be decoded as a type.

    Raises:
        TypeError: it is no type, or one that has none.
    """
    if isinstance(kind, str | bytes | int | float | list | tuple):
        raise TypeError(f"An output schema is a JSON schema as a mapping, or a type, and not {type(kind).__name__}.")
    check_decodable(kind)
    try:
        if has_pydantic(kind):
            from pydantic import TypeAdapter  # noqa: PLC0415 - for programs that have its models

            return TypeAdapter(kind).json_schema()
        return msgspec.json.schema(kind, schema_hook=_schema_of_other)
    except (TypeError, ValueError, RuntimeError) as error:  # pydantic's own are of the last
        raise TypeError(f"{name_of(kind)} has no JSON schema: {str(error).partition(chr(10))[0]}") from error


def _schema_of_other(kind: type) -> dict[str, Any]:
    """Return the schema of a class that `msgspec` does not know, and `decoding` does."""
    if issubclass(kind, PurePath):
        return {"type": "string"}
    if has_pydantic(kind):
        schema = schema_of(kind)
        if "$defs" not in schema:  # else it refers to these by where they are, and they would be elsewhere
            return schema
    raise TypeError(f"{name_of(kind)} is inside of it. Use one library's classes for all of it.")
