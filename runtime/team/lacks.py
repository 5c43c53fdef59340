"""Toolset requirements: the command, variable or folder that a toolset lacks on this machine.

Looks at files and the environment only, before a task starts and for `check`. A toolset may fail all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .expansion import expand_variable
from .toolset_kinds import TOOLSETS

if TYPE_CHECKING:
    from .config import ToolsetConfig

__all__ = ["lacks_of"]


def lacks_of(toolset: ToolsetConfig, environ: Mapping[str, str], working_directory: Path) -> list[str]:
    """Return why the tools of a toolset could not do their work, a sentence each.

    Args:
        toolset: from a checked team.
        environ: the environment that it would work in.
        working_directory: where it would work.
    """
    match TOOLSETS[toolset.type].needs:
        case "server":
            from .mcp_definition import McpDefinition  # noqa: PLC0415 - most teams have none

            found = [McpDefinition(**toolset.options["server"]).missing(environ, working_directory)]
        case "commands":
            found = list(_of_commands(toolset, environ, working_directory))
        case "file":
            found = [_of_file(working_directory / toolset.options.get("path", "memory.db"))]
        case "nothing":
            found = []
    return [sentence for sentence in found if sentence]


def _of_commands(toolset: ToolsetConfig, environ: Mapping[str, str], working_directory: Path) -> Iterator[str]:
    scripts = toolset.options.get("shell", {})
    for variables in (toolset.options.get("env", {}), *(script.get("env", {}) for script in scripts.values())):
        for name, value in variables.items():
            try:
                expand_variable(value, environ)
            except ValueError as error:
                yield f"{error} The {toolset.type} toolset's env needs it for {name}."
    for name, script in scripts.items():
        folder = working_directory / os.path.expanduser(script.get("working_dir", ""))  # noqa: PTH111 - never raises
        if not os.path.isdir(folder):  # noqa: PTH112 - never raises
            yield f"The script {name} works in {folder}, which is not a folder."


def _of_file(path: Path) -> str:
    """Say why a file could be neither used nor made, with the folders above it."""
    if os.path.isdir(path):  # noqa: PTH112 - never raises
        return f"The memory toolset keeps its memories in {path}, which is a folder. Give it the `path` of a file."
    above = next(folder for folder in path.parents if os.path.exists(folder))  # noqa: PTH110 - never raises
    is_there = os.path.exists(path)  # noqa: PTH110 - never raises
    usable = os.access(path, os.R_OK | os.W_OK) if is_there else above.is_dir() and os.access(above, os.W_OK)
    return "" if usable else f"The memory toolset keeps its memories in {path}, which cannot be written."
