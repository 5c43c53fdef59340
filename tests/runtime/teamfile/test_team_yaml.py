"""How YAML is read: places, scalars, anchors, and what means no plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from subactors.runtime.team.config import ToolsetConfig
from subactors.runtime.teamfile.load import check_team, load_team

if TYPE_CHECKING:
    from pathlib import Path

    from subactors.runtime.errors import Problem


@pytest.fixture
def team_path(tmp_path: Path) -> Path:
    return tmp_path / "team.yaml"


def problems_of(path: Path, content: str | bytes) -> tuple[Problem, ...]:
    """Write a team file and return what is wrong with it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    team, problems = check_team(path)
    assert (team is None) == bool(problems)
    return problems


@pytest.mark.parametrize(
    ("content", "line", "path", "words"),
    [
        ("agents:\n  a: {model: openai/x}\n  a: {model: openai/y}\n", 3, "agents.a", "already given in line 2"),
        ("agents:\n  a: {model: openai/x}\nagents:\n  b: {}\n", 3, "agents", "already given in line 1"),
        ("agents:\n  a: {model: openai/x}\n  ? [b, c]\n  : {}\n", 3, "agents", "key here is a list or a mapping"),
        ("agents:\n  a: {model: openai/x}\n  1: {model: openai/x}\n", 3, "agents.1", "not text"),
        ("agents:\n  a:\n    model: !Own openai/x\n", 3, "agents.a.model", "cannot be read as !Own"),
        ("agents:\n  a:\n    model: !!int x\n", 3, "agents.a.model", "cannot be read as !!int"),
        ("agents:\n  a: !!set {x, y}\n", 2, "agents.a", "cannot be read as !!set"),
        ("agents:\n  a: &a\n    model: openai/x\n    toolsets: [*a]\n", 2, "agents.a.toolsets[0]", "alias"),
        ("agents:\n  a: &a\n    <<: *a\n    model: openai/x\n", 2, "agents.a", "alias"),
        ("agents:\n  a:\n    <<: text\n    model: openai/x\n", 3, "agents.a", "merge key"),
        (f"agents:\n  a: {{model: openai/x, max_iterations: {'9' * 9000}}}\n", 2, "agents.a.max_iterations", "!!int"),
        ('agents:\n  a: {model: openai/x, description: "\\ud800"}\n', 2, "", "not valid YAML"),
        ('agents:\n  a: {model: openai/x, description: "\\0"}\n', 2, "agents.a.description", "an invalid character"),
    ],
)
def test_yaml_that_means_no_plain_data_is_one_problem_at_its_place(
    team_path: Path, content: str, line: int, path: str, words: str
) -> None:
    (problem,) = problems_of(team_path, content)
    assert (problem.line, problem.path) == (line, path)
    assert words in problem.message


def test_anchors_aliases_and_merge_keys_work(team_path: Path) -> None:
    team_path.write_text(
        "agents:\n"
        "  a: &common\n"
        "    model: openai/x\n"
        "    max_iterations: 3\n"
        "    toolsets: &tools [{type: think}]\n"
        "  b:\n"
        "    <<: *common\n"
        "    max_iterations: 4\n"
        "  c:\n"
        "    <<: [{model: ollama/y}, *common]\n"
        "    toolsets: *tools\n"
    )
    agents = load_team(team_path).agents
    assert [agent.max_iterations for agent in agents.values()] == [3, 4, 3]
    assert [agent.model.name for agent in agents.values() if agent.model] == ["x", "x", "y"]
    assert all(agent.toolsets == (ToolsetConfig(type="think"),) for agent in agents.values())


def test_a_mistake_in_an_anchored_value_is_one_problem_however_often_it_is_used(team_path: Path) -> None:
    (problem,) = problems_of(
        team_path,
        "agents:\n  a: &one\n    model: openai/x\n    max_iterations: -1\n  b:\n    <<: *one\n  c:\n    <<: *one\n",
    )
    assert (problem.line, problem.path) == (4, "agents.a.max_iterations")


def test_words_that_only_older_yaml_takes_for_something_else_are_text(team_path: Path) -> None:
    team_path.write_text(
        "agents:\n"
        "  on: {model: openai/x, sub_agents: [no], description: 12:30}\n"
        "  no: {model: openai/x, instruction: yes, description: 2024-05-01}\n"
    )
    agents = load_team(team_path).agents
    assert list(agents) == ["on", "no"]
    assert (agents["on"].sub_agents, agents["on"].description) == (("no",), "12:30")
    assert (agents["no"].instruction, agents["no"].description) == ("yes", "2024-05-01")


def test_numbers_may_be_written_in_any_common_way(team_path: Path) -> None:
    team_path.write_text(
        "agents: {a: {model: m, max_iterations: 012}}\n"
        "models: {m: {provider: openai, model: x, temperature: 1e-1, max_tokens: 0x10, top_p: .5}}\n"
        "runtime: {max_output: 1_000_000, max_tasks: 50.0}\n"
    )
    team = load_team(team_path)
    model = team.agents["a"].model
    assert model is not None
    assert model.options == {"temperature": 0.1, "max_tokens": 16, "top_p": 0.5}
    assert (team.agents["a"].max_iterations, team.settings.max_output, team.settings.max_tasks) == (12, 1_000_000, 50)


def test_a_byte_order_mark_and_line_ends_of_windows_are_accepted(team_path: Path) -> None:
    team_path.write_bytes(b"\xef\xbb\xbfagents:\r\n  a:\r\n    model: openai/x\r\n")
    assert list(load_team(team_path).agents) == ["a"]


def test_a_key_without_a_value_counts_as_not_given(team_path: Path) -> None:
    team_path.write_text(
        "agents:\n  a:\n    model: openai/x\n    toolsets:\n    description:\n    rag:\n"
        "models:\npermissions: {deny: }\n"
    )
    assert load_team(team_path).agents["a"].toolsets == ()
