"""Shell: the `shell` tool, which runs a command line, bounded in time and output, and ends everything it started.

A shell is not confined: an agent with this toolset may do what the user of this process may do. It must never wait for
a background job that a command leaves, and never hold more output than its limit.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from ..base import Tool, ToolAnswer, ToolParameters, Toolset
from .command import expanded, folder_for, inherited, run_command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["ShellToolset"]


class ShellParameters(ToolParameters, frozen=True):
    """The parameters of `shell`."""

    cmd: Annotated[str, msgspec.Meta(description="The command line, as the shell reads it.")]
    cwd: Annotated[str, msgspec.Meta(description="Folder to run it in; default: the working directory.")] = ""
    timeout: Annotated[
        float | None, msgspec.Meta(description="Seconds after which the command and all it started are killed.")
    ] = None


class ShellToolset(Toolset):
    """A shell in a working directory. Called in any thread's event loop; calls may run at the same time.

    Args:
        working_directory: where commands start, unless a call names another folder.
        environ: the environment of the commands.
        withheld: names of variables in it that commands do not inherit; `env` may still refer to them.
        env: further variables, which win over `environ`; references in a value are replaced (`expand_variable`).
        timeout: seconds that a command has when the call does not say.
        limit: characters of an answer, output included.
    """

    def __init__(
        self,
        *,
        working_directory: Path,
        environ: Mapping[str, str],
        withheld: Collection[str] = (),
        env: Mapping[str, str] = {},
        timeout: float = 30.0,
        limit: int = 30_000,
    ) -> None:
        self._working_directory = working_directory
        self._environ = dict(environ)
        self._inherited = inherited(environ, withheld)
        self._env = dict(env)
        self._timeout = timeout
        self._limit = limit
        self.instruction = (
            "## Shell\n\n"
            f"`shell` runs commands in {working_directory}. Nobody can type into them: give every answer on the command"
            " line. A command and everything it started, background jobs too, end with the call: what needs longer than"
            f" {timeout:g} s needs `timeout`. Write long output to a file and read the part that you need."
        )

    @property
    def tools(self) -> Sequence[Tool]:
        """The one tool, `shell`."""
        return (
            Tool(
                name="shell",
                description=(
                    "Run a command line in the user's shell and answer what it printed (output and error output"
                    " together) and how it ended. Its input is empty. Background jobs end with it. After"
                    f" {self._timeout:g} s, or `timeout`, it is killed."
                ),
                parameters=ShellParameters,
                handler=self._shell,
            ),
        )

    async def _shell(self, parameters: ShellParameters) -> ToolAnswer:
        timeout = self._timeout if parameters.timeout is None else parameters.timeout
        try:
            if not parameters.cmd.strip():
                raise ValueError("The command is blank. Give the command line to run as `cmd`.")  # noqa: TRY301 - one way out
            if not (timeout > 0 and math.isfinite(timeout)):
                raise ValueError(f"timeout must be a number of seconds above 0, not {timeout:g}.")  # noqa: TRY301 - one way out
            folder = folder_for(parameters.cwd, self._working_directory, what="cwd")
            environ = self._inherited | expanded(self._env, self._environ, toolset="shell")
        except ValueError as error:
            return ToolAnswer(str(error), is_error=True)
        return await run_command(
            parameters.cmd,
            folder=folder,
            environ=environ,
            seconds=timeout,
            limit=self._limit,
            more_time="Give more time with `timeout`, or less work.",
        )
