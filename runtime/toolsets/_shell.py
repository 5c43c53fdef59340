"""The `shell` tool: run a command line, bounded in time and output, and end everything it started.

A shell is not confined: whoever gives an agent this toolset lets it do what the user of this process may do. Must never
wait for a background job that a command leaves, and never hold more output than its limit.
"""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from .._expansion import expand_variable
from .._tools import Tool, ToolAnswer, Toolset
from ._head_and_tail import HeadAndTail
from ._process_group import Ending, ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ShellToolset"]

_GRACE = 0.5
"""Seconds from SIGTERM to SIGKILL when the time is up."""
_ROOM_FOR_NOTES = 800
"""Characters of an answer that are not output, so that an answer is cut in one place only."""
_NO_SHELLS = frozenset({"nologin", "false"})
_SHELL_SIGNAL_BASE = 128
_FATAL_SIGNALS = frozenset(
    {
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGPIPE,
        signal.SIGTERM,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    }
)
"""Those that an exit status of 128 and more is likely to mean; git for one returns 129 for other reasons."""


class ShellParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
        env: further variables, which win over `environ`; references in a value are replaced (`expand_variable`).
        timeout: seconds that a command has when the call does not say.
        limit: characters of an answer, output included.
    """

    def __init__(
        self,
        *,
        working_directory: Path,
        environ: Mapping[str, str],
        env: Mapping[str, str] = {},
        timeout: float = 30.0,
        limit: int = 30_000,
    ) -> None:
        self._working_directory = working_directory
        self._environ = dict(environ)
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
            folder = self._folder(parameters)
            environ = self._environ | _expanded(self._env, self._environ)
            if not (timeout > 0 and math.isfinite(timeout)):
                raise ValueError(f"timeout must be a number of seconds above 0, not {timeout:g}.")  # noqa: TRY301 - one way out
        except ValueError as error:
            return ToolAnswer(str(error), is_error=True)
        output = HeadAndTail(max(1, self._limit - _ROOM_FOR_NOTES))
        try:
            group = ProcessGroup.start(
                [_program(environ), "-c", parameters.cmd],
                output=output.feed,
                environ=environ,
                working_directory=folder,
            )
        except (OSError, ValueError) as error:
            return ToolAnswer(f"The command could not be started: {error}.", is_error=True)
        timed_out = False
        try:
            timed_out = not await group.exited(timeout)
            if timed_out:
                await group.terminate(_GRACE)
        finally:
            ending = await group.end()
        return _answer(ending, _text(output), timeout if timed_out else None)

    def _folder(self, parameters: ShellParameters) -> Path:
        """Where to run the command; raises ValueError for a call that makes no sense."""
        if not parameters.cmd.strip():
            raise ValueError("The command is blank. Give the command line to run as `cmd`.")
        folder = self._working_directory / parameters.cwd
        try:
            exists, is_folder = folder.exists(), folder.is_dir()
        except (OSError, ValueError) as error:
            raise ValueError(f"cwd {parameters.cwd!r} cannot be used: {error}.") from None
        if not exists:
            raise ValueError(
                f"cwd {str(folder)!r} does not exist. Relative folders are looked up in {self._working_directory}."
            )
        if not is_folder:
            raise ValueError(f"cwd {str(folder)!r} is not a folder.")
        return folder


def _expanded(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`values` with their variables replaced; raises ValueError that names what cannot be."""
    expanded = {}
    for variable, value in values.items():
        try:
            expanded[variable] = expand_variable(value, environ)
        except ValueError as error:
            raise ValueError(
                f"{error} The shell toolset's env needs it for {variable}: no command can run until that is put right, "
                "or the entry is taken out of the team file."
            ) from None
    return expanded


def _program(environ: Mapping[str, str]) -> str:
    """The user's shell, or `/bin/sh` where there is none that runs commands."""
    shell = environ.get("SHELL", "")
    usable = Path(shell).name not in _NO_SHELLS and os.access(shell, os.X_OK) if shell else False
    return shell if usable else "/bin/sh"


def _text(output: HeadAndTail) -> str:
    excerpt = output.excerpt()
    if not excerpt.left_out:
        return excerpt.head
    note = (
        f"[{excerpt.left_out:,} of {output.total:,} bytes left out here."
        " Write the output to a file and read it in parts, or make the command print less.]"
    )
    return f"{excerpt.head}\n\n{note}\n\n{excerpt.tail}"


def _answer(ending: Ending, output: str, timed_out_after: float | None) -> ToolAnswer:
    """Put into words what happened.

    A command that fails is no error of the call: models run tests and checks in order to see them fail. One that was
    killed for its time has not done what was asked, so that is.
    """
    signal_name = None if ending.signal_number is None else _signal_name(ending.signal_number)
    shown = output.rstrip("\n")
    parts = [shown or "(no output)"]
    if timed_out_after is not None:
        printed = "What it had printed by then:" if shown else "It had printed nothing."
        first = (
            f"Timed out after {timed_out_after:g} s: the command and everything it had started were killed."
            f" Give more time with `timeout`, or less work. {printed}"
        )
        parts = [first, shown] if shown else [first]
    elif ending.signal_number is not None:
        parts.insert(0, f"Ended by {signal_name} ({signal.strsignal(ending.signal_number)}).")
    elif ending.exit_status is None:
        parts.insert(0, "The command has ended; its exit status is not known: another part of this program took it.")
    elif ending.exit_status:
        parts.insert(0, f"Exit status {ending.exit_status}{_meaning(ending.exit_status)}.")
    if ending.left_running and timed_out_after is None:
        parts.append(f"[The command had left processes running; they ended with it: {_list(ending.left_running)}.]")
    if ending.survivors:
        parts.append(f"[Could not be killed, and may go on: {_list(ending.survivors)}.]")
    return ToolAnswer(
        "\n\n".join(parts),
        {
            "exit_status": ending.exit_status,
            "signal": signal_name,
            "timed_out": timed_out_after is not None,
            "output": output,
        },
        is_error=timed_out_after is not None,
    )


def _meaning(exit_status: int) -> str:
    number = exit_status - _SHELL_SIGNAL_BASE
    return f" (a shell's way to report {signal.Signals(number).name})" if number in _FATAL_SIGNALS else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _list(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
