"""Which tool calls a team file lets through."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime import Runtime
from subactors.runtime.team.permissions import Permissions
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.shell.toolset import ShellToolset
from teams import model, plan, run_and_wait


def may(permissions: Permissions, tool: str, **arguments: Any) -> bool:
    return not permissions.refusal(tool, arguments)


@pytest.mark.parametrize(
    ("pattern", "tool", "arguments", "matches"),
    [
        ("shell", "shell", {"cmd": "ls"}, True),
        ("SH*", "shell", {}, True),
        ("shell:cmd=rm*", "shell", {"cmd": "RM -rf x"}, True),
        ("shell:cmd=rm*", "shell", {"cmd": "ls"}, False),
        ("shell:cmd=rm*", "shell", {}, False),
        ("shell:cmd=rm*:cwd=/etc*", "shell", {"cmd": "rm x", "cwd": "/etc/x"}, True),
        ("shell:cmd=rm*:cwd=/etc*", "shell", {"cmd": "rm x", "cwd": "/srv"}, False),
        ("fetch:urls=http://*", "fetch", {"urls": ["https://a", "http://b"]}, True),
        ("*:path=*.pem", "read_file", {"path": "/a\nb.pem"}, True),
        ("tool:count=1?", "tool", {"count": 12}, True),
        ("tool:flag=true", "tool", {"flag": True}, True),
    ],
)
def test_a_pattern_is_for_a_tool_and_may_be_for_its_arguments(
    pattern: str, tool: str, arguments: dict[str, Any], matches: bool
) -> None:
    assert may(Permissions(deny=(pattern,)), tool, **arguments) is not matches


def test_what_is_denied_wins_over_what_is_allowed() -> None:
    permissions = Permissions(allow=("shell",), deny=("shell:cmd=rm*",))
    assert may(permissions, "shell", cmd="ls")
    assert not may(permissions, "shell", cmd="rm x")


def test_what_is_allowed_need_not_be_asked_about() -> None:
    permissions = Permissions(allow=("shell:cmd=git *",), ask=("shell",))
    assert may(permissions, "shell", cmd="git status")
    assert not may(permissions, "shell", cmd="make")


def test_a_list_of_values_is_allowed_if_all_of_them_are_and_asked_about_if_any_is() -> None:
    permissions = Permissions(allow=("fetch:urls=https://a/*",), ask=("fetch:urls=*",))
    assert may(permissions, "fetch", urls=["https://a/1", "https://a/2"])
    assert not may(permissions, "fetch", urls=["https://a/1", "https://b/"])


def called(permissions: Permissions, folder: Path, **arguments: Any) -> ToolAnswer:
    toolset = ShellToolset(working_directory=folder, environ={"PATH": "/usr/bin:/bin"})
    return asyncio.run(ToolBox([toolset], permissions=permissions).call("shell", json.dumps(arguments)))


def test_a_call_that_is_denied_is_an_error_that_names_the_pattern_and_does_nothing(tmp_path: Path) -> None:
    answer = called(Permissions(deny=("shell:cmd=touch*",)), tmp_path, cmd="touch x")
    assert answer.is_error
    assert "`shell:cmd=touch*`" in answer.text
    assert not list(tmp_path.iterdir())


def test_a_call_to_be_asked_about_is_an_error_that_says_that_nobody_can_be(tmp_path: Path) -> None:
    answer = called(Permissions(ask=("shell",)), tmp_path, cmd="touch x")
    assert answer.is_error
    assert "nobody can be asked" in answer.text
    assert not list(tmp_path.iterdir())


def test_a_tool_that_is_denied_for_some_arguments_is_still_offered(tmp_path: Path) -> None:
    toolset = ShellToolset(working_directory=tmp_path, environ={})
    assert len(ToolBox([toolset], permissions=Permissions(deny=("shell:cmd=rm*",), ask=("shell",))).schemas) == 1
    assert not ToolBox([toolset], permissions=Permissions(deny=("sh*",))).schemas


def test_permissions_hold_in_the_process_of_a_task() -> None:
    team = {
        "agents": {"worker": model("follows_a_plan", toolsets=[{"type": "shell"}])},
        "permissions": {"ask": ["shell"], "allow": ["shell:cmd=echo *"]},
    }
    calls = [["shell", {"cmd": "echo done"}]], [["shell", {"cmd": "true"}]]
    with Runtime.from_mapping(team) as runtime:
        view = run_and_wait(runtime, "worker", plan(*calls, "answers"))
    done, refused = json.loads(view.result)
    assert "done" in done
    assert "needs somebody's approval" in refused
