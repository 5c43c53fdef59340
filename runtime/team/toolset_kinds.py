"""Toolset kinds: a row for each type that an entry under `toolsets` may name.

A row holds what a team file may say of such an entry, and what makes a toolset of it. A new type is a row here, its
module in `toolsets/`, and its section in the README. Nothing here imports a toolset.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

__all__ = ["TOOLSETS", "Given", "Needs", "Reading", "ToolsetKind"]

Reading: TypeAlias = Literal["boolean", "seconds", "file", "folders", "environment", "domains", "on_finish", "apart"]
"""How the value of a key is read; `apart`: by a module of `teamfile` that belongs to the type."""

Given: TypeAlias = Literal[
    "gateway",
    "working_directory",
    "environ",
    "withheld",
    "limit",
    "settings",
    "tools",
    "task",
    "is_asked",
    "letters",
    "in_loop",
]
"""What a toolset may be given beside its options; see `toolsets.build.build_toolsets`."""

Needs: TypeAlias = Literal["nothing", "commands", "file", "server"]
"""What a toolset needs of the machine; see `team.lacks`."""


class ToolsetKind(msgspec.Struct, frozen=True, kw_only=True):
    """A type of toolset.

    Attributes:
        module: its module in `subactors.runtime.toolsets`.
        factory: the name of its class there.
        tools: the names of its tools, for `tools`; None if a server or the entry itself says them.
        takes: the arguments of its class beside the options.
        options: the keys that an entry of this type may have beside those of all types, and how each is read. They are
            arguments of its class, too.
        other_names: keys among them that mean the same as another one; to that one.
        refused: keys that Docker's agent files may have and this version has not; to what the file would lose.
        needs: what the machine must have for its tools to work.
        in_shared_folder: whether it works in the runtime's folder, even if the agent has one of its own.
    """

    module: str
    factory: str
    tools: tuple[str, ...] | None = None
    takes: tuple[Given, ...] = ()
    options: Mapping[str, Reading] = {}
    other_names: Mapping[str, str] = {}
    refused: Mapping[str, str] = {}
    needs: Needs = "nothing"
    in_shared_folder: bool = False


TOOLSETS: Final[Mapping[str, ToolsetKind]] = MappingProxyType(
    {
        "background_agents": ToolsetKind(
            module="background",
            factory="BackgroundAgentsToolset",
            tools=(
                "run_background_agent",
                "list_background_agents",
                "view_background_agent",
                "stop_background_agent",
                "steer_background_agent",
                "answer_background_agent",
                "map_background_agent",
                "wait_background_agents",
            ),
            takes=("gateway", "settings", "is_asked", "letters", "in_loop"),
            options={
                "fan_out": "boolean",
                "limits": "boolean",
                "notify": "boolean",
                "on_finish": "on_finish",
                "schema": "boolean",
                "steer": "boolean",
            },
        ),
        "ask_parent": ToolsetKind(
            module="questions",
            factory="AskParentToolset",
            tools=("ask_parent",),
            takes=("gateway",),
            options={"timeout": "seconds"},
        ),
        "user_prompt": ToolsetKind(
            module="questions",
            factory="UserPromptToolset",
            tools=("user_prompt",),
            takes=("gateway",),
            options={"timeout": "seconds"},
        ),
        "think": ToolsetKind(module="think", factory="ThinkToolset", tools=("think",)),
        "shell": ToolsetKind(
            module="shell.toolset",
            factory="ShellToolset",
            tools=("shell",),
            takes=("working_directory", "environ", "withheld", "limit"),
            options={"env": "environment", "timeout": "seconds"},
            needs="commands",
        ),
        "script": ToolsetKind(
            module="shell.script",
            factory="ScriptToolset",
            takes=("working_directory", "environ", "withheld", "limit"),
            options={"shell": "apart", "env": "environment", "timeout": "seconds"},
            needs="commands",
        ),
        "filesystem": ToolsetKind(
            module="filesystem.toolset",
            factory="FilesystemToolset",
            tools=(
                "read_file",
                "read_multiple_files",
                "write_file",
                "edit_file",
                "list_directory",
                "directory_tree",
                "search_files_content",
                "create_directory",
                "remove_directory",
            ),
            takes=("working_directory", "limit"),
            options={"allow": "folders", "allow_list": "folders", "allow_git": "boolean", "readonly": "boolean"},
            other_names={"allow_list": "allow"},
        ),
        "todo": ToolsetKind(
            module="todo",
            factory="TodoToolset",
            tools=("create_todo", "create_todos", "update_todos", "list_todos"),
            refused={"shared": "the list that several agents share"},
        ),
        "memory": ToolsetKind(
            module="memory",
            factory="MemoryToolset",
            tools=("add_memory", "get_memories", "search_memories", "update_memory", "delete_memory"),
            takes=("working_directory",),
            options={"path": "file"},
            needs="file",
            in_shared_folder=True,
        ),
        "fetch": ToolsetKind(
            module="fetch.toolset",
            factory="FetchToolset",
            tools=("fetch",),
            takes=("limit",),
            options={
                "timeout": "seconds",
                "allow_private_ips": "boolean",
                "allowed_domains": "domains",
                "blocked_domains": "domains",
            },
            refused={"headers": "the headers that it sends"},
        ),
        "python": ToolsetKind(
            module="python.toolset",
            factory="PythonToolset",
            takes=("environ", "withheld", "task"),
            options={"functions": "apart", "timeout": "seconds"},
        ),
        "mcp": ToolsetKind(
            module="mcp.toolset",
            factory="McpToolset",
            takes=("working_directory", "environ", "withheld", "tools"),
            options={
                "command": "apart",
                "args": "apart",
                "env": "apart",
                "cwd": "apart",
                "working_dir": "apart",
                "remote": "apart",
                "ref": "apart",
                "config": "apart",
                "name": "apart",
                "timeout": "apart",
                "startup_timeout": "apart",
                "lifecycle": "apart",
            },
            needs="server",
        ),
    }
)
"""The types there are."""
