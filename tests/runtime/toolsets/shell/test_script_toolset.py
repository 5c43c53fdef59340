"""The `script` tools: command lines of the team file as tools."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.shell.script import ScriptToolset

ENVIRON = {"PATH": "/usr/bin:/bin", "name": "inherited"}


def answered(
    folder: Path, script: dict[str, Any], /, env: dict[str, str] | None = None, **arguments: Any
) -> ToolAnswer:
    toolset = ScriptToolset(  # noqa: S604 - its own keyword, not that of subprocess
        working_directory=folder,
        environ=ENVIRON,
        shell={"it": script},
        env=env or {},
        timeout=arguments.pop("_time", 20),
    )
    return asyncio.run(ToolBox([toolset]).call("it", json.dumps(arguments)))


def test_arguments_reach_the_command_as_variables_and_never_as_its_text(tmp_path: Path) -> None:
    script = {"cmd": 'echo "<$name>"', "args": {"name": {"description": "Whom to greet"}}}
    hostile = '"; touch broken; echo "$(touch broken)'
    assert f"<{hostile}>" in answered(tmp_path, script, name=hostile).text
    assert not list(tmp_path.iterdir())


def test_the_schema_says_what_the_team_file_says() -> None:
    toolset = ScriptToolset(  # noqa: S604 - its own keyword, not that of subprocess
        working_directory=Path(),
        environ={},
        shell={
            "it": {
                "cmd": "true",
                "description": "Do it",
                "args": {"a": {}, "b": {"type": "integer"}},
                "required": ["b"],
            }
        },
    )
    (tool,) = ToolBox([toolset]).schemas
    assert tool["function"] == {
        "name": "it",
        "description": "Do it",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["b"],
            "additionalProperties": False,
        },
    }


def test_all_parameters_are_required_where_nothing_else_is_said(tmp_path: Path) -> None:
    script = {"cmd": "true", "args": {"a": {}, "b": {}}}
    answer = answered(tmp_path, script, a="x")
    assert answer.is_error
    assert "Missing: b" in answer.text


def test_a_parameter_that_is_not_given_is_unset_whatever_the_environment_has(tmp_path: Path) -> None:
    script = {"cmd": 'echo "<${name-unset}>"', "args": {"name": {}}, "required": []}
    assert "<unset>" in answered(tmp_path, script).text


@pytest.mark.parametrize(
    ("schema", "value", "complaint"),
    [
        ({}, 3, "must be of type string"),
        ({"type": "integer"}, True, "must be of type integer"),
        ({"type": "integer"}, 1.5, "must be of type integer"),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'one of ["a", "b"]'),
        ({}, "a\0b", "U+0000"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error(
    tmp_path: Path, schema: dict[str, Any], value: Any, complaint: str
) -> None:
    answer = answered(tmp_path, {"cmd": "true", "args": {"x": schema}}, x=value)
    assert answer.is_error
    assert complaint in answer.text


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [("integer", 3, "3"), ("boolean", True, "true"), ("array", ["a"], '["a"]'), ("number", 0.5, "0.5")],
)
def test_values_that_are_no_text_arrive_as_json(tmp_path: Path, kind: str, value: Any, text: str) -> None:
    script = {"cmd": 'printf "<%s>" "$x"', "args": {"x": {"type": kind}}}
    assert f"<{text}>" in answered(tmp_path, script, x=value).text


def test_an_unknown_parameter_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    answer = answered(tmp_path, {"cmd": "true", "args": {"x": {}}}, y="1")
    assert answer.is_error
    assert "x*" in answer.text


def test_a_script_has_variables_and_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    script = {"cmd": 'pwd; echo "$A $B"', "env": {"B": "from ${env.name}"}, "working_dir": "inner"}
    text = answered(tmp_path, script, env={"A": "shared", "B": "lost"}).text
    assert str(tmp_path / "inner") in text
    assert "shared from inherited" in text


def test_a_failing_command_is_an_answer_and_one_that_takes_too_long_an_error(tmp_path: Path) -> None:
    assert "Exit status 3" in answered(tmp_path, {"cmd": "exit 3"}).text
    late = answered(tmp_path, {"cmd": "sleep 60"}, _time=0.2)
    assert late.is_error
    assert "`timeout`" in late.text


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    answer = answered(tmp_path, {"cmd": "true", "working_dir": "nowhere"})
    assert answer.is_error
    assert "nowhere" in answer.text
