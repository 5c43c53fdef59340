"""Schema values: JSON schemas of the values that `values` and its like read, one for each way of reading.

A key without a value counts as not given, so null is always allowed where a key is. Nothing here knows the keys. Beside
draft 7 it uses words of editors: `errorMessage`, `patternErrorMessage` and `doNotSuggest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from docstring_parser import parse

from .limits import UNITS
from .values import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BLANK",
    "BOOLEAN",
    "ENVIRONMENT",
    "MAPPING",
    "PATH",
    "PATHS",
    "TARGET",
    "TEXT",
    "TEXTS",
    "URL",
    "Schema",
    "given",
    "in_any_case",
    "listing",
    "neither",
    "number",
    "off",
    "one_of",
    "seconds",
    "section",
    "size",
    "told",
    "when",
    "whole",
]

Schema: TypeAlias = dict[str, Any]
"""A JSON schema, or a part of one."""

TEXT: Final[Schema] = {"type": "string", "pattern": r"\S"}
BLANK: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
MAPPING: Final[Schema] = {"type": "object"}
PATH: Final[Schema] = {**TEXT, "maxLength": 4000}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
PATHS: Final[Schema] = {"type": "array", "items": PATH}
TARGET: Final[Schema] = {"type": "string", "pattern": r"^(?!__main__:)[^\s:]+:[^\s:]+$"}
URL: Final[Schema] = {"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://(?![^/]*@)[^\s/]|\$\{"}
ENVIRONMENT: Final[Schema] = {
    "type": "object",
    "propertyNames": {"pattern": r"^[^=]*[^=\s][^=]*$"},
    "additionalProperties": {"type": ["string", "integer"]},
}

_IGNORED: Final[Schema] = {"description": "Accepted, and without effect.", "doNotSuggest": True}

_DURATION: Final = r"^\s*(\d+(\.\d+)?(ms|s|m|h))+\s*$"


def whole(least: int) -> Schema:
    """As `Value.whole`."""
    return {"type": "integer", "minimum": least}


def number(least: float = 0.0, most: float | None = None, *, above: bool = False) -> Schema:
    """As `Value.number`."""
    bounds = {"exclusiveMinimum" if above else "minimum": least, **({"maximum": most} if most is not None else {})}
    return {"type": "number", **bounds}


def seconds(*, above: bool = False) -> Schema:
    """As `Value.seconds`: a number, or text such as `1m30s`."""
    bounds = {**number(above=above), "type": ["number", "string"]}
    return {**bounds, "pattern": _DURATION, "patternErrorMessage": "Write seconds, or text with units such as 1m30s."}


def size(least: int) -> Schema:
    """Bytes: a whole number, or text with a unit such as `512MB`."""
    units = "|".join(map(in_any_case, UNITS))
    text = {
        "pattern": rf"^\s*\d+(\.\d+)?\s*({units})\s*$",
        "patternErrorMessage": "Write bytes, or text such as 512MB.",
    }
    return {"type": ["integer", "string"], "minimum": least, **text}


def in_any_case(word: str) -> str:
    """Return a pattern of a word in letters of any case; those of JSON schemas have no flag for it."""
    return "".join(f"[{letter.upper()}{letter.lower()}]" for letter in word)


def one_of(words: Iterable[str]) -> Schema:
    """One of these words."""
    return {"enum": [*words]}


def listing(items: Schema, *, least: int = 0) -> Schema:
    """A list of that."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


def section(keys: Keys, values: Mapping[str, Schema], *, required: Iterable[str] = (), **more: Any) -> Schema:
    """Return the schema of a mapping with these keys, as `Value.section` reads it.

    Args:
        keys: the table of the loader.
        values: the schema of each key that is supported.
        required: keys that must be there, with a value.
        more: of the mapping's schema.

    Raises:
        ValueError: table and values have not the same keys.
    """
    if keys.supported != values.keys():
        raise ValueError(f"The loader and the schema differ in these keys: {keys.supported ^ values.keys()}.")
    needed = [*required]
    properties = {key: value if key in needed else _or_nothing(value) for key, value in sorted(values.items())}
    refused = {key: off(f"Not supported: the file would lose {loss}.") for key, loss in keys.refused.items()}
    ignored = dict.fromkeys(keys.ignored, _IGNORED)
    properties = {**refused, **ignored, **properties}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**schema, "required": needed} if needed else schema


def told(values: dict[str, Schema], config: type[Any]) -> dict[str, Schema]:
    """Return the schemas with what the docstring of a class says of its attributes of the same name."""
    told = {item.arg_name: " ".join((item.description or "").split()) for item in parse(config.__doc__ or "").params}
    return {
        key: {**value, "description": _sentence(told[key])} if told.get(key) else value for key, value in values.items()
    }


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def off(description: str) -> Schema:
    """Return the schema of what may be there only to say that it is not wanted: then nothing is lost without it."""
    said = {"description": description, "errorMessage": description, "doNotSuggest": True}
    return {"enum": [None, False, "", [], {}], **said}


def given(*keys: str) -> Schema:
    """All of these keys are there, with values."""
    return {"required": [*keys], "properties": {key: {"not": {"type": "null"}} for key in keys}}


def neither(*keys: str) -> Schema:
    """None of these keys is there with a value."""
    return {"properties": {key: {"type": "null"} for key in keys}}


def when(condition: Schema, consequence: Schema) -> Schema:
    """Where that is so, this must be so."""
    return {"if": condition, "then": consequence}


def _or_nothing(schema: Schema) -> Schema:
    """Return a schema that allows a key without a value, too."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        types = schema["type"]
        return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}
    told = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [{key: value for key, value in schema.items() if key not in told}, {"type": "null"}], **told}
