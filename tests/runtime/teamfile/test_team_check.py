"""What is checked in a team file, and what the complaints say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from subactors.runtime.errors import TeamFileError
from subactors.runtime.teamfile.load import check_team, team_from_mapping
from team_mapping import problem, team

if TYPE_CHECKING:
    from pathlib import Path

SIX_MISTAKES = """\
agents:
  coordinator:
    model: opanai/gpt-4o
    instruction: |
      Several lines
      of text.
    sub_agents: [researcher, writr]
    toolsets:
      - type: background_agents
      - type: filesystem
        tools:
          - read_file
          - delete_file
  researcher:
    modle: openai/gpt-4o
  writer:
    model: fast
    max_iterations: -1
models:
  fast:
    provider: openai
    model: gpt-4o-mini
    temperature: 3
"""


def toolset(**keys: Any) -> dict[str, Any]:
    """The keys of an agent with one toolset."""
    return {"toolsets": [keys]}


def test_six_mistakes_are_six_problems_each_with_its_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(SIX_MISTAKES)
    nothing, found = check_team(path)
    assert nothing is None
    assert [(problem.line, problem.path) for problem in found] == [
        (3, "agents.coordinator.model"),
        (7, "agents.coordinator.sub_agents[1]"),
        (13, "agents.coordinator.toolsets[1].tools[1]"),
        (15, "agents.researcher.modle"),
        (18, "agents.writer.max_iterations"),
        (23, "models.fast.temperature"),
    ]
    assert all(problem.source == str(path) and problem.message.endswith(".") for problem in found)
    assert [problem.remedy.partition(".")[0].partition("?")[0] for problem in found if "Did" in problem.remedy] == [
        "Did you mean `openai`",
        "Did you mean `writer`",
        "Did you mean `model`",
    ]


def test_a_team_without_a_mistake_has_no_problem() -> None:
    assert list(team().agents) == ["a", "b"]


# The top level


@pytest.mark.parametrize("agents", [{}, None])
def test_a_team_needs_an_agent(agents: Any) -> None:
    with pytest.raises(TeamFileError, match=r"no `?agents"):
        team_from_mapping({"agents": agents})


def test_agents_that_are_no_mapping_are_one_problem() -> None:
    assert "must be a mapping" in problem("agents", agents=["a", "b"])


def test_a_misspelt_top_level_key_is_one_problem_with_the_key_that_was_meant() -> None:
    with pytest.raises(TeamFileError) as caught:
        team_from_mapping({"agent": {"a": {"model": "openai/x"}}})
    assert str(caught.value) == "<mapping>: agent: There is no key `agent`. Did you mean `agents`?"


def test_an_unknown_key_that_resembles_none_lists_those_there_are() -> None:
    text = problem("colour", colour="red")
    assert "Known are: agents, mcps, metadata, models, permissions, providers, runtime, version." in text


@pytest.mark.parametrize("version", ["0", "2", "16", 0, 7, 16])
def test_every_version_of_docker_agent_files_is_accepted(version: Any) -> None:
    assert team(version=version).root == "a"


@pytest.mark.parametrize("version", ["17", -1, "v1", "", 1.5, True, [1]])
def test_an_unknown_version_is_answered_with_the_valid_ones(version: Any) -> None:
    assert "from 0 to 16" in problem("version", version=version)


def test_metadata_is_accepted_as_it_is_but_must_be_a_mapping() -> None:
    assert team(metadata={"author": "x", "tags": ["a"], "anything": {"else": 1}}).ignored == ()
    assert "must be a mapping" in problem("metadata", metadata="x")


@pytest.mark.parametrize(("key", "loss"), [("rag", "documents"), ("toolsets", "share"), ("budget", "cost")])
def test_an_unsupported_key_of_docker_is_refused_with_what_would_be_lost(key: str, loss: str) -> None:
    text = problem(key, **{key: {"x": {}}})
    assert "known in Docker's agent files and not supported by this version" in text
    assert loss in text


def test_a_key_in_the_wrong_place_is_told_where_it_belongs() -> None:
    assert "It belongs in an agent." in problem("handoffs", handoffs=["b"])


def test_keys_for_an_interactive_session_are_accepted_and_noted_as_ignored() -> None:
    checked = team(
        commands={"fix": "Fix it"},
        a={"welcome_message": "Hi", "commands": {}, "title_model": "openai/x"},
        models={"m": {"provider": "openai", "model": "x", "track_usage": True}},
    )
    assert checked.ignored == (
        "agents.a.welcome_message",
        "agents.a.commands",
        "agents.a.title_model",
        "commands",
        "models.m.track_usage",
    )


# Agents


def test_an_agent_that_is_no_mapping_is_one_problem_and_still_may_be_named() -> None:
    agents = {"a": {"model": "openai/x", "sub_agents": ["b"]}, "b": "openai/x"}
    assert "must be a mapping" in problem("agents.b", agents=agents)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_agent_needs_a_name(name: str) -> None:
    agents = {name: {"model": "openai/x"}, "b": {"model": "openai/x"}}
    assert "Give it a readable name." in problem(f'agents["{name}"]', agents=agents)


def test_an_agent_needs_a_model_or_an_entrypoint() -> None:
    assert "neither `model` nor `entrypoint`" in problem("agents.a", a={"model": None})


def test_an_agent_may_have_a_model_tools_and_sub_agents_for_its_entrypoint() -> None:
    own = {"toolsets": [{"type": "think"}], "sub_agents": ["b"], "instruction": "x"}
    a = team(a={"entrypoint": "m:f", "fallback": {"models": ["openai/y"]}, **own}).agents["a"]
    assert (a.entrypoint, a.model is not None, a.sub_agents, len(a.toolsets)) == ("m:f", True, ("b",), 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [("fallback", {"models": ["openai/x"]}), ("structured_output", {"name": "x", "schema": {"type": "object"}})],
)
def test_an_entrypoint_has_no_keys_of_a_model_where_it_has_none(key: str, value: dict[str, Any]) -> None:
    text = problem("agents.a.entrypoint", a={"model": None, "entrypoint": "m:f", key: value})
    assert f"This agent has no `model`; without effect: {key}." in text


def test_an_agent_of_its_own_code_has_no_keys_that_could_have_no_effect() -> None:
    keys = {"entrypoint": "m:f", "description": "x", "toolsets": [], "add_date": True, "max_iterations": 0}
    text = problem("agents.a.entrypoint", a={"model": None} | keys)
    assert "without effect: add_date, max_iterations." in text


@pytest.mark.parametrize("target", ["module", "module.function", "module:", "python/m:f", "m:f()"])
def test_an_entrypoint_that_names_no_function_is_refused(target: str) -> None:
    text = problem("agents.a.entrypoint", a={"model": None, "entrypoint": target})
    assert "Write it as `package.module:function`." in text


def test_a_function_of_the_hosts_own_script_is_refused_as_no_task_could_find_it() -> None:
    remedy = "Put the function in a module that can be imported, or give `Runtime.from_mapping` the function itself."
    assert remedy in problem("agents.a.entrypoint", a={"model": None, "entrypoint": "__main__:f"})
    assert remedy in problem("agents.a.model", a={"model": "python/__main__:f"})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model", 4, "must be text, not 4. Put it in quotes."),
        ("model", " ", "The text is empty."),
        ("description", ["x"], "must be text, not a list."),
        ("instruction", {"x": 1}, "must be text, not a mapping."),
        ("max_iterations", -1, "must be a whole number of at least 0, not -1."),
        ("max_iterations", 1.5, "must be a whole number of at least 0, not 1.5."),
        ("max_iterations", True, "must be a whole number of at least 0, not true."),
        ("max_iterations", 10**30, "not a number beyond all bounds."),
        ("add_date", "yes", "must be true or false, not text."),
        ("add_environment_info", 1, "must be true or false, not 1."),
        ("toolsets", {"type": "think"}, "must be a list, not a mapping."),
        ("toolset", [], "Did you mean `toolsets`?"),
        ("sub_agents", "b", "must be a list, not text. Put it in brackets"),
        ("fallback", ["a/b"], "must be a mapping"),
        ("handoffs", ["b"], "the agents that it hands its conversation to"),
        ("hooks", {"x": 1}, "the commands run at its hooks"),
        ("skills", True, "its skills"),
        ("structured_output", {"name": "x"}, "There is no `schema` here."),
        ("structured_output", {"schema": {}}, "There is no `name` here."),
        ("max_old_tool_call_tokens", -2, "must be a whole number of at least -1"),
    ],
)
def test_a_wrong_value_of_an_agent_is_one_problem(key: str, value: Any, words: str) -> None:
    assert words in problem(f"agents.a.{key}", a={key: value})


@pytest.mark.parametrize("value", [None, False, [], {}, ""])
def test_an_unsupported_key_that_is_off_is_no_problem(value: Any) -> None:
    assert team(a={"skills": value, "rag": value}).ignored == ()


def test_an_instruction_may_be_a_list_of_lines() -> None:
    assert team(a={"instruction": ["one", "", "two"]}).agents["a"].instruction == "one\n\ntwo"
    assert "must be text" in problem("agents.a.instruction[1]", a={"instruction": ["one", 2]})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("a", "cannot be its own sub-agent"),
        ("B", "Did you mean `b`?"),
        ("zzz", "There is no agent 'zzz'. Known are: b."),
        ("agentcatalog/pirate", "Agents of other files are not supported"),
        (7, "must be text"),
        ("", "The text is empty."),
    ],
)
def test_a_wrong_sub_agent_is_one_problem(other: Any, words: str) -> None:
    assert words in problem("agents.a.sub_agents[1]", a={"sub_agents": ["b", other]})


def test_a_sub_agent_listed_twice_is_a_problem_at_its_second_place() -> None:
    assert "'b' is listed twice" in problem("agents.a.sub_agents[1]", a={"sub_agents": ["b", "b"]})


def test_agents_may_have_each_other_as_sub_agents() -> None:
    agents = {"a": {"model": "openai/x", "sub_agents": ["b"]}, "b": {"model": "openai/x", "sub_agents": ["a"]}}
    assert team(agents=agents).agents["b"].sub_agents == ("a",)


# Toolsets


@pytest.mark.parametrize("keys", [{}, {"sub_agents": []}, {"sub_agents": None}])
def test_background_agents_without_sub_agents_are_a_problem(keys: dict[str, Any]) -> None:
    text = problem("agents.a.toolsets[0]", a=toolset(type="background_agents") | keys)
    assert "List them under `sub_agents`" in text


@pytest.mark.parametrize(
    ("keys", "path"), [({"sub_agent": ["b"]}, "sub_agent"), ({"sub_agents": ["c"]}, "sub_agents[0]")]
)
def test_background_agents_do_not_complain_again_about_wrong_sub_agents(keys: dict[str, Any], path: str) -> None:
    problem(f"agents.a.{path}", a=toolset(type="background_agents") | keys)


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ("shell", "", "must be a mapping"),
        ({}, "", "has no `type`. Give it one of: ask_parent, background_agents, fetch, filesystem, mcp, memory,"),
        ({"type": None, "tools": ["x"]}, "", "has no `type`"),
        ({"type": ["shell"]}, ".type", "must be text"),
        ({"type": "shel", "whatever": 1}, ".type", "Did you mean `shell`?"),
        ({"type": "zzz"}, ".type", "Known are: ask_parent, background_agents"),
        ({"type": "lsp", "command": "x"}, ".type", "known in Docker's agent files and not supported"),
        ({"type": "api", "api_config": {}}, ".type", "its tools made of HTTP requests"),
        ({"type": "fetch", "headers": {"X": "y"}}, ".headers", "the headers that it sends"),
        ({"type": "fetch", "blocked_domains": ["https://x"]}, ".blocked_domains[0]", "not the name of a host"),
        ({"type": "todo", "shared": True}, ".shared", "the list that several agents share"),
        ({"type": "todo", "path": "x"}, ".path", "belongs in a toolset of type `memory`"),
        ({"type": "memory", "path": 3}, ".path", "must be text"),
        ({"type": "script"}, "", "has no `shell`"),
        ({"type": "script", "shell": {}}, ".shell", "no tools here"),
        ({"type": "script", "shell": {"a b": {"cmd": "x"}}}, '.shell["a b"]', "not the name of a tool"),
        ({"type": "script", "shell": {"a": {"cmdd": "x"}}}, ".shell.a.cmdd", "Did you mean `cmd`?"),
        ({"type": "script", "shell": {"a": {"description": "x"}}}, ".shell.a", "has no `cmd`"),
        ({"type": "script", "shell": {"a": {"cmd": "x", "args": {"x-y": {}}}}}, ".shell.a.args.x-y", "name of one"),
        ({"type": "script", "shell": {"a": {"cmd": "x", "args": {"x": "text"}}}}, ".shell.a.args.x", "a mapping"),
        (
            {"type": "script", "shell": {"a": {"cmd": "x", "args": {"x": {"type": "strin"}}}}},
            ".shell.a.args.x.type",
            "Did you mean `string`?",
        ),
        (
            {"type": "script", "shell": {"a": {"cmd": "x", "args": {"x": {"minimum": 3}}}}},
            ".shell.a.args.x.minimum",
            "not supported",
        ),
        (
            {"type": "script", "shell": {"a": {"cmd": "x", "args": {"x": {}}, "required": ["y"]}}},
            ".shell.a.required[0]",
            "no parameter 'y'",
        ),
        ({"type": "script", "shell": {"a": {"cmd": "x"}}, "tools": ["b"]}, ".tools[0]", "Its tools are: a."),
        ({"type": "shell", "tools": ["bash"]}, ".tools[0]", "has no tool 'bash'. Its tools are: shell."),
        ({"type": "shell", "tools": []}, ".tools", "The list of tools is empty."),
        ({"type": "shell", "tools": "shell"}, ".tools", "must be a list"),
        ({"type": "shell", "instruction": 1}, ".instruction", "must be text"),
        ({"type": "shell", "timeout": 0}, ".timeout", "must be a number above 0, not 0."),
        ({"type": "shell", "timeout": "soon"}, ".timeout", "'soon' is not a duration."),
        ({"type": "shell", "timeout": "0s"}, ".timeout", "must be a duration above 0, not 0"),
        ({"type": "shell", "timeout": "9" * 90 + "h"}, ".timeout", "must be a duration above 0, not a number beyond"),
        ({"type": "shell", "timeout": "1s" * 60}, ".timeout", "is not a duration."),
        ({"type": "shell", "timeout": float("inf")}, ".timeout", "must be a number above 0"),
        ({"type": "shell", "env": ["A=b"]}, ".env", "must be a mapping"),
        ({"type": "shell", "env": {"A": True}}, ".env.A", "must be text, not true. Put it in quotes."),
        ({"type": "shell", "env": {"A=B": "c"}}, '.env["A=B"]', "holds no `=`"),
        ({"type": "shell", "env": {"": "c"}}, '.env[""]', "readable name"),
        ({"type": "shell", "allow": ["x"]}, ".allow", "It belongs in a toolset of type `filesystem`."),
        ({"type": "think", "ref": "x"}, ".ref", "It belongs in a toolset of type `mcp`."),
        ({"type": "think", "readonly": True}, ".readonly", "the restriction to tools that change nothing"),
        ({"type": "filesystem", "readonly": "yes"}, ".readonly", "must be true or false"),
        ({"type": "filesystem", "allow": [""]}, ".allow[0]", "The text is empty."),
        ({"type": "filesystem", "allow": ["x"], "allow_list": ["x"]}, ".allow_list", "Keep one of the two."),
        ({"type": "filesystem", "deny_list": ["x"]}, ".deny_list", "the folders it must stay out of"),
        ({"type": "filesystem", "post_edit": [{}]}, ".post_edit", "the commands run after an edit"),
        ({"type": "filesystem", "read_only": True}, ".read_only", "Did you mean `readonly`?"),
    ],
)
def test_a_wrong_toolset_is_one_problem(entry: Any, path: str, words: str) -> None:
    assert words in problem(f"agents.a.toolsets[0]{path}", a={"toolsets": [entry]})


def test_folders_may_be_allowed_under_the_name_that_docker_uses() -> None:
    checked = team(a=toolset(type="filesystem", allow_list=["../x"]))
    assert checked.agents["a"].toolsets[0].options == {"allow": ["../x"]}


def test_variables_of_a_shell_are_kept_as_they_are_written() -> None:
    env = {"A": "$B", "C": "${env.D}", "E": 5, "F": ""}
    checked = team(a=toolset(type="shell", env=env))
    assert checked.agents["a"].toolsets[0].options["env"] == {"A": "$B", "C": "${env.D}", "E": "5", "F": ""}


# Permissions and settings


@pytest.mark.parametrize(
    ("permissions", "path", "words"),
    [
        (["shell"], "", "must be a mapping"),
        ({"deny": "shell"}, ".deny", "must be a list"),
        ({"deny": [1]}, ".deny[0]", "must be text"),
        ({"deny": ["shell", "shell:rm*"]}, ".deny[1]", "not a pattern of tool calls"),
        ({"ask": ["shell:cmd=a:cmd=b"]}, ".ask[0]", "not a pattern of tool calls"),
        ({"allow": ["shell:"]}, ".allow[0]", "not a pattern of tool calls"),
        ({"denny": ["shell"]}, ".denny", "Did you mean `deny`?"),
    ],
)
def test_a_wrong_permission_is_one_problem(permissions: Any, path: str, words: str) -> None:
    assert words in problem(f"permissions{path}", permissions=permissions)


def test_denied_tools_are_kept_and_those_that_match_nothing_are_noted() -> None:
    checked = team(permissions={"deny": ["SHELL", "*_agent", "transfer_task", "shel"], "ask": []})
    assert checked.permissions.deny == ("SHELL", "*_agent", "transfer_task", "shel")
    assert checked.ignored == ("permissions.deny[3]",)


def test_what_is_allowed_means_something_only_where_something_is_to_be_asked_about() -> None:
    assert team(permissions={"allow": ["shell"]}).ignored == ("permissions.allow",)
    checked = team(permissions={"allow": ["shell:cmd=git *"], "ask": ["shell"]})
    assert checked.ignored == ()
    assert (checked.permissions.allow, checked.permissions.ask) == (("shell:cmd=git *",), ("shell",))


def test_a_permission_may_name_a_tool_made_of_a_command() -> None:
    agent = {"toolsets": [{"type": "script", "shell": {"deploy": {"cmd": "true"}}}]}
    assert team(a=agent, permissions={"deny": ["deploy", "deplo"]}).ignored == ("permissions.deny[1]",)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("max_running", 0, "a whole number of at least 1, not 0."),
        ("max_queued", -1, "a whole number of at least 0, not -1."),
        ("max_tasks", "many", "a whole number of at least 1, not text."),
        ("max_depth", -1, "at least 1"),
        ("max_output", 0.5, "at least 1"),
        ("stop_grace", -1, "a number of at least 0, not -1."),
        ("stop_grace", float("inf"), "a number of at least 0"),
        ("model_idle_timeout", 0, "a number above 0, not 0."),
        ("max_runing", 1, "Did you mean `max_running`?"),
        ("colour", 1, "Known are: limits, max_answer, max_depth"),
        ("sandbox", True, "its confinement to a sandbox"),
    ],
)
def test_a_wrong_setting_is_one_problem(key: str, value: Any, words: str) -> None:
    assert words in problem(f"runtime.{key}", runtime={key: value})
