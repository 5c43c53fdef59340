"""Script: the `script` tools, command lines of the team file's author, each a tool of its own.

A model chooses the tool and its arguments. These reach the command as environment variables, never as part of the
command line: a model's words must never be where a shell would read them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..base import Tool, ToolAnswer, Toolset
from .command import expanded, folder_for, inherited, run_command

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Script", "ScriptToolset"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
"""What a value of a type of JSON schema is in Python."""


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool, as the team file has it.

    Attributes:
        cmd: the command line.
        description: what it does, for the model.
        args: its parameters: name to JSON schema. Each is an environment variable of the command.
        required: those that must be given; None: all.
        env: further variables of the command; values as in `ShellToolset`.
        working_dir: where it starts; empty: the agent's working directory.
    """

    cmd: str
    description: str = ""
    args: dict[str, dict[str, Any]] = {}
    required: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    working_dir: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """The parameters as a JSON schema; one without a type is text."""
        properties = {name: {"type": "string", **schema} for name, schema in self.args.items()}
        required = list(self.args if self.required is None else self.required)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


class ScriptToolset(Toolset):
    """Command lines as tools. Called in any thread's event loop; calls may run at the same time.

    Args:
        working_directory: where commands start, unless a script says otherwise.
        environ: the environment of the commands; what scripts and calls add wins over it.
        withheld: as in `ShellToolset`.
        shell: the tools, by name; each as `Script` has it.
        env: variables for all of them; values as in `ShellToolset`.
        timeout: seconds that a command has.
        limit: characters of an answer, output included.
    """

    def __init__(
        self,
        *,
        working_directory: Path,
        environ: Mapping[str, str],
        withheld: Collection[str] = (),
        shell: Mapping[str, Any],
        env: Mapping[str, str] = {},
        timeout: float = 300.0,
        limit: int = 30_000,
    ) -> None:
        self._scripts = {name: msgspec.convert(script, Script) for name, script in shell.items()}
        self._working_directory = working_directory
        self._environ = dict(environ)
        self._inherited = inherited(environ, withheld)
        self._env = dict(env)
        self._timeout = timeout
        self._limit = limit

    @property
    def tools(self) -> Sequence[Tool]:
        """A tool for each script."""
        return [self._tool(name, script) for name, script in self._scripts.items()]

    def _tool(self, name: str, script: Script) -> Tool:
        async def run(arguments: Mapping[str, Any]) -> ToolAnswer:
            return await self._run(script, arguments)

        description = script.description or f"Run the command line: {script.cmd}"
        return Tool(name=name, description=description, parameters=script.schema, handler=run)

    async def _run(self, script: Script, arguments: Mapping[str, Any]) -> ToolAnswer:
        try:
            given = _as_variables(script, arguments)
            folder = folder_for(script.working_dir, self._working_directory, what="The script's working_dir")
            environ = self._inherited | expanded({**self._env, **script.env}, self._environ, toolset="script")
        except ValueError as error:
            return ToolAnswer(str(error), is_error=True)
        # A parameter that is not given is unset, whatever the environment has under its name.
        kept = {name: value for name, value in environ.items() if name not in script.args}
        return await run_command(
            script.cmd,
            folder=folder,
            environ=kept | given,
            seconds=self._timeout,
            limit=self._limit,
            more_time="The team file's author can give this toolset a longer `timeout`.",
        )


def _as_variables(script: Script, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return a call's arguments as environment variables; raises ValueError with the remedy in it."""
    schema = script.schema
    required = schema["required"]
    known = ", ".join(f"{name}{'*' if name in required else ''}" for name in schema["properties"]) or "none"
    variables = {}
    for name, value in arguments.items():
        if name not in schema["properties"]:
            raise ValueError(f"There is no parameter {name!r}. Parameters (* required): {known}.")
        if value is not None:  # models send null for "not given"
            variables[name] = _text(name, value, schema["properties"][name])
    missing = [name for name in required if name not in variables]
    if missing:
        raise ValueError(f"Missing: {', '.join(missing)}. Parameters (* required): {known}.")
    return variables


def _text(name: str, value: Any, schema: Mapping[str, Any]) -> str:
    kind, choices = schema["type"], schema.get("enum")
    is_right = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not is_right or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{name} must be of type {kind}, not {json.dumps(value)[:100]}.")
    if choices is not None and value not in choices:
        raise ValueError(f"{name} must be one of {json.dumps(choices, ensure_ascii=False)}.")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if "\0" in text:
        raise ValueError(f"{name} holds the character U+0000, which no command can be given. Leave it out.")
    return text
