"""Toolsets that may be missing: the task starts without them, and its reader, its model and `check` are told so."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from model_server import Calls, ModelServer, Reply, Request, Text
from subactors.runtime import RequirementError, Runtime, TaskView, ToolsetError
from subactors.runtime.team.config import ToolsetConfig
from subactors.runtime.teamfile.load import team_from_mapping
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.mcp.toolset import McpToolset
from subactors.runtime.toolsets.optional import OptionalToolset
from teams import entrypoint, run_and_wait
from warm_commands import run_command

pytestmark = pytest.mark.usefixtures("zygote_for_mcp")

SCRIPT = str(Path(__file__).parents[2] / "kit" / "mcp_server_stdio.py")
SERVER = {"type": "mcp", "command": sys.executable, "args": [SCRIPT]}

MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "command": ({"type": "mcp", "command": "no-such-command"}, "needs the command 'no-such-command'"),
    "variable": ({**SERVER, "env": {"A": "${env.NOT_SET_ANYWHERE}"}}, "NOT_SET_ANYWHERE is not set"),
    "folder": ({**SERVER, "cwd": "/nowhere"}, "which is not a folder"),
    "death": (
        {"type": "mcp", "command": "sh", "args": ["-c", "echo the database is away >&2; exit 4"]},
        "the database is away",
    ),
    "silence": ({**SERVER, "args": [SCRIPT, "--deaf"], "startup_timeout": 0.5}, "was not ready after 0.5 s"),
    "no_tools": ({**SERVER, "args": [SCRIPT, "--no-tools"]}, "has no tools"),
    "other_tools": ({**SERVER, "tools": ["ecco"]}, "has no tool 'ecco'"),
    "remote": ({"type": "mcp", "remote": {"url": "http://127.0.0.1:9/mcp"}}, "cannot be used"),
    "shell": ({"type": "shell", "env": {"A": "${NOT_SET_ANYWHERE}"}}, "The shell toolset's env needs it for A."),
    "script": ({"type": "script", "shell": {"a": {"cmd": "a", "working_dir": "/nowhere"}}}, "works in /nowhere"),
    "memory": ({"type": "memory", "path": "/proc/1/x/memory.db"}, "which cannot be written"),
}


def team(url: str, *toolsets: dict[str, Any]) -> dict[str, Any]:
    agent = {"model": "m", "instruction": "Be brief.", "toolsets": list(toolsets)}
    return {"agents": {"a": agent}, "models": {"m": {"provider": "vllm", "model": "x", "base_url": url}}}


def run(server: ModelServer, folder: Path, *toolsets: dict[str, Any]) -> TaskView:
    with Runtime.from_mapping(team(server.base_url, *toolsets), working_dir=folder, standby=0) as runtime:
        (ended,) = runtime.wait([runtime.run("a", "Go.")], timeout=60)
    return ended


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, ModelServer]]:
    """A team with an agent for each kind, whose model has the same name, and the models' server."""
    with ModelServer({kind: [Text("Done.")] for kind in MISSING}) as server:
        mapping: dict[str, Any] = {"agents": {"echo": entrypoint("echo")}, "models": {}}
        for kind, (toolset, _) in MISSING.items():
            toolsets = [{**toolset, "optional": True}, {"type": "think"}]
            mapping["agents"][kind] = {"model": kind, "instruction": "Be brief.", "toolsets": toolsets}
            mapping["models"][kind] = {"provider": "vllm", "model": kind, "base_url": server.base_url}
        folder = tmp_path_factory.mktemp("lacking")
        with Runtime.from_mapping(mapping, working_dir=folder, standby=0) as runtime:
            run_and_wait(runtime, "echo", "warm up")
            yield runtime, server


@first_always("kind", MISSING)
def test_a_task_starts_without_an_optional_toolset_and_says_so(kind: str, lacking: tuple[Runtime, ModelServer]) -> None:
    runtime, server = lacking
    toolset, reason = MISSING[kind]
    (ended,) = runtime.wait([runtime.run(kind, "Go.")], timeout=60)

    assert ended.status == "completed", ended.reason
    assert ended.result == "Done."
    assert ended.output.startswith(f"[The optional toolset {toolset['type']} is missing in this task: ")
    assert reason in ended.output
    assert "The task goes on without it.]\n" in ended.output
    (request,) = [request for request in server.requests if request.model == kind]
    assert "## Missing tools" in request.system
    assert reason in request.system
    assert request.tools == ["think"]


def test_an_optional_toolset_that_is_there_is_as_any_other(tmp_path: Path) -> None:
    replies: list[Reply] = [Calls(("old_count", {})), Text("Done.")]
    with ModelServer(replies) as server:
        ended = run(server, tmp_path, {**SERVER, "optional": True, "name": "old", "tools": ["count"]})

    assert ended.output == "Done."
    assert "Missing" not in server.requests[0].system
    assert "Ask for one thing at a time." in server.requests[0].system
    assert server.requests[0].tools == ["old_count"]
    assert server.requests[1].tool_answers == ["1"]


def test_a_model_that_calls_a_missing_tool_is_told_why_it_is_missing(tmp_path: Path) -> None:
    replies: list[Reply] = [Calls(("old_count", {})), Text("Done.")]
    with ModelServer(replies) as server:
        run(server, tmp_path, {**MISSING["command"][0], "optional": True, "name": "old"}, {"type": "think"})

    (answer,) = server.requests[1].tool_answers
    assert answer.startswith("There is no tool 'old_count'. Available tools: think. The optional toolset mcp (old) is")


def test_of_two_toolsets_with_a_tool_of_one_name_the_optional_one_is_left_out(tmp_path: Path) -> None:
    with ModelServer([Text("Done.")]) as server:
        ended = run(server, tmp_path, SERVER, {**SERVER, "optional": True, "tools": ["pid", "echo"]})

    assert ended.status == "completed"
    assert "Two toolsets have a tool 'echo'" in ended.output
    assert server.requests[0].tools.count("pid") == 1


def test_a_toolset_that_is_not_optional_still_ends_the_task(tmp_path: Path) -> None:
    with ModelServer([]) as server:
        ended = run(server, tmp_path, MISSING["death"][0], {**MISSING["command"][0], "optional": True})
    assert ended.status == "failed"
    assert "the database is away" in ended.reason

    mapping = team("http://127.0.0.1:9/v1", MISSING["command"][0])
    with Runtime.from_mapping(mapping, standby=0) as runtime, pytest.raises(RequirementError, match="no-such-command"):
        runtime.run("a", "Go.")


def test_a_toolset_that_went_missing_before_a_restart_is_told_to_the_model_that_goes_on(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPT}"\n')
    program.chmod(0o700)

    def crash(request: Request) -> Reply:
        if request.turn == 0:
            return Calls(("think", {"thought": "hm"}))
        if program.exists():
            program.unlink()
            return Calls(("shell", {"cmd": "kill -9 $PPID"}))
        return Text("Done.")

    toolsets = [{"type": "mcp", "command": str(program), "optional": True}, {"type": "shell"}, {"type": "think"}]
    with ModelServer(crash) as server:
        mapping = team(server.base_url, *toolsets)
        mapping["agents"]["a"]["restart"] = {"policy": "transient", "max_restarts": 2, "backoff": 0.01}
        with Runtime.from_mapping(mapping, working_dir=tmp_path, standby=0) as runtime:
            (ended,) = runtime.wait([runtime.run("a", "Go.")], timeout=60)

    assert (ended.status, ended.attempts) == ("completed", 2), ended.reason
    assert "echo" in server.requests[0].tools
    assert "Missing" not in server.requests[0].system
    last = server.requests[-1]
    assert "echo" not in last.tools
    assert "By now:\nThe optional toolset mcp is missing in this task: The MCP server server needs" in last.system
    assert last.turn == 2


def test_a_hosts_own_loop_finds_in_the_instructions_what_is_missing() -> None:
    mapping = team("http://127.0.0.1:9/v1", {**MISSING["death"][0], "optional": True}, {"type": "think"})
    with Runtime.from_mapping(mapping, standby=0) as runtime, runtime.toolset("a") as toolset:
        assert [schema["function"]["name"] for schema in toolset.schemas] == ["think"]
        assert "the database is away" in toolset.instructions
        assert [sentence.split(":")[0] for sentence in toolset.missing] == [
            "The optional toolset mcp is missing in this task"
        ]
        assert not toolset.call("think", '{"thought": "I do without."}').is_error


def test_a_secret_is_not_in_what_is_said_of_a_missing_toolset(tmp_path: Path) -> None:
    broken = {
        "type": "mcp",
        "command": "sh",
        "args": ["-c", "echo no $API_KEY >&2"],
        "env": {"API_KEY": "s3cret-value"},
    }
    with ModelServer([Text("Done.")]) as server:
        ended = run(server, tmp_path, {**broken, "optional": True})
    assert "no ***" in ended.output
    assert "s3cret" not in ended.output + server.requests[0].system


def test_an_opening_that_is_cancelled_is_not_taken_for_a_missing_toolset() -> None:
    async def main() -> None:
        server = {"command": sys.executable, "args": (SCRIPT, "--deaf")}
        toolset = OptionalToolset(
            "mcp", [], lambda: McpToolset(working_directory=Path.cwd(), environ=os.environ, server=server)
        )
        box = ToolBox([toolset])
        opening = asyncio.create_task(box.open())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await box.close()
        assert not toolset.missing

    asyncio.run(main())


# --- the team file --------------------------------------------------------------------------------------------------


def toolset_of(toolset: dict[str, Any], **top: Any) -> ToolsetConfig:
    (config,) = team_from_mapping({**team("http://h/v1", toolset), **top}).agents["a"].toolsets
    return config


@pytest.mark.parametrize("kind", ["mcp", "shell", "script", "memory", "filesystem", "fetch", "think", "todo"])
def test_every_type_of_toolset_may_be_optional(kind: str) -> None:
    needed = {"mcp": {"command": "x"}, "script": {"shell": {"a": {"cmd": "a"}}}, "memory": {"path": "x"}}
    assert toolset_of({"type": kind, **needed.get(kind, {}), "optional": True}).optional
    assert not toolset_of({"type": kind, **needed.get(kind, {})}).optional


def test_what_a_definition_says_counts_where_the_toolset_says_nothing() -> None:
    mcps = {"hub": {"command": "x", "optional": True}}
    assert toolset_of({"type": "mcp", "ref": "hub"}, mcps=mcps).optional
    assert not toolset_of({"type": "mcp", "ref": "hub", "optional": False}, mcps=mcps).optional


@pytest.mark.parametrize(
    ("lifecycle", "optional", "options"),
    [
        ({"profile": "resilient"}, True, {"max_restarts": 5}),
        ({"profile": "strict"}, False, {"max_restarts": 0}),
        ({"profile": "best-effort"}, True, {"max_restarts": 0}),
        ({"max_restarts": 10}, False, {"max_restarts": 10}),
        ({"max_restarts": -1, "required": True}, False, {"max_restarts": None}),
        ({"max_restarts": 0, "required": False}, True, {"max_restarts": 5}),
        ({"profile": "resilient", "required": True}, False, {"max_restarts": 5}),
        ({"profile": "strict", "restart": "on_failure", "max_restarts": 2}, False, {"max_restarts": 2}),
        ({"profile": "strict", "max_restarts": 2}, False, {"max_restarts": 0}),
        ({"restart": "never"}, False, {"max_restarts": 0}),
        ({"restart": "always"}, False, {"max_restarts": 5}),
        (
            {"startup_timeout": "1m30s", "call_timeout": "500ms"},
            False,
            {"max_restarts": 5, "startup_timeout": 90.0, "timeout": 0.5},
        ),
    ],
)
def test_the_lifecycle_of_dockers_files_is_understood(
    lifecycle: dict[str, Any], optional: bool, options: dict[str, Any]
) -> None:
    config = toolset_of({"type": "mcp", "command": "x", "lifecycle": lifecycle})
    assert config.optional is optional
    assert {key: value for key, value in config.options.items() if key != "server"} == options


def test_what_the_toolset_says_itself_wins_over_its_lifecycle() -> None:
    lifecycle = {"profile": "strict", "call_timeout": 5}
    config = toolset_of({"type": "mcp", "command": "x", "optional": True, "timeout": 7, "lifecycle": lifecycle})
    assert config.optional
    assert config.options["timeout"] == 7.0


def test_what_a_lifecycle_cannot_do_here_is_without_effect() -> None:
    backoff = {"initial": "500ms", "max": "1m", "multiplier": 2, "jitter": 0.2}
    given = {"profile": "strict", "max_restarts": 2, "call_timeout": 0, "backoff": backoff}
    mapping = team("http://h/v1", {"type": "mcp", "command": "x", "lifecycle": given})
    mapping["agents"]["a"]["toolsets"].append({"type": "shell", "lifecycle": {"profile": "strict"}})
    assert team_from_mapping(mapping).ignored == (
        "agents.a.toolsets[0].lifecycle.max_restarts",
        "agents.a.toolsets[0].lifecycle.call_timeout",
        "agents.a.toolsets[0].lifecycle.backoff",
        "agents.a.toolsets[1].lifecycle",
    )


def test_check_says_what_would_be_done_without_and_what_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "agents:\n  a:\n    model: ollama/x\n    toolsets:\n"
        "      - {type: mcp, command: no-such-command, lifecycle: {profile: best-effort, backoff: {initial: 1s}}}\n"
        "      - {type: shell, env: {A: '${NOT_SET}'}, optional: true}\n"
    )
    done = run_command("check", "team.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a: would do without the optional toolset mcp: The MCP server no-such-command needs" in done.stdout
    assert "a: would do without the optional toolset shell: The environment variable NOT_SET is not set." in done.stdout
    assert "agents.a.toolsets[0].lifecycle.backoff: accepted, and without effect here" in done.stdout


# --- started again --------------------------------------------------------------------------------------------------


def die_and_count(**options: Any) -> list[str]:
    async def main() -> list[str]:
        server = {"command": sys.executable, "args": (SCRIPT,)}
        box = ToolBox([McpToolset(working_directory=Path.cwd(), environ=os.environ, server=server, **options)])
        try:
            await box.open()
            return [(await box.call(tool, "")).text for tool in ("die", "count", *["die"] * 7)]
        finally:
            await box.close()

    return asyncio.run(main())


def test_a_server_that_is_never_started_again_is_gone_after_its_first_end() -> None:
    _, second, *_ = die_and_count(max_restarts=0)
    assert "was lost and is not made again. Go on without its tools." in second


def test_a_server_may_be_started_again_without_end() -> None:
    assert all("was lost during the call" in answer for answer in die_and_count(max_restarts=None)[2:])


def test_an_optional_toolset_raises_nothing_when_it_cannot_be_built() -> None:
    def build() -> McpToolset:
        raise ToolsetError("there is none")

    toolset = OptionalToolset("mcp", [], build)
    assert toolset.missing == "The optional toolset mcp is missing in this task: there is none"
    assert not toolset.tools
