"""Parameters: the schema of a tool's parameters, and a model's arguments as these.

Whatever is wrong with arguments is a ValueError that says how to do better: a model reads it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["fields_of", "given_arguments", "parse_arguments", "schema_of"]


@functools.cache
def schema_of(parameters: type[msgspec.Struct]) -> Mapping[str, Any]:
    """Return the JSON schema of a tool's parameters, as an object without references out of it."""
    _, components = msgspec.json.schema_components([parameters], ref_template="#/$defs/{name}")
    body = dict(components[parameters.__name__])
    nested = {name: schema for name, schema in components.items() if name != parameters.__name__}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": body["properties"],
        "required": body["required"],
        "additionalProperties": False,
    }
    if nested:
        schema["$defs"] = nested
    return schema


@functools.cache
def fields_of(parameters: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the parameters one by one; looked up once for each tool."""
    return msgspec.structs.fields(parameters)


def given_arguments(parameters: msgspec.Struct | dict[str, Any]) -> dict[str, Any]:
    """Return a call's arguments as its handler gets them, by name; those left at their defaults are left out."""
    if isinstance(parameters, dict):
        return parameters
    values = [(field, getattr(parameters, field.name)) for field in fields_of(type(parameters))]
    return {
        field.encode_name: msgspec.to_builtins(value)
        for field, value in values
        if field.required or value != field.default
    }


def parse_arguments(
    schema: type[msgspec.Struct] | Mapping[str, Any], arguments: str
) -> msgspec.Struct | dict[str, Any]:
    """Turn the model's argument text into the tool's parameters; raises ValueError with the remedy in it."""
    if isinstance(schema, Mapping):
        required = schema.get("required", ())
        fields = {name: name in required for name in schema.get("properties", {})}
    else:
        fields = {field.encode_name: field.required for field in fields_of(schema)}
    signature = ", ".join(f"{name}{'*' if required else ''}" for name, required in fields.items()) or "none"
    try:
        # An empty string is how several models write "no arguments".
        values = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError, AttributeError) as error:
        # AttributeError: a program gave something that is not text.
        raise ValueError(
            f"not valid JSON ({error}). Send one JSON object; parameters (* required): {signature}."
        ) from None
    if not isinstance(values, dict):
        raise ValueError(  # noqa: TRY004 - one error type for all that is wrong with arguments
            f"a JSON object is needed, not {type(values).__name__}. Parameters (* required): {signature}."
        )
    if isinstance(schema, Mapping):
        return values
    # Models send null for "not given".
    values = {name: value for name, value in values.items() if value is not None or name not in fields}
    try:
        return msgspec.convert(values, schema)
    except msgspec.ValidationError as error:
        reason = re.sub(r"^Object (missing required|contains unknown) field", r"\1 parameter", str(error))
        raise ValueError(f"{reason}{_choices(schema, reason)}. Parameters (* required): {signature}.") from None


def _choices(schema: type[msgspec.Struct], reason: str) -> str:
    """Return what a parameter may be, behind a reason that says that it is none of some words."""
    found = re.match(r"Invalid enum value .* - at `\$\.(\w+)`$", reason, re.DOTALL)
    if found is None:
        return ""
    declared = schema_of(schema)["properties"][found[1]]
    words = [word for each in (declared, *declared.get("anyOf", ())) for word in each.get("enum", ())]
    return f" (it may be {', '.join(map(str, words))})" if words else ""
