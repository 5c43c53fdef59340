"""Scripts: checks the `shell` of a toolset of type `script`, the command lines that are its tools.

A parameter's schema may say only what is checked when the tool is called. It runs none of the commands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .keys import SCRIPT
from .values import listed, quoted

if TYPE_CHECKING:
    from .values import Section, Value

__all__ = ["CHECKED", "TYPES", "read_scripts"]

TYPES = ("string", "integer", "number", "boolean", "array", "object")
CHECKED = frozenset({"type", "enum", "description", "title", "items", "properties", "default", "examples"})
"""Keys of a parameter's schema: the first two are held to, the others tell the model what to give."""


def read_scripts(toolset: Value, section: Section) -> dict[str, Any]:
    """Return the tools by name, each with the fields of `toolsets._script.Script`; what is wrong is noted."""
    given = section.get("shell")
    if given is None:
        if not section.means("shell"):
            toolset.report("This toolset has no `shell`.", "Name its tools there, each with a `cmd`.")
        return {}
    entries = given.entries() or {}
    if given.node.value == {}:
        given.report("There are no tools here.", "Give each tool a name and a `cmd`.")
    return {name: script for name, entry in entries.items() if (script := _script(name, entry)) is not None}


def _script(name: str, entry: Value) -> dict[str, Any] | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        entry.report("This is not the name of a tool.", "Use up to 64 letters, digits, `_` and `-`.")
        return None
    section = entry.section(SCRIPT)
    if section is None:
        return None
    command, description = section.get("cmd"), section.get("description")
    if command is None and not section.means("cmd"):
        entry.report("This tool has no `cmd`.", "Give it the command line to run.")
    args, required = section.get("args"), section.get("required")
    parameters = {
        parameter: schema
        for parameter, value in ((args.entries() if args is not None else None) or {}).items()
        if (schema := _schema(parameter, value)) is not None
    }
    script: dict[str, Any] = {
        "cmd": (command.text() if command is not None else None) or "",
        "description": (description.text(blank=True) if description is not None else None) or "",
        "args": parameters,
    }
    if required is not None:
        named = required.texts() or ()
        for item, parameter in named:
            if args is None or not isinstance(args.node.value, dict) or parameter not in args.node.value:
                item.report(f"The tool has no parameter {quoted(parameter)}.", f"Its `args` are: {listed(parameters)}.")
        script["required"] = [parameter for _, parameter in named]
    if (env := section.get("env")) is not None:
        script["env"] = env.environment()
    if (folder := section.get("working_dir")) is not None:
        script["working_dir"] = folder.file_name() or ""
    return script


def _schema(name: str, value: Value) -> dict[str, Any] | None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        value.report(
            "A parameter is an environment variable of the command, and this is not the name of one.",
            "Use letters, digits and `_`.",
        )
        return None
    entries = value.entries()
    if entries is None:
        return None
    for key, entry in entries.items():
        if key not in CHECKED:
            entry.report(
                f"`{key}` of a parameter's schema is not supported by this version: nobody would hold a call to it.",
                f"Say it in the `description`. Supported are: {listed(CHECKED)}.",
            )
    kind = entries.get("type")
    if kind is not None and (named := kind.text()) is not None and named not in TYPES:
        kind.unknown("type of parameter", named, TYPES)
    choices = entries.get("enum")
    if choices is not None and not choices.items() and choices.node.value == ():
        choices.report("The list of values is empty.", "Name those that may be given, or leave the key out.")
    return {key: entry.node.plain() for key, entry in entries.items()}
