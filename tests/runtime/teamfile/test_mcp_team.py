"""MCP servers in team files: what is right, what is refused, and what a machine lacks, found before anything runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, ModelServer, Text
from subactors.runtime import RequirementError, Runtime, TeamFileError
from subactors.runtime.teamfile.load import load_team, team_from_mapping
from teams import model, plan, run_and_wait
from warm_commands import run_command

pytestmark = pytest.mark.usefixtures("warm_commands")

EXAMPLE = Path(__file__).parents[2] / "example-team.yaml"
SCRIPT = str(Path(__file__).parents[2] / "kit" / "mcp_server_stdio.py")
MCP = {"type": "mcp"}


def options(toolset: dict[str, Any], **top: Any) -> dict[str, Any]:
    """The options of the one toolset of a team."""
    team = team_from_mapping({"agents": {"a": model("streams", toolsets=[{**MCP, **toolset}])}, **top})
    return team.agents["a"].toolsets[0].options


def problem(toolset: dict[str, Any], **top: Any) -> tuple[str, str]:
    """Path and text of the one problem of a team with this toolset."""
    with pytest.raises(TeamFileError) as raised:
        options(toolset, **top)
    (found,) = raised.value.problems
    return found.path.removeprefix("agents.a.toolsets[0]"), f"{found.message} {found.remedy}"


# --- what a file may say --------------------------------------------------------------------------------------------


def test_a_server_on_a_pipe() -> None:
    given = {
        "command": "uvx",
        "args": ["mcp-server-time", "--quiet"],
        "env": {"A": "${env.B}", "N": 3},
        "cwd": "data",
        "name": "clock",
        "timeout": 5,
        "startup_timeout": 2.5,
        "version": "false",
    }
    assert options(given) == {
        "server": {
            "command": "uvx",
            "args": ("mcp-server-time", "--quiet"),
            "env": {"A": "${env.B}", "N": "3"},
            "cwd": "data",
        },
        "name": "clock",
        "timeout": 5.0,
        "startup_timeout": 2.5,
    }


@pytest.mark.parametrize(
    ("given", "transport"),
    [({}, None), ({"transport_type": "streamable"}, "streamable-http"), ({"transport_type": "sse"}, "sse")],
)
def test_a_remote_server(given: dict[str, str], transport: str | None) -> None:
    remote = {"url": "https://host/mcp", "headers": {"Authorization": "Bearer ${env.TOKEN}"}, **given}
    expected = {"url": "https://host/mcp", "headers": {"Authorization": "Bearer ${env.TOKEN}"}}
    assert options({"remote": remote})["server"] == expected | ({"transport": transport} if transport else {})


def test_a_server_of_dockers_catalog() -> None:
    given = {"ref": "docker:github", "config": {"paths": ["/a", 1, True]}, "env": {"github.token": "${env.T}"}}
    assert options(given)["server"] == {
        "docker": "github",
        "config": {"paths": ["/a", 1, True]},
        "env": {"github.token": "${env.T}"},
    }


def test_a_definition_is_what_a_toolset_says_nothing_about() -> None:
    definition = {"ref": "docker:github", "env": {"A": "1", "B": "1"}, "tools": ["x"], "instruction": "Be brief."}
    mapping = {
        "agents": {"a": model("streams", toolsets=[{**MCP, "ref": "hub", "env": {"B": "2"}, "name": "n"}])},
        "mcps": {"hub": definition},
    }
    (toolset,) = team_from_mapping(mapping).agents["a"].toolsets
    assert toolset.options == {"server": {"docker": "github", "env": {"A": "1", "B": "2"}}, "name": "n"}
    assert toolset.tools == ("x",)
    assert toolset.instruction == "Be brief."


@pytest.mark.parametrize(
    ("toolset", "path", "words"),
    [
        ({}, "", "This names no MCP server. Give a `command`"),
        ({"command": "x", "ref": "docker:y"}, "", "This names several servers: `command` and `ref`."),
        ({"commnd": "x"}, ".commnd", "Did you mean `command`?"),
        ({"command": ""}, ".command", "The text is empty."),
        ({"command": "x", "args": "y"}, ".args", "must be a list"),
        ({"command": "x", "env": ["A=b"]}, ".env", "must be a mapping"),
        ({"command": "x", "timeout": 0}, ".timeout", "must be a number above 0"),
        ({"command": "x", "cwd": "a", "working_dir": "b"}, ".working_dir", "Keep one of the two."),
        ({"command": "x", "config": {"a": 1}}, ".config", "It goes with a `ref` to Docker's catalog."),
        ({"command": "x", "tools": []}, ".tools", "The list of tools is empty."),
        ({"command": "x", "optional": "yes"}, ".optional", "This must be true or false"),
        ({"command": "x", "lifecycle": "strict"}, ".lifecycle", "must be a mapping"),
        ({"command": "x", "lifecycle": {"profile": "strikt"}}, ".lifecycle.profile", "Did you mean `strict`?"),
        (
            {"command": "x", "lifecycle": {"restart": "no"}},
            ".lifecycle.restart",
            "Known are: always, never, on_failure",
        ),
        ({"command": "x", "lifecycle": {"retries": 5}}, ".lifecycle.retries", "There is no key `retries`."),
        ({"command": "x", "lifecycle": {"max_restarts": -2}}, ".lifecycle.max_restarts", "at least -1"),
        ({"command": "x", "lifecycle": {"call_timeout": "1x"}}, ".lifecycle.call_timeout", "is not a duration"),
        ({"command": "x", "lifecycle": {"backoff": {"jitter": 2}}}, ".lifecycle.backoff.jitter", "from 0 to 1"),
        ({"command": "x", "shell": {"a": 1}}, ".shell", "It belongs in a toolset of type `script`."),
        ({"ref": "docker:"}, ".ref", "names no server. Write it like `docker:duckduckgo`."),
        ({"ref": "docker:a --volume"}, ".ref", "names no server."),
        ({"ref": "hub"}, ".ref", "There is no MCP server 'hub' under `mcps`."),
        ({"ref": "docker:x", "args": ["y"]}, ".args", "It goes with a `command`."),
        ({"remote": {}}, ".remote", "There is no `url`."),
        ({"remote": {"url": "host/mcp"}}, ".remote.url", "Write it like `https://host/mcp`."),
        ({"remote": {"url": "https://me:key@host/mcp"}}, ".remote.url", "holds a user or a password"),
        ({"remote": {"url": "https://h", "transport_type": "ws"}}, ".remote.transport_type", "no transport `ws`"),
        ({"remote": {"url": "https://h", "headers": {"a b": "c"}}}, '.remote.headers["a b"]', "the name of a header"),
        ({"remote": {"url": "https://h", "headers": {"a": "b\nc"}}}, ".remote.headers.a", "A header is one line."),
        ({"remote": {"url": "https://h", "oauth": {"a": "b"}}}, ".remote.oauth", "its way to sign in"),
    ],
)
def test_a_wrong_toolset_is_one_problem_at_its_place(toolset: dict[str, Any], path: str, words: str) -> None:
    where, text = problem(toolset)
    assert where == path
    assert words in text


@pytest.mark.parametrize(
    ("definition", "path", "words"),
    [
        ({}, "mcps.hub", "This names no MCP server."),
        ({"ref": "other"}, "mcps.hub.ref", "A definition cannot refer to another one"),
        ({"command": "x", "type": "shell"}, "mcps.hub.type", "is of type `mcp`"),
        ({"command": "x", "url": "y"}, "mcps.hub.url", "`url` means nothing here."),
        ("docker:x", "mcps.hub", "must be a mapping"),
    ],
)
def test_a_wrong_definition_is_one_problem_even_where_it_is_used(definition: Any, path: str, words: str) -> None:
    where, text = problem({"ref": "hub"}, mcps={"hub": definition})
    assert where == path
    assert words in text


def test_a_misspelt_reference_is_corrected() -> None:
    assert "Did you mean `search`?" in problem({"ref": "serach"}, mcps={"search": {"command": "x"}})[1]


def test_a_pattern_of_permissions_may_mean_a_tool_that_only_a_server_knows() -> None:
    mapping = {
        "agents": {"a": model("streams", toolsets=[{**MCP, "command": "x"}])},
        "permissions": {"deny": ["git_push"]},
    }
    assert team_from_mapping(mapping).ignored == ()


# --- what the machine lacks -----------------------------------------------------------------------------------------


def example(monkeypatch: pytest.MonkeyPatch, server: ModelServer, path: str) -> Runtime:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("PATH", path)
    return Runtime(load_team(EXAMPLE))


def stand_in(folder: Path) -> Path:
    """Make a `docker` that serves MCP when it is asked for the gateway, and writes down what it was asked."""
    docker = folder / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$@" >>"{folder}/asked"\n'
        f'[ "$1 $2 $3" = "mcp gateway run" ] && exec "{sys.executable}" "{SCRIPT}"\nexit 125\n'
    )
    docker.chmod(0o755)
    return docker


def test_the_example_team_runs_with_a_docker_that_serves_mcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path)
    replies = [Calls(("echo", {"text": "quack"})), Text("Ducks quack.")]
    with ModelServer(replies) as server, example(monkeypatch, server, f"{tmp_path}:/usr/bin:/bin") as runtime:
        view = run_and_wait(runtime, "researcher", "Ducks")
        assert (view.status, view.result) == ("completed", "Ducks quack."), view.reason
        assert server.requests[1].tool_answers == ['{"text": "quack"}']
    assert (tmp_path / "asked").read_text() == "mcp gateway run --servers duckduckgo\n"


def test_the_example_team_runs_from_the_command_line(tmp_path: Path) -> None:
    stand_in(tmp_path)
    work = {"agent": "researcher", "task": "Ducks", "expected_output": "one line"}
    script = {
        "Fan out research": [
            Calls(("run_background_agent", {"agent": "researcher", "task": "Geese"})),
            Calls(("transfer_task", work)),
            Calls(("list_background_agents", {})),
            Text("Ducks quack, it seems."),
        ],
        "Research topics": [Calls(("echo", {"text": "quack"})), Text("Ducks quack.")],
    }
    with ModelServer(script) as server:
        environ = {
            **os.environ,
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "none",
            "PATH": f"{tmp_path}:/usr/bin:/bin",
        }
        program = str(Path(sys.executable).with_name("subactors"))
        done = subprocess.run(
            [program, "run", str(EXAMPLE), "Ducks"], env=environ, capture_output=True, text=True, check=False
        )
        answers = [answer for request in server.requests for answer in request.tool_answers]
    assert (done.returncode, done.stdout) == (0, "Ducks quack, it seems.\n"), done.stderr
    assert '{"text": "quack"}' in answers
    assert any(answer.startswith("Ducks quack.") for answer in answers)  # it may be told of the other's end, too


def test_without_docker_neither_the_agent_nor_its_orchestrator_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([]) as server, example(monkeypatch, server, "/nowhere") as runtime:
        for agent in ("researcher", "coordinator"):
            with pytest.raises(RequirementError, match=r"Agent 'researcher' cannot run here.*Install Docker"):
                runtime.run(agent, "Ducks")
        with pytest.raises(RequirementError, match="needs `docker`, which is not on PATH"):
            runtime.toolset("coordinator")
        assert runtime.list() == []


def test_a_docker_without_its_mcp_plugin_is_told_from_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = shutil.which("true")
    assert compiled is not None
    shutil.copy(compiled, tmp_path / "docker")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    with ModelServer([Text("done")]) as server, example(monkeypatch, server, str(tmp_path)) as runtime:
        with pytest.raises(RequirementError, match=r"needs Docker's MCP plugin: .* but no docker-mcp"):
            runtime.run("researcher", "Ducks")
        plugins = tmp_path / "more"
        plugins.mkdir()
        (plugins / "docker-mcp").touch()
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.json").write_text(f'{{"cliPluginsExtraDirs": ["{plugins}"]}}')
        view = run_and_wait(runtime, "researcher", "Ducks")
    assert "The MCP server docker:duckduckgo did not start. It ended with exit status 0." in view.reason


def test_a_server_of_docker_gets_configuration_and_secrets_in_files_that_nobody_else_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = stand_in(tmp_path)
    lines = docker.read_text().replace("[ ", f'cat "$7" "$9" >"{tmp_path}/files"\n[ ')
    docker.write_text(lines)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HUB_TOKEN", "s3cret-value")
    toolset = {**MCP, "ref": "docker:hub", "env": {"hub.token": "${env.HUB_TOKEN}"}, "config": {"path": "/data"}}
    with Runtime.from_mapping({"agents": {"a": model("follows_a_plan", toolsets=[toolset])}}, standby=0) as runtime:
        view = run_and_wait(runtime, "a", plan([("count", {})], "answers"))
    assert view.status == "completed", view.reason
    assert (tmp_path / "files").read_text() == 'hub.token=s3cret-value\n{"hub":{"path":"/data"}}'
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("mcp gateway run --servers hub --secrets /proc/")
    assert "s3cret" not in asked


def check(path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return run_command("check", path, environ={"HOME": "/", **environ})


def test_check_says_what_would_not_run_here_and_runs_nothing(tmp_path: Path) -> None:
    done = check(EXAMPLE, PATH="/nowhere")
    assert done.returncode == 1
    assert "researcher: model openai/gpt-4o; toolsets mcp (docker:duckduckgo)" in done.stdout
    assert "researcher: would not run here: The MCP server docker:duckduckgo needs `docker`" in done.stdout
    stand_in(tmp_path)
    done = check(EXAMPLE, PATH=f"{tmp_path}:/usr/bin:/bin", OPENAI_API_KEY="none")
    assert done.returncode == 0, done.stderr
    assert "would not run" not in done.stdout
    assert not (tmp_path / "asked").exists()


def test_check_names_a_command_and_a_variable_that_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "agents:\n  a:\n    model: ollama/x\n    toolsets:\n"
        "      - {type: mcp, command: no-such-server}\n"
        "      - {type: mcp, remote: {url: 'https://host/mcp', headers: {A: '${env.NOT_SET}'}}}\n"
    )
    done = check(file, PATH="/usr/bin")
    assert done.returncode == 1
    assert "needs the command 'no-such-server', which is not installed" in done.stdout
    assert "The environment variable NOT_SET is not set. The MCP server https://host/mcp needs it" in done.stdout


def test_the_command_line_says_what_to_install_before_anything_starts(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("subactors"))
    environ = {"HOME": str(tmp_path), "PATH": "/nowhere", "OPENAI_API_KEY": "none"}
    done = subprocess.run(
        [program, "run", str(EXAMPLE), "Ducks"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Install Docker with its MCP plugin" in done.stderr
    assert "Traceback" not in done.stderr
