"""Output schemas by themselves: what is one, what an answer is read as, and what is said of one that does not fit."""

from __future__ import annotations

import dataclasses
import enum
import socket
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from subactors.runtime.errors import OutputSchemaError
from subactors.runtime.tasks.output_schema import OutputSchema, encode_schema

PRICES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]},
        }
    },
    "required": ["rows"],
    "additionalProperties": False,
}


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclasses.dataclass
class Row:
    name: str
    level: Level
    at: Path | None = None


class Struct(msgspec.Struct):
    rows: list[Row]


class Typed(TypedDict):
    key: Literal["a", "b"]
    note: NotRequired[str]


class Inner(pydantic.BaseModel):
    count: int = pydantic.Field(ge=0)


class Model(pydantic.BaseModel):
    inner: Inner
    tags: list[str] = []


@dataclasses.dataclass
class Mixed:
    inner: Inner


@dataclasses.dataclass
class TooMixed:
    model: Model


def _schema(given: object) -> OutputSchema:
    return OutputSchema(encode_schema(given))


# --- what an answer is read as --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        '{"rows": [{"price": 1.5}]}',
        '  \n{"rows": [{"price": 1.5}]}\n',
        '```json\n{"rows": [{"price": 1.5}]}\n```',
        '```\n{"rows":\n [{"price": 1.5}]}\n```  ',
        'Here you are:\n\n```json\n{"rows": [{"price": 1.5}]}\n```\n\nAnything else?',
        'First I had\n```json\n{"rows": 1}\n```\nbut it is\n```json\n{"rows": [{"price": 1.5}]}\n```',
    ],
)
def test_an_answer_is_json_by_itself_or_in_the_last_block_of_markdown(answer: str) -> None:
    assert _schema(PRICES).read(answer) == {"rows": [{"price": 1.5}]}


@pytest.mark.parametrize(
    ("schema", "answer", "value"),
    [
        ({"enum": ["yes", "no"]}, "yes\n", "yes"),
        ({"enum": ["yes", "no"]}, '"yes"', "yes"),
        ({"type": "string"}, "42", "42"),
        ({"type": "string"}, "Some words.\n```\ncode()\n```", "Some words.\n```\ncode()\n```"),
        ({"type": ["integer", "null"]}, "null", None),
        ({"type": "integer"}, "42", 42),
        ({}, "Some words.", "Some words."),
    ],
)
def test_an_answer_that_is_to_be_text_need_not_be_quoted(schema: dict[str, Any], answer: str, value: Any) -> None:
    assert _schema(schema).read(answer) == value


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I could not find any.", r"It is not JSON\. JSON is malformed"),
        ("", r"It is not JSON\. Input data was truncated"),
        ('{"rows": [', r"It is not JSON\. Input data was truncated"),
        ('{"rows": [{"price": NaN}]}', "It is not JSON"),
        ('{"rows": ' + "[" * 100_000, "It is not JSON"),
        ('{"rows": ' + "[" * 2000 + "]" * 2000 + "}", "It is not JSON. It is nested too deeply"),
        ('{"rows": [{"price": 1}, {"price": "2"}]}', r"\$\.rows\[1\]\.price: '2' is not of type 'number'"),
        ('{"rows": [{}]}', r"\$\.rows\[0\]: 'price' is a required property"),
        ('{"rows": [], "more": 1}', r"\$: Additional properties are not allowed \('more' was unexpected\)"),
        ("[]", r"\$: \[\] is not of type 'object'"),
        ('{"rows": "\ud800"}', "It is not JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_with_its_place(answer: str, said: str) -> None:
    with pytest.raises(OutputSchemaError, match=said):
        _schema(PRICES).read(answer)


def test_of_many_mistakes_the_first_are_said_and_that_there_are_more() -> None:
    fault = _schema(PRICES).fault({"rows": [{"price": "x" * 10_000}] * 1000})

    assert fault.count("is not of type 'number'") == 5
    assert fault.endswith("; and more.")
    assert len(fault) < 2000


def test_of_alternatives_the_mistake_in_the_one_that_was_meant_is_said() -> None:
    shapes = [
        {"type": "object", "properties": {"kind": {"const": kind}, "size": {"type": "integer"}}, "required": ["size"]}
        for kind in ("square", "circle")
    ]

    fault = _schema({"anyOf": [*shapes, {"type": "null"}]}).fault({"kind": "circle", "size": "large"})

    assert fault == "$.size: 'large' is not of type 'integer'."


# --- what is a schema -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Row, {"name": "a", "level": "low", "at": "a/b"}, {"name": "a", "level": "middle"}),
        (Struct, {"rows": [{"name": "a", "level": "high"}]}, {"rows": [{"name": "a"}]}),
        (list[Row], [{"name": "a", "level": "high"}], {}),
        (Typed, {"key": "a"}, {"key": "c"}),
        (Model, {"inner": {"count": 1}}, {"inner": {"count": -1}}),
        (list[Model], [{"inner": {"count": 1}}], [{"inner": {}}]),
        (Mixed, {"inner": {"count": 1}}, {"inner": {"count": -1}}),
        (Level, "low", "LOW"),
        (dict[str, int], {"a": 1}, {"a": "1"}),
        (Literal["yes", "no"], "yes", "maybe"),
        (int | None, None, "1"),
        (bool, True, 1),
    ],
)
def test_a_type_has_a_schema(kind: object, good: object, bad: object) -> None:
    schema = _schema(kind)

    assert schema.fault(good) == ""
    assert schema.fault(bad)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Row", "a JSON schema as a mapping, or a type, and not str"),
        (5, "and not int"),
        ([Row], "and not list"),
        (socket.socket, "has no JSON schema|Nothing can be decoded"),
        (TooMixed, "TooMixed has no JSON schema: Model is inside of it"),
        ({"type": socket.socket}, "The output schema is not plain data"),
    ],
)
def test_what_has_no_schema_is_refused(given: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        encode_schema(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "strnig"}, r"not valid: \$\.type: 'strnig' is not"),
        ({"properties": []}, r"not valid: \$\.properties: \[\] is not of type 'object'"),
        ({"properties": {"a": {"$ref": "#/$defs/Row"}}}, r"refers to '.*/\$defs/Row', which is not in it"),
        ({"items": {"$ref": "https://example.com/row.json"}}, r"refers to 'https://example\.com/row\.json'"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "refers to 'file:///etc/passwd'"),
        ({"pattern": "a{99999999999999}"}, "The output schema cannot be used: the repetition number is too large"),
        ({"pattern": "(" * 5000 + ")" * 5000}, "The output schema "),
        ({"pattern": "["}, r"not valid: \$\.pattern: '\[' is not a 'regex'"),
        ({"description": "x" * 200_000}, "has 200,018 characters; 100,000 may be"),
    ],
)
def test_a_schema_that_nothing_could_be_checked_by_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OutputSchemaError, match=said):
        encode_schema(given)


@pytest.mark.parametrize("text", ["", "5", "[]", "{", "true"])
def test_what_another_process_says_is_a_schema_is_looked_over_again(text: str) -> None:
    with pytest.raises(OutputSchemaError, match="The output schema is"):
        OutputSchema(text)


def test_references_inside_of_a_schema_are_followed() -> None:
    tree = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"node": {"type": "object", "properties": {"below": {"items": {"$ref": "#/definitions/node"}}}}},
        "$ref": "#/definitions/node",
    }

    assert _schema(tree).fault({"below": [{"below": []}]}) == ""
    assert _schema(tree).fault({"below": [{"below": [5]}]}) == "$.below[0].below[0]: 5 is not of type 'object'."


@pytest.mark.parametrize("version", ["draft-03", "draft-04", "draft-06", "draft-07", "2019-09", "2020-12", "unknown"])
def test_all_versions_of_schemas_are_known(version: str) -> None:
    where = f"http://json-schema.org/{version}/schema#"
    if version.startswith("20"):
        where = f"https://json-schema.org/draft/{version}/schema"

    schema = _schema({"$schema": where, "type": "object", "properties": {"a": {"type": "integer"}}})

    assert schema.fault({"a": 1}) == ""
    assert schema.fault({"a": "1"}) == "$.a: '1' is not of type 'integer'."


def test_a_schema_with_a_name_of_its_own_is_one() -> None:
    named = {"$id": "https://example.com/a", "$defs": {"row": {"type": "integer"}}, "items": {"$ref": "#/$defs/row"}}

    assert _schema(named).fault([1]) == ""
    assert _schema(named).fault(["1"]) == "$[0]: '1' is not of type 'integer'."


def test_numbers_that_no_float_holds_are_no_crash() -> None:
    assert isinstance(_schema({"multipleOf": 1e-308}).fault(10**400), str)
    assert _schema({"maximum": 5}).fault(10**400)


def test_a_schema_that_leads_into_itself_is_a_fault_and_no_crash() -> None:
    assert _schema({"$ref": "#"}).fault({}) == "the schema leads into itself without end."
