"""Arguments: options that several commands have, and what their values stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..terminal.streams import InputError, read_input

if TYPE_CHECKING:
    from ..team.config import Team

__all__ = [
    "agent_of",
    "given",
    "id_argument",
    "json_option",
    "lines_of_input",
    "load",
    "max_running_option",
    "settings_of",
    "state_option",
    "team_argument",
    "working_dir_option",
]

team_argument = click.argument("team_file", metavar="TEAM", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="One event a line on standard output, as JSON.")
max_running_option = click.option(
    "--max-running",
    type=click.IntRange(1),
    metavar="N",
    help="Tasks alive at once, in place of the team file's number.",
)
state_option = click.option(
    "--state-dir",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="The folder with the journals of runs; $SUBACTORS_STATE_DIR, or the user's own state folder, if not given.",
)
working_dir_option = click.option(
    "--working-dir",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Where the agents work, in place of the current directory.",
)
id_argument = click.argument("part", metavar="ID")


def load(path: Path) -> Team:
    """Return the team of a file; raises TeamFileError."""
    from ..teamfile.load import load_team  # noqa: PLC0415 - YAML is needed by few commands

    return load_team(path)


def agent_of(team: Team, name: str) -> str:
    """Return the name of an agent as it is; raises click.UsageError if the team has none of it."""
    if name not in team.agents:
        raise click.UsageError(f"The team has no agent {name!r}. Agents: {', '.join(team.agents)}.")
    return name


def given(argument: str | None, name: str) -> str:
    """Return a text that was given as an argument, or is on standard input; raises click.UsageError if there is none.

    Args:
        argument: the argument; `-`, or none where standard input is no terminal: it is read from there.
        name: what messages call it.
    """
    if argument == "-" or (argument is None and not os.isatty(0)):
        argument = _input()
    if argument is None or not argument.strip():
        raise click.UsageError(f"There is no {name}: give it as an argument, or on standard input.")
    return argument


def lines_of_input() -> list[str]:
    """Return the lines of standard input that are not blank."""
    return [line for line in _input().splitlines() if line.strip()]


def _input() -> str:
    try:
        return read_input()
    except InputError as error:
        raise click.UsageError(str(error)) from None


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
