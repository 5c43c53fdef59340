"""Toolsets: checks the `toolsets` of an agent.

It holds what a team file may say about each type of toolset, the names of its tools included. It must not import the
toolsets themselves: a file is checked without loading what would run it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from ..team.config import ToolsetConfig
from .keys import MCP, TOOLSET, TOOLSET_OWNERS, UNSUPPORTED_TOOLSETS
from .mcp import McpDefinitions, read_mcp
from .scripts import read_scripts
from .values import Keys, Section, Value, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TOOLSETS", "ToolsetKind", "read_toolset", "toolset_type"]


@dataclass(frozen=True)
class ToolsetKind:
    """A type of toolset.

    Attributes:
        tools: the names of its tools, for `tools`; None if a server or the entry itself says them.
        keys: the keys that an entry of this type may have beside those of all types.
        refused: those that Docker's agent files may have and this version has not; to what the file would lose.
    """

    tools: tuple[str, ...] | None
    keys: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


TOOLSETS: Mapping[str, ToolsetKind] = MappingProxyType(
    {
        "background_agents": ToolsetKind(
            ("run_background_agent", "list_background_agents", "view_background_agent", "stop_background_agent")
        ),
        "think": ToolsetKind(("think",)),
        "shell": ToolsetKind(("shell",), ("env", "timeout")),
        "filesystem": ToolsetKind(
            (
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
            ("allow", "allow_git", "allow_list", "readonly"),
        ),
        "todo": ToolsetKind(
            ("create_todo", "create_todos", "update_todos", "list_todos"),
            refused=MappingProxyType({"shared": "the list that several agents share"}),
        ),
        "memory": ToolsetKind(
            ("add_memory", "get_memories", "search_memories", "update_memory", "delete_memory"), ("path",)
        ),
        "fetch": ToolsetKind(
            ("fetch",),
            ("timeout", "allow_private_ips", "allowed_domains", "blocked_domains"),
            MappingProxyType({"headers": "the headers that it sends"}),
        ),
        "script": ToolsetKind(None, ("shell", "env", "timeout")),
        "mcp": ToolsetKind(None, tuple(sorted(MCP.supported))),
    }
)
"""The types there are."""


def toolset_type(toolset: Value) -> str | None:
    """Return the type that an entry names, whatever else is wrong with it; notes nothing."""
    value = toolset.node.value
    named = value.get("type") if isinstance(value, dict) else None
    return named.value if named is not None and isinstance(named.value, str) else None


def read_toolset(toolset: Value, definitions: McpDefinitions) -> ToolsetConfig | None:
    """Check one entry; None if anything about it is wrong, which then is noted.

    Args:
        toolset: the entry.
        definitions: what `mcps` defines.
    """
    name = toolset_type(toolset)
    kind = TOOLSETS.get(name) if name is not None else None
    if name is None or kind is None:
        _report_type(toolset)
        return None
    section = toolset.section(_keys(name, kind))
    if section is None:
        return None
    given = section.get("instruction")
    instruction = given.text(blank=True) if given is not None else None
    may_be_missing = section.get("optional")
    optional = may_be_missing.boolean() if may_be_missing is not None else None
    options = _options(section)
    if name == "script":
        options["shell"] = read_scripts(toolset, section)
    # A script with mistakes has been reported; that its tool is missing here is not a mistake of its own.
    tools = _tools(section, name, tuple(options["shell"]) or None if name == "script" else kind.tools)
    if name != "mcp":
        return ToolsetConfig(type=name, tools=tools, instruction=instruction, options=options, optional=bool(optional))
    server = read_mcp(toolset, section, definitions)
    if server is None:
        return None
    # What a definition says counts where the toolset itself says nothing.
    defined_tools, defined_instruction = server.pop("tools", None), server.pop("instruction", None)
    defined_optional = server.pop("optional", False)
    return ToolsetConfig(
        type=name,
        tools=tools if tools is not None else defined_tools,
        instruction=instruction if instruction is not None else defined_instruction,
        options=server,
        optional=optional if optional is not None else defined_optional,
    )


def _report_type(toolset: Value) -> None:
    """Say what is wrong with the type. Its other keys cannot be judged without it."""
    entries = toolset.entries()
    if entries is None:
        return
    given = entries.get("type")
    if given is None or not given.given:
        toolset.report("This toolset has no `type`.", f"Give it one of: {listed(TOOLSETS)}.")
        return
    name = given.text()
    if name is None:
        return
    if name in UNSUPPORTED_TOOLSETS:
        given.refuse(f"A toolset of type `{name}`", UNSUPPORTED_TOOLSETS[name])
    else:
        given.unknown("type of toolset", name, TOOLSETS)


def _keys(name: str, kind: ToolsetKind) -> Keys:
    own = frozenset(kind.keys)
    elsewhere = {
        key: f"in a toolset of type {' or '.join(f'`{owner}`' for owner in owners)}"
        for key, owners in TOOLSET_OWNERS.items()
        if key not in own
    }
    return msgspec.structs.replace(
        TOOLSET,
        supported=TOOLSET.supported | own,
        refused=MappingProxyType({**TOOLSET.refused, **kind.refused}),
        ignored=TOOLSET.ignored | (MCP.ignored if name == "mcp" else frozenset()),
        elsewhere=MappingProxyType(elsewhere),
    )


def _tools(section: Section, name: str, known: tuple[str, ...] | None) -> tuple[str, ...] | None:
    given = section.get("tools")
    named = given.texts() if given is not None else None
    if given is None or named is None:
        return None
    if given.node.value == ():
        given.report("The list of tools is empty.", "Leave the key out to have all of them, or name those wanted.")
    for item, tool in named:
        if known is not None and tool not in known:
            item.report(
                f"A toolset of type `{name}` has no tool {quoted(tool)}.", f"Its tools are: {', '.join(known)}."
            )
    return tuple(tool for _, tool in named)


def _domain(item: Value, domain: str) -> str | None:
    if re.fullmatch(r"(\*?\.)?[^\s/:*]+", domain):
        return domain
    item.report(
        f"{quoted(domain)} is not the name of a host.",
        "Write `example.com`, or `*.example.com` for its subdomains only.",
    )
    return None


def _options(section: Section) -> dict[str, Any]:
    """Read the keys that belong to one type alone; those of other types are not in the section."""
    options: dict[str, Any] = {}
    for key in ("readonly", "allow_git", "allow_private_ips"):
        if (truth := section.get(key)) is not None:
            options[key] = truth.boolean()
    for key in ("allowed_domains", "blocked_domains"):
        if (domains := section.get(key)) is not None:
            options[key] = [domain for item in domains.texts() or () if (domain := _domain(*item))]
    if (timeout := section.get("timeout")) is not None:
        options["timeout"] = timeout.number(above=True)
    if (path := section.get("path")) is not None:
        options["path"] = path.file_name()
    if (env := section.get("env")) is not None:
        options["env"] = env.environment()
    allow, allow_list = section.get("allow"), section.get("allow_list")
    if allow is not None and allow_list is not None:
        allow_list.report("`allow` and `allow_list` mean the same, and both are given.", "Keep one of the two.")
    folders = allow if allow is not None else allow_list
    if folders is not None:
        options["allow"] = list(folders.file_names())
    return options
