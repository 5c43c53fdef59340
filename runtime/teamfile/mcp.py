"""MCP servers: checks `mcps` at the top of a team file, and the toolsets of type `mcp` that may refer to it.

A toolset's own keys win over those of the definition that it refers to. `team/requirements` asks whether this machine
has what a server needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from ..team.mcp_definition import McpDefinition
from .keys import MCP, REMOTE, TOOLSET_OWNERS
from .lifecycle import read_lifecycle
from .values import Keys, Section, Value, listed, quoted

if TYPE_CHECKING:
    pass

__all__ = ["TRANSPORTS", "McpDefinitions", "McpFields", "read_definitions", "read_mcp", "server_of"]

_DOCKER = "docker:"
TRANSPORTS = MappingProxyType({"streamable-http": "streamable-http", "streamable": "streamable-http", "sse": "sse"})
_OWNERS = MappingProxyType(
    {
        "args": ("command",),
        "cwd": ("command",),
        "env": ("command", "docker"),
        "config": ("docker",),
    }
)
"""Keys that only some kinds of servers have."""

McpFields = dict[str, Any]
"""What one mapping says: the fields of `McpDefinition`, `ref`, and the toolset's own (`name`, `timeout`, …)."""


class McpDefinitions(msgspec.Struct, frozen=True):
    """Definitions of `mcps`; None stands for one with mistakes, which have been noted.

    Attributes:
        definitions: by name.
        is_open: there may be more than these, as `mcps` itself could not be read.
    """

    definitions: Mapping[str, McpFields | None] = msgspec.field(default_factory=dict)
    is_open: bool = False


def read_definitions(top: Section) -> McpDefinitions:
    """Check `mcps` of the file."""
    given = top.get("mcps")
    entries = given.entries() if given is not None else {}
    definitions = {name: _definition(value) for name, value in (entries or {}).items()}
    return McpDefinitions(definitions, is_open=entries is None or "mcps" in top.misspelt)


def read_mcp(toolset: Value, section: Section, known: McpDefinitions) -> dict[str, Any] | None:
    """Return the options of a toolset of type `mcp`; None if it is wrong, which has been noted, here or before.

    They are the keyword arguments of the toolset, `tools` and `instruction` among them where the definition has them.
    """
    fields = _fields(section)
    ref = fields.pop("ref", None)
    if ref is not None and not ref.startswith(_DOCKER):
        defined = _referred(section, ref, known)
        if defined is None:
            return None
        env = {**defined.get("env", {}), **fields.get("env", {})}
        fields = {**defined, **fields, **({"env": env} if env else {})}
    elif ref is not None:
        fields["docker"] = ref.removeprefix(_DOCKER)
    return _options(fields) if _is_one_server(toolset, section, fields) else None


def server_of(fields: McpFields) -> dict[str, Any]:
    """Return what of these fields is the server's, and not the toolset's."""
    known = {item.name for item in msgspec.structs.fields(McpDefinition)}
    return {key: value for key, value in fields.items() if key in known}


def _definition(value: Value) -> McpFields | None:
    elsewhere = {key: "in a toolset of another type" for key in TOOLSET_OWNERS if key not in MCP.supported}
    keys = Keys(
        supported=MCP.supported | {"type", "tools", "instruction", "optional"},
        ignored=MCP.ignored,
        refused=MCP.refused,
        elsewhere=MappingProxyType(elsewhere),
    )
    section = value.section(keys)
    if section is None:
        return None
    kind = section.get("type")
    if kind is not None and kind.text() not in {None, "mcp"}:
        kind.report("A definition under `mcps` is of type `mcp`.", "Remove the key.")
    fields = _fields(section)
    tools = section.get("tools")
    if tools is not None:
        fields["tools"] = tuple(name for _, name in tools.texts() or ())
    instruction = section.get("instruction")
    if instruction is not None:
        fields["instruction"] = instruction.text(blank=True)
    may_be_missing = section.get("optional")
    if may_be_missing is not None:
        fields["optional"] = bool(may_be_missing.boolean())
    ref = fields.pop("ref", None)
    if ref is not None and not ref.startswith(_DOCKER):
        section.values["ref"].report(
            f"A definition cannot refer to another one ({quoted(ref)}).",
            f"Write `{_DOCKER}NAME` for a server of Docker's.",
        )
        return None
    if ref is not None:
        fields["docker"] = ref.removeprefix(_DOCKER)
    return fields if _is_one_server(value, section, fields) else None


def _referred(section: Section, ref: str, known: McpDefinitions) -> McpFields | None:
    """Return the definition that a toolset refers to."""
    if ref in known.definitions:
        return known.definitions[ref]
    if not known.is_open:
        meant = section.values["ref"].nearest(ref, known.definitions)
        remedy = f"Did you mean `{meant}`?" if meant else f"Write `{_DOCKER}NAME` for a server of Docker's catalog."
        if known.definitions and not meant:
            remedy = f"Defined are: {listed(known.definitions)}. {remedy}"
        section.values["ref"].report(f"There is no MCP server {quoted(ref)} under `mcps`.", remedy)
    return None


def _fields(section: Section) -> McpFields:
    """Read what is given; what is wrong is noted, and may be missing here."""
    lifecycle = section.get("lifecycle")
    fields = {**(read_lifecycle(lifecycle) if lifecycle is not None else {}), **_texts(section)}
    if (args := section.get("args")) is not None:
        fields["args"] = tuple(text for item in args.items() or () if (text := item.text(blank=True)) is not None)
    if (env := section.get("env")) is not None:
        fields["env"] = env.environment()
    for key in ("timeout", "startup_timeout"):
        if (given := section.get(key)) is not None and (seconds := given.seconds(above=True)) is not None:
            fields[key] = seconds
    if (config := section.get("config")) is not None and config.entries() is not None:
        fields["config"] = config.node.plain()
    if (remote := section.get("remote")) is not None:
        fields |= _remote(remote)
    return fields


def _texts(section: Section) -> McpFields:
    fields: McpFields = {}
    for key in ("command", "cwd", "ref", "name"):
        given = section.get(key)
        text = None if given is None else given.file_name() if key == "cwd" else given.text()
        if text is not None:
            fields[key] = text
    if (folder := section.get("working_dir")) is not None and (text := folder.file_name()) is not None:
        if "cwd" in fields:
            folder.report("`cwd` and `working_dir` mean the same, and both are given.", "Keep one of the two.")
        fields["cwd"] = text
    ref = fields.get("ref", "")
    if ref.startswith(_DOCKER) and not re.fullmatch(r"[\w.-]+", ref.removeprefix(_DOCKER)):
        section.values["ref"].report(f"{quoted(ref)} names no server.", f"Write it like `{_DOCKER}duckduckgo`.")
        del fields["ref"]
    return fields


def _remote(remote: Value) -> McpFields:
    section = remote.section(REMOTE)
    if section is None:
        return {}
    fields: McpFields = {}
    url, transport, headers = section.get("url"), section.get("transport_type"), section.get("headers")
    if url is None and not section.means("url"):
        remote.report("There is no `url`.", "Give the address of the MCP server.")
    address = url.text() if url is not None else None
    if url is not None and address is not None:
        if not re.match(r"https?://[^/\s]|\$\{env\.", address) or re.search(r"\s", re.sub(r"\{[^{}]*\}", "", address)):
            url.report("This is not the address of a server.", "Write it like `https://host/mcp`.")
        elif re.match(r"https?://[^/]*@", address):
            url.report("The address holds a user or a password.", "Send it as a header, as `${env.NAME}`.")
        fields["url"] = address
    kind = transport.text() if transport is not None else None
    if transport is not None and kind is not None:
        if kind in TRANSPORTS:
            fields["transport"] = TRANSPORTS[kind]
        else:
            transport.unknown("transport", kind, TRANSPORTS)
    if headers is not None:
        entries = headers.entries() or {}
        fields["headers"] = {
            name: text for name, value in entries.items() if (text := _header(name, value)) is not None
        }
    return fields


def _header(name: str, value: Value) -> str | None:
    text = value.text(blank=True)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        value.report("This is not the name of a header.", "Write it like `Authorization`.")
        return None
    if text is not None and re.search(r"[\r\n]", text):
        value.report("A header is one line.", "Remove the line break.")
        return None
    return text


def _is_one_server(value: Value, section: Section, fields: McpFields) -> bool:
    """Check that exactly one server is named, and that the other keys belong to its kind."""
    named = [key for key in ("command", "url", "docker") if key in fields]
    if len(named) > 1:
        words = {"command": "`command`", "url": "`remote`", "docker": "`ref`"}
        value.report(f"This names several servers: {' and '.join(words[key] for key in named)}.", "Keep one of them.")
        return False
    if not named:
        if not any(section.means(key) for key in ("command", "remote", "ref")):
            value.report(
                "This names no MCP server.",
                "Give a `command`, a `remote` with a `url`, or a `ref` like `docker:duckduckgo`.",
            )
        return False
    for key, owners in _OWNERS.items():
        if key in fields and named[0] not in owners:
            place = section.get(key) or value
            kinds = {"command": "a `command`", "docker": "a `ref` to Docker's catalog"}
            place.report(
                f"`{key}` means nothing for this server.", f"It goes with {' or '.join(kinds[o] for o in owners)}."
            )
    return True


def _options(fields: McpFields) -> dict[str, Any]:
    server = server_of(fields)
    return {"server": server, **{key: value for key, value in fields.items() if key not in server}}
