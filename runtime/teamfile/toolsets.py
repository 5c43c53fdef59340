"""Toolsets: checks the `toolsets` of an agent.

What an entry of each type may say is in `team/toolset_kinds`. The toolsets themselves must not be imported here: a file
is checked without loading what would run it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ..team.config import ToolsetConfig
from ..team.functions import name_of
from ..team.toolset_kinds import TOOLSETS, Reading, ToolsetKind
from .functions import read_functions
from .keys import MCP, TOOLSET, TOOLSET_OWNERS, UNSUPPORTED_TOOLSETS
from .mcp import McpDefinitions, read_mcp
from .scripts import read_scripts
from .values import Keys, Section, Value, listed, quoted

__all__ = ["ON_FINISH", "keys_of", "read_toolset", "toolset_type"]


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
    section = toolset.section(keys_of(name, kind))
    if section is None:
        return None
    given = section.get("instruction")
    instruction = given.text(blank=True) if given is not None else None
    may_be_missing = section.get("optional")
    optional = may_be_missing.boolean() if may_be_missing is not None else None
    options = _options(section, kind)
    if options.get("on_finish") == "wait" and options.get("notify") is False:
        toolset.report(
            "`on_finish: wait` has an agent told of ends, and `notify: false` has it told of none.",
            "Take one of the two out.",
        )
    if name == "script":
        options["shell"] = read_scripts(toolset, section)
        known: tuple[str, ...] | None = tuple(options["shell"])
    elif name == "python":
        options["functions"] = read_functions(toolset, section)
        known = tuple(map(name_of, options["functions"]))
    else:
        known = kind.tools
    # What has mistakes has been reported; that its tool is missing here is not a mistake of its own.
    tools = _tools(section, name, known or None, options)
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


def keys_of(name: str, kind: ToolsetKind) -> Keys:
    """Return the keys that an entry of a type may have."""
    own = frozenset(kind.options)
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


_SWITCHES: Final = {"steer_background_agent": "steer", "map_background_agent": "fan_out"}
"""Tools that a toolset of type `background_agents` has with a key only."""


def _tools(
    section: Section, name: str, known: tuple[str, ...] | None, options: Mapping[str, Any]
) -> tuple[str, ...] | None:
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
        elif name == "background_agents" and (switch := _SWITCHES.get(tool)) and not options.get(switch):
            item.report(
                f"The tool {quoted(tool)} is there with `{switch}: true` only.", "Add that key, or leave it out."
            )
    return tuple(tool for _, tool in named)


def _domains(domains: Value) -> list[str]:
    return [domain for item in domains.texts() or () if (domain := _domain(*item))]


def _domain(item: Value, domain: str) -> str | None:
    if re.fullmatch(r"(\*?\.)?[^\s/:*]+", domain):
        return domain
    item.report(
        f"{quoted(domain)} is not the name of a host.",
        "Write `example.com`, or `*.example.com` for its subdomains only.",
    )
    return None


def _on_finish(value: Value) -> str | None:
    """Read what becomes of tasks that run when their agent has given its last answer."""
    word = value.text()
    if word is None or word in ON_FINISH:
        return word
    value.report(
        f"{quoted(word)} is not what `on_finish` may say.",
        "Write `wait` (the answer counts when they have ended) or `stop` (they are stopped).",
    )
    return None


ON_FINISH: Final = ("wait", "stop")

_READERS: Final[Mapping[Reading, Callable[[Value], Any]]] = MappingProxyType(
    {
        "boolean": Value.boolean,
        "seconds": lambda value: value.seconds(above=True),
        "file": Value.file_name,
        "folders": lambda value: list(value.file_names()),
        "environment": Value.environment,
        "domains": _domains,
        "on_finish": _on_finish,
    }
)


def _options(section: Section, kind: ToolsetKind) -> dict[str, Any]:
    """Read the keys that belong to one type alone, but for those that a module of its own reads."""
    options: dict[str, Any] = {}
    for key, reading in kind.options.items():
        value, same = section.get(key), kind.other_names.get(key, key)
        if value is None or reading == "apart":
            continue
        if same != key and section.get(same) is not None:
            value.report(f"`{same}` and `{key}` mean the same, and both are given.", "Keep one of the two.")
        else:
            options[same] = _READERS[reading](value)
    return options
