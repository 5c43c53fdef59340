"""Command: runs one command line in a shell, and puts its outcome into words, for `shell` and `script`.

It must never wait for a background job that a command leaves, and never hold more output than its limit.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ...team.expansion import expand_variable
from ..base import ToolAnswer
from ..head_and_tail import HeadAndTail
from ..process_group import Ending, ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["expanded", "folder_for", "inherited", "run_command"]

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


async def run_command(
    command: str, *, folder: Path, environ: Mapping[str, str], seconds: float, limit: int, more_time: str
) -> ToolAnswer:
    """Run a command line to its end, or kill it and all it started when its time is up.

    Args:
        command: as the user's shell reads it.
        folder: where it starts; exists.
        environ: all of its environment.
        seconds: how long it may take.
        limit: characters of the answer, output included.
        more_time: what gets a command more time, as a clause; for the answer when its time was up.
    """
    output = HeadAndTail(max(1, limit - _ROOM_FOR_NOTES))
    try:
        group = ProcessGroup.start(
            [_program(environ), "-c", command], output=output.feed, environ=environ, working_directory=folder
        )
    except (OSError, ValueError) as error:
        return ToolAnswer(f"The command could not be started: {error}.", is_error=True)
    timed_out = False
    try:
        timed_out = not await group.exited(seconds)
        if timed_out:
            await group.terminate(_GRACE)
    finally:
        ending = await group.end()
    return _answer(ending, _text(output), seconds if timed_out else None, more_time)


def folder_for(name: str, working_directory: Path, *, what: str) -> Path:
    """Return the folder to run a command in; raises ValueError if there is no such folder, with the remedy in it."""
    try:
        folder = working_directory / Path(name).expanduser()
        exists, is_folder = folder.exists(), folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # the last: there is no home folder
        raise ValueError(f"{what} {name!r} cannot be used: {error}.") from None
    if not exists:
        raise ValueError(
            f"{what} {str(folder)!r} does not exist. Relative folders are looked up in {working_directory}."
        )
    if not is_folder:
        raise ValueError(f"{what} {str(folder)!r} is not a folder.")
    return folder


def inherited(environ: Mapping[str, str], withheld: Collection[str]) -> dict[str, str]:
    """Return what a program inherits of an environment: keys of models are not for every program that a tool starts."""
    return {name: value for name, value in environ.items() if name not in withheld}


def expanded(values: Mapping[str, str], environ: Mapping[str, str], *, toolset: str) -> dict[str, str]:
    """Return `values` with their variables replaced; raises ValueError that names what cannot be."""
    result = {}
    for variable, value in values.items():
        try:
            result[variable] = expand_variable(value, environ)
        except ValueError as error:
            raise ValueError(
                f"{error} The {toolset} toolset's env needs it for {variable}: no command can run until that is put "
                "right, or the entry is taken out of the team file."
            ) from None
    return result


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


def _answer(ending: Ending, output: str, timed_out_after: float | None, more_time: str) -> ToolAnswer:
    """Put into words what happened.

    A failed command is not an error of the call: models run tests and checks in order to see them fail. One that was
    killed for its time has not done what was asked, so that is.
    """
    signal_name = None if ending.signal_number is None else _signal_name(ending.signal_number)
    shown = output.rstrip("\n")
    parts = [shown or "(no output)"]
    if timed_out_after is not None:
        printed = "What it had printed by then:" if shown else "It had printed nothing."
        first = (
            f"Timed out after {timed_out_after:g} s: the command and everything it had started were killed."
            f" {more_time} {printed}"
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
