"""Reading team files: what a good one becomes, and files that are no team files at all."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from subactors.runtime.errors import SubactorsError, TeamFileError
from subactors.runtime.team.config import AgentConfig, ModelConfig, Settings, Team, ToolsetConfig
from subactors.runtime.team.permissions import Permissions
from subactors.runtime.teamfile.load import check_team, load_team, override_model, team_from_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from subactors.runtime.errors import Problem

COMPLETE = """\
version: "2"
metadata:
  author: somebody
  tags: [a, b]
agents:
  coordinator:
    model: openai/gpt-4o
    description: Orchestrates parallel research
    instruction: Fan out research tasks.
    welcome_message: Hello!
    sub_agents: [researcher, poet, own]
    toolsets:
      - type: background_agents
      - type: think
        instruction: Think first.
      - type: shell
        env: {PORT: 8080, HOME: "${env.HOME}"}
        timeout: 5
      - type: filesystem
        tools: [read_file, list_directory]
        allow: [../data]
        readonly: true
  researcher:
    model: careful
    instruction:
      - Research topics.
      - Be brief.
    max_iterations: 7
    add_date: true
    add_environment_info: true
  poet:
    model: python/package.models:poet
  own:
    entrypoint: package.agents:own
    description: Does its own thing.
models:
  careful:
    provider: house
    model: big/one
    temperature: 0
    max_tokens: 1000
    top_p: 0.5
    frequency_penalty: -1
    presence_penalty: 1.5
    parallel_tool_calls: false
providers:
  house:
    api_type: openai_chatcompletions
    base_url: http://127.0.0.1:9000/v1
    token_key: HOUSE_KEY
permissions:
  allow: [think]
  deny: [Write_*, mcp_thing]
runtime:
  max_running: 3
  stop_grace: 0
  model_idle_timeout: 1.5
"""


@pytest.fixture
def team_path(tmp_path: Path) -> Path:
    return tmp_path / "team.yaml"


def problems_of(path: Path, content: str | bytes) -> tuple[Problem, ...]:
    """Write a team file and return what is wrong with it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    team, problems = check_team(path)
    assert (team is None) == bool(problems)
    return problems


def test_a_complete_file_becomes_a_team(team_path: Path) -> None:
    team_path.write_text(COMPLETE)
    team = load_team(team_path)
    careful = ModelConfig(
        reference="careful",
        provider="house",
        name="big/one",
        base_url="http://127.0.0.1:9000/v1",
        key_variables=("HOUSE_KEY",),
        options={
            "temperature": 0.0,
            "max_tokens": 1000,
            "top_p": 0.5,
            "frequency_penalty": -1.0,
            "presence_penalty": 1.5,
            "parallel_tool_calls": False,
        },
    )
    coordinator = AgentConfig(
        name="coordinator",
        model=ModelConfig(
            reference="openai/gpt-4o", provider="openai", name="gpt-4o", key_variables=("OPENAI_API_KEY",)
        ),
        description="Orchestrates parallel research",
        instruction="Fan out research tasks.",
        sub_agents=("researcher", "poet", "own"),
        toolsets=(
            ToolsetConfig(type="background_agents"),
            ToolsetConfig(type="think", instruction="Think first."),
            ToolsetConfig(type="shell", options={"timeout": 5.0, "env": {"PORT": "8080", "HOME": "${env.HOME}"}}),
            ToolsetConfig(
                type="filesystem",
                tools=("read_file", "list_directory"),
                options={"readonly": True, "allow": ["../data"]},
            ),
        ),
    )
    poet = ModelConfig(reference="python/package.models:poet", provider="python", name="package.models:poet")
    assert team == Team(
        source=str(team_path),
        folders=(str(team_path.parent),),
        agents={
            "coordinator": coordinator,
            "researcher": AgentConfig(
                name="researcher",
                model=careful,
                instruction="Research topics.\nBe brief.",
                max_iterations=7,
                add_date=True,
                add_environment_info=True,
            ),
            "poet": AgentConfig(name="poet", model=poet),
            "own": AgentConfig(name="own", entrypoint="package.agents:own", description="Does its own thing."),
        },
        root="coordinator",
        settings=Settings(max_running=3, stop_grace=0.0, model_idle_timeout=1.5),
        permissions=Permissions(allow=("think",), deny=("Write_*", "mcp_thing")),
        ignored=("agents.coordinator.welcome_message", "permissions.allow", "permissions.deny[1]"),
    )
    assert list(team.agents) == ["coordinator", "researcher", "poet", "own"]


def test_a_team_crosses_to_another_process_unchanged(team_path: Path) -> None:
    team_path.write_text(COMPLETE)
    team = load_team(team_path)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(team), type=Team) == team


def test_the_root_is_the_agent_of_that_name_wherever_it_stands(team_path: Path) -> None:
    team_path.write_text("agents:\n  first: {model: openai/a}\n  root: {model: openai/b}\n")
    assert load_team(team_path).root == "root"


def test_a_mapping_becomes_the_same_team_as_a_file(team_path: Path) -> None:
    team_path.write_text("agents:\n  a:\n    model: openai/x\n    sub_agents: [b]\n  b:\n    model: ollama/y\n")
    mapping = {"agents": {"a": {"model": "openai/x", "sub_agents": ["b"]}, "b": {"model": "ollama/y"}}}
    team = load_team(str(team_path))
    assert team_from_mapping(mapping, source=str(team_path)) == msgspec.structs.replace(team, folders=())


def test_problems_of_a_mapping_are_in_its_order_and_have_no_line() -> None:
    with pytest.raises(TeamFileError) as caught:
        team_from_mapping({"agents": {"a": {"model": "nothing"}}, "version": 99, "models": {"m": {"model": 1}}})
    assert [(problem.source, problem.line, problem.path) for problem in caught.value.problems] == [
        ("<mapping>", 0, "agents.a.model"),
        ("<mapping>", 0, "version"),
        ("<mapping>", 0, "models.m"),
        ("<mapping>", 0, "models.m.model"),
    ]


def test_a_mapping_that_holds_itself_is_a_problem_and_no_endless_loop() -> None:
    agent: dict[str, Any] = {"model": "openai/x"}
    agent["toolsets"] = [agent]
    with pytest.raises(TeamFileError, match=r"agents\.a\.toolsets\[0\]: This value holds itself"):
        team_from_mapping({"agents": {"a": agent}})


def test_objects_in_a_mapping_are_problems() -> None:
    with pytest.raises(TeamFileError) as caught:
        team_from_mapping({"agents": {"a": {"model": print, 3: "x", "rag": object()}}})
    assert "not a value of type builtin_function_or_method" in str(caught.value)
    assert len(caught.value.problems) == 3


def test_text_of_an_enumeration_becomes_plain_text() -> None:
    class Reference(enum.StrEnum):
        FAST = "openai/fast"

    team = team_from_mapping({"agents": {"a": {"model": Reference.FAST}}})
    model = team.agents["a"].model
    assert model is not None
    assert type(model.name) is str
    assert type(model.reference) is str


def test_a_mapping_nested_without_end_is_a_problem() -> None:
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TeamFileError, match="nested too deeply"):
        team_from_mapping({"agents": value})


def test_loading_raises_all_problems_at_once_as_one_error_of_the_product(team_path: Path) -> None:
    team_path.write_text("agents:\n  a:\n    model: nothing\n    colour: red\n")
    with pytest.raises(SubactorsError) as caught:
        load_team(team_path)
    assert isinstance(caught.value, TeamFileError)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    assert [problem.line for problem in caught.value.problems] == [3, 4]
    assert str(caught.value).startswith(f"{team_path}:3: agents.a.model: ")


@pytest.mark.parametrize("name", ["missing.yaml", ".", "nul\0l"])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str) -> None:
    team, problems = check_team(os.path.join(tmp_path, name))  # noqa: PTH118 - a Path takes no null character later
    assert team is None
    assert len(problems) == 1
    assert problems[0].message.startswith("The file cannot be read: ")


def test_a_file_whose_name_is_no_text_has_problems_that_can_be_printed(tmp_path: Path) -> None:
    _, problems = check_team(os.path.join(os.fsencode(tmp_path), b"\xff.yaml"))  # type: ignore[arg-type]  # noqa: PTH118 - bytes
    str(problems[0]).encode()


def test_a_team_can_be_read_from_a_pipe() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"agents: {a: {model: openai/x}}")
        os.close(writing)
        assert list(load_team(f"/dev/fd/{reading}").agents) == ["a"]
    finally:
        os.close(reading)


def test_a_file_that_is_far_too_large_is_refused(team_path: Path) -> None:
    (problem,) = problems_of(team_path, b"# " + b"x" * 4_000_000)
    assert "larger than" in problem.message


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "empty"),
        (b"# nothing but a comment\n", 1, "empty"),
        (b"just text", 1, "must be a mapping"),
        (b"- a\n- b\n", 1, "must be a mapping"),
        (b"agents:\n  a:\n    model: openai/x\n   description: x\n", 4, "not valid YAML"),
        (b"agents:\n\ta: {}\n", 2, "not valid YAML"),
        (b"agents: {a: [}\n", 1, "not valid YAML"),
        (b"agents: *nowhere\n", 1, "not valid YAML"),
        (b"agents: {}\n---\nagents: {}\n", 2, "not valid YAML"),
        (b'agents: "\\UFFFFFFFF"\n', 1, "not valid YAML"),
        (b"agents:\n  a: \xff\n", 2, "Byte 0xFF is not UTF-8"),
        (b"agents:\n  a: x\x07y\n", 2, "U+0007"),
        (b"[" * 5_000, 1, "nested too deeply"),
        (b"a: " + b"{a: " * 5_000, 1, "nested too deeply"),
    ],
)
def test_what_is_no_team_file_is_one_problem_at_its_line(
    team_path: Path, content: bytes, line: int, words: str
) -> None:
    (problem,) = problems_of(team_path, content)
    assert words in problem.message
    assert (problem.line, problem.path) == (line, "")


def test_checking_imports_neither_the_authors_code_nor_the_toolsets(tmp_path: Path) -> None:
    (tmp_path / "author_code.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "team.yaml").write_text(
        "agents: {a: {model: python/author_code:f, toolsets: [{type: shell}]}, b: {entrypoint: author_code:g}}\n"
    )
    script = (
        "import sys\n"
        "from subactors.runtime.teamfile.load import load_team\n"
        "assert 'yaml' not in sys.modules\n"
        "load_team('team.yaml')\n"
        "print([name for name in ('author_code', 'openai', 'mcp') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_model_can_stand_in_for_all_models_of_a_team() -> None:
    team = team_from_mapping(
        {"agents": {"a": {"model": "python/m:f", "max_iterations": 3}, "b": {"entrypoint": "m:g"}}, "version": 2}
    )
    changed = override_model(team, "openai/gpt-4o")
    a, b = changed.agents["a"], changed.agents["b"]
    assert a.model == ModelConfig(
        reference="openai/gpt-4o", provider="openai", name="gpt-4o", key_variables=("OPENAI_API_KEY",)
    )
    assert a.max_iterations == 3
    assert b == team.agents["b"]
    assert team.agents["a"].model != a.model


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("gpt-4o", "'gpt-4o' is not a reference to a model. Write it as `provider/model`"),
        ("opanai/gpt-4o", "There is no provider 'opanai'. Did you mean `openai`?"),
        ("openai/", "names no model"),
        ("python/nothing", "`python/package.module:function`"),
        ("", "empty"),
    ],
)
def test_a_wrong_model_to_stand_in_is_refused(reference: str, words: str) -> None:
    team = team_from_mapping({"agents": {"a": {"model": "openai/x"}}})
    with pytest.raises(TeamFileError) as caught:
        override_model(team, reference)
    assert str(caught.value).startswith("model '")
    assert words in str(caught.value)
