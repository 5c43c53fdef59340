"""What a model sees of a function: name, description, parameters; and how its arguments reach the function."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import pytest
from subactors.runtime import ImportTargetError, ToolAnswer, ToolsetError
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.python.toolset import PythonToolset


def box(*names: str, **options: Any) -> ToolBox:
    return ToolBox([PythonToolset(functions=[f"python_tools:{name}" for name in names], **options)])


def schema(name: str) -> dict[str, Any]:
    ((function,),) = [[tool["function"] for tool in box(name).schemas]]
    return dict(function)


def call(name: str, /, **arguments: Any) -> ToolAnswer:
    return asyncio.run(box(name).call(name.rpartition(".")[2], json.dumps(arguments)))


def test_name_description_and_parameters_come_from_signature_and_docstring() -> None:
    assert schema("look_up") == {
        "name": "look_up",
        "description": "Look a word up.\n\nIt looks in all books.\n\nReturns: the places, one a line.",
        "parameters": {
            "type": "object",
            "properties": {
                "word": {"type": "string", "description": "the word, in lower case."},
                "limit": {"type": "integer", "default": 5, "description": "at most so many places."},
                "exact": {"type": "boolean", "default": False, "description": "whether nothing similar counts."},
            },
            "required": ["word"],
            "additionalProperties": False,
        },
    }


@pytest.mark.parametrize("name", ["look_up", "look_up_numpy", "look_up_sphinx"])
def test_docstrings_of_each_style_are_understood(name: str) -> None:
    function = schema(name)

    assert function["description"].startswith("Look a word up.")
    assert ":param" not in function["description"]
    assert "lower case" not in function["description"]
    properties = function["parameters"]["properties"]
    assert properties["word"]["description"] == "the word, in lower case."
    assert properties["limit"]["description"] == "at most so many places."


def test_types_of_all_kinds_are_parameters() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameters = schema("takes_much")["parameters"]

    properties = parameters["properties"]
    assert parameters["required"] == ["colour", "points"]
    assert properties["mode"] == {
        "default": "fast",
        "description": "how to do it",
        "enum": ["fast", "slow"],
        "type": "string",
    }
    assert properties["size"] == {"default": 3, "description": "how large", "maximum": 9, "type": "integer"}
    assert properties["weights"]["description"] == "of each"
    assert parameters["$defs"]["Colour"]["enum"] == ["red", "green"]
    assert parameters["$defs"]["Order"]["properties"]["article"]["description"] == "what is ordered"
    assert "title" not in json.dumps(parameters)


def test_a_function_gets_objects_of_its_own_types_and_its_own_defaults() -> None:
    answer = call("takes_much", colour="red", points=[{"x": 1}, {"x": "2", "y": 3}], day="2026-02-03")

    assert not answer.is_error, answer.text
    assert answer.data == {
        "colour": "red",
        "points": [{"x": 1, "y": 0}, {"x": 2, "y": 3}],
        "order": None,
        "mode": "fast",
        "day": "2026-02-03",
        "size": 3,
        "weights": {},
    }
    assert json.loads(answer.text) == answer.data


def test_what_is_wrong_with_arguments_is_said_with_its_place_and_what_would_be_right() -> None:
    answer = call("takes_much", colour="blue", points=[{"x": "a"}], order={"article": "a", "count": 0}, colr=1)

    assert answer.is_error
    assert "`colour`: input should be 'red' or 'green'" in answer.text
    assert "`points[0].x`" in answer.text
    assert "`order.count`: input should be greater than or equal to 1" in answer.text
    assert "there is no parameter `colr`" in answer.text
    assert "Parameters (* required): colour*, points*, order, mode" in answer.text


def test_a_parameter_that_is_missing_is_named() -> None:
    assert "missing required parameter `word`" in call("look_up").text


def test_null_for_an_optional_parameter_means_that_it_is_not_given() -> None:
    assert call("look_up", word="a", limit=None, exact=None).text == "a 5 False"
    assert "`word`: input should be a valid string" in call("look_up", word=None, limit=None).text


def test_parameters_may_have_the_names_of_methods_and_be_of_every_kind() -> None:
    text = call("odd_names", copy="a", json=2, schema=["x", "y"], model_config="m").text

    assert text == "a 2 False ('x', 'y') m"


def test_a_function_without_annotations_takes_anything() -> None:
    assert "additionalProperties" not in schema("takes_anything")["parameters"]
    assert call("takes_anything", first=[1], second=None).data == {"first": [1], "second": None}


def test_a_static_method_is_a_tool_and_a_method_of_no_object_is_none() -> None:
    assert call("Shop.open_at", day="monday").text == "monday at nine"
    with pytest.raises(ToolsetError, match="sell cannot be a tool: it is a method of no object"):
        box("Shop.sell")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("yields", "it yields"),
        ("unknown_annotation", "the annotation 'Decimal' of its parameter price cannot be understood"),
        ("not_of_json", "a model gives arguments as JSON"),
    ],
)
def test_a_function_that_no_model_can_call_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ToolsetError, match=reason):
        box(name)


def test_a_function_that_is_not_there_is_refused_with_the_reason() -> None:
    with pytest.raises(ImportTargetError, match=r"The tool 'lok_up' is .* Did you mean 'look_up'\?"):
        box("lok_up")


def test_the_task_is_no_parameter() -> None:
    parameters = schema("may_say_its_task")["parameters"]

    assert parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert call("may_say_its_task").text == "no task"
    with pytest.raises(ToolsetError, match="it wants the task"):
        box("says_its_task")
