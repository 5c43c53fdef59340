"""Output schemas: what the answer of a task must look like, as JSON schema, and what an answer has that is wrong.

A schema travels as JSON text. Whoever starts a task has it made and looked over here; the task's own process checks the
answer. A pattern of a schema may take for ever, and there it holds up nobody else. `jsonschema` is imported only where
there is a schema: by hand it takes 0.1 s.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ..errors import OutputSchemaError
from ..text import one_line
from .group_request import LONGEST_SCHEMA
from .result import is_too_deep

__all__ = ["OutputSchema", "encode_schema"]

_MOST_MISTAKES: Final = 5
"""Mistakes of an answer that are told at a time."""

_LONGEST_MISTAKE: Final = 300
_LONGEST_VALUE: Final = 100
"""Characters of one of them, and of the value that the sentences of `jsonschema` have in them."""

_FENCED: Final = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
"""A block of Markdown, as most models put around JSON whatever they are told."""

_LATEST: Final = "https://json-schema.org/draft/2020-12/schema"


def encode_schema(given: object) -> str:
    """Return a schema as JSON text.

    Args:
        given: a JSON schema, or a type: a dataclass, msgspec struct, TypedDict, enum or pydantic model, or an
            annotation of these and of built-in types.

    Raises:
        OutputSchemaError: it is no valid schema, or too long, or refers to what it does not hold.
        TypeError: it is neither a schema nor a type that has one.
    """
    if isinstance(given, Mapping):
        text = _encoded(given)
        _check_schema(msgspec.json.decode(text))
    else:
        from .type_schemas import schema_of  # noqa: PLC0415 - for programs that give types

        text = _encoded(schema_of(given))
    if len(text) > LONGEST_SCHEMA:
        raise OutputSchemaError(f"The output schema has {len(text):,} characters; {LONGEST_SCHEMA:,} may be.")
    return text


def _encoded(schema: Mapping[Any, Any]) -> str:
    from .plain_data import NotPlainError, encode_data  # noqa: PLC0415 - as above

    try:
        return encode_data(schema).decode()
    except NotPlainError as error:
        raise TypeError(f"The output schema is not plain data: {error}") from None


class OutputSchema:
    """A schema at work, in the task's process.

    Args:
        text: as `encode_schema` has made it, or as another process says that it has.

    Raises:
        OutputSchemaError: it cannot be used.
    """

    def __init__(self, text: str) -> None:
        try:
            schema = msgspec.json.decode(text)
        except (ValueError, RecursionError) as error:
            raise OutputSchemaError(f"The output schema is not JSON: {error}.") from None
        self._validator = _check_schema(schema)

    def read(self, answer: str) -> Any:
        """Return the value that a model's answer is: JSON, by itself or in a block of Markdown; or text.

        Raises:
            OutputSchemaError: there is none, or it does not fit; the message says where.
        """
        faults = []
        for value in _values(answer):
            fault = self.fault(value)
            if not fault:
                return value
            faults.append(fault)
        # A text that is no JSON is wanted by few schemas; what is wrong with the JSON is the news.
        raise OutputSchemaError(faults[0] if len(faults) > 1 else f"It is not JSON. {_how_not(answer)}")

    def fault(self, value: Any) -> str:
        """Return what is wrong with a value, and where; empty if it fits."""
        try:
            mistakes = list(itertools.islice(self._validator.iter_errors(value), _MOST_MISTAKES + 1))
        except RecursionError:
            return "the schema leads into itself without end."
        except Exception as error:  # noqa: BLE001 - numbers beyond what floats hold, say
            return f"the value cannot be checked: {one_line(str(error), _LONGEST_MISTAKE)}."
        told = "; ".join(map(_described, mistakes[:_MOST_MISTAKES]))
        more = "; and more" if len(mistakes) > _MOST_MISTAKES else ""
        return f"{told}{more}." if told else ""


def _texts(answer: str) -> list[str]:
    """Return what may be the JSON in an answer, the likeliest first."""
    return [answer, *_FENCED.findall(answer)[-1:]]


def _values(answer: str) -> Iterator[Any]:
    """Yield what an answer may mean, the likeliest first; last its own text."""
    for text in _texts(answer):
        with contextlib.suppress(ValueError):
            yield _decoded(text)
    yield answer.strip()


def _how_not(answer: str) -> str:
    try:
        _decoded(_texts(answer)[-1])
    except ValueError as error:
        return f"{one_line(str(error), _LONGEST_MISTAKE)}."
    raise AssertionError(answer)  # then it would have been a value


def _decoded(text: str) -> Any:
    if is_too_deep(text.encode(errors="replace")):
        raise ValueError("It is nested too deeply")
    return msgspec.json.decode(text.strip())


def _described(mistake: Any) -> str:
    """Return one mistake, with its place."""
    mistake = _meant(mistake)
    return f"{mistake.json_path}: {_sentence(mistake)}"


def _meant(mistake: Any) -> Any:
    """Return the mistake in the alternative that was meant, where a value fits none of several."""
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - see above

    if not mistake.context:
        return mistake
    alternatives: dict[Any, list[Any]] = {}
    for inner in mistake.context:
        alternatives.setdefault(inner.schema_path[0], []).append(inner)
    # What is of another kind, by its type or by the name of its kind, was not meant.
    meant = [inners for inners in alternatives.values() if not any(map(_is_of_another_kind, inners))]
    return _meant(meant[0][0]) if len(meant) == 1 else best_match([mistake])


def _is_of_another_kind(mistake: Any) -> bool:
    return mistake.validator in {"const", "enum"} or (mistake.validator == "type" and not mistake.relative_path)


def _sentence(mistake: Any) -> str:
    """Return what is wrong, with the value cut that the sentence has in it."""
    value = repr(mistake.instance)
    message: str = mistake.message
    if len(value) > _LONGEST_VALUE:
        message = message.replace(value, one_line(value, _LONGEST_VALUE))
    return one_line(message, _LONGEST_MISTAKE)


def _check_schema(schema: Any) -> Any:
    """Return what checks values against a schema.

    Raises:
        OutputSchemaError: it is no valid schema, or refers to what it does not hold.
    """
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - see above
    from jsonschema.validators import validator_for  # noqa: PLC0415 - see above
    from referencing import Registry  # noqa: PLC0415 - see above
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - see above

    if not isinstance(schema, Mapping):
        raise OutputSchemaError(f"The output schema is {type(schema).__name__}; a JSON schema is an object.")
    dialect = schema.get("$schema", _LATEST)
    kind = validator_for(schema, default=None) if isinstance(dialect, str) else None
    if kind is None:
        kind = validator_for({"$schema": _LATEST})
    try:
        kind.check_schema(schema)
        _check_references(schema, kind.META_SCHEMA["$schema"])
    except SchemaError as error:
        raise OutputSchemaError(f"The output schema is not valid: {error.json_path}: {_sentence(error)}.") from None
    except Unresolvable as error:
        raise OutputSchemaError(
            f"The output schema refers to {one_line(str(error.ref), _LONGEST_MISTAKE)!r}, which is not in it. "
            "Put what it refers to under its `$defs`."
        ) from None
    except RecursionError:
        raise OutputSchemaError("The output schema is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001 - a pattern with a number that no pattern may have, say
        reason = one_line(str(error), _LONGEST_MISTAKE)
        raise OutputSchemaError(f"The output schema cannot be used: {reason}.") from None
    # With a registry of its own: the default one fetches what a schema refers to from the network.
    return kind(schema, registry=Registry())


def _check_references(schema: Mapping[str, Any], dialect: str) -> None:
    """Raise Unresolvable if the schema refers to what it does not hold."""
    from referencing import Registry  # noqa: PLC0415 - see above
    from referencing.jsonschema import specification_with  # noqa: PLC0415 - see above

    root = specification_with(dialect).create_resource(schema)
    registry: Registry[Any] = Registry().with_resource("", root)
    waiting = [(root, registry.resolver_with_root(root))]
    while waiting:
        part, resolver = waiting.pop()
        if isinstance(part.contents, Mapping):
            for name in ("$ref", "$dynamicRef"):
                reference = part.contents.get(name)
                if isinstance(reference, str):
                    resolver.lookup(reference)
        waiting += [(inner, resolver.in_subresource(inner)) for inner in part.subresources()]
