"""Arguments: options that several commands have, and what their values stand for."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from ..runs.folder import state_root
from ..terminal.streams import InputError, read_input, warn
from .completion import complete_with
from .words import nearest

if TYPE_CHECKING:
    from ..team.config import Team

__all__ = [
    "Duration",
    "Moment",
    "Number",
    "Whole",
    "agent_argument",
    "agent_of",
    "agent_option",
    "given",
    "id_argument",
    "ids_argument",
    "json_option",
    "lines_of_input",
    "load",
    "looked_at",
    "max_running_option",
    "one_of",
    "otel_file_option",
    "run_option",
    "settings_of",
    "state_option",
    "team_argument",
    "with_input",
    "working_dir_option",
]

Decorator: TypeAlias = Callable[[Callable[..., int]], Callable[..., int]]
"""Adds a parameter to a command."""

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")


if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
else:
    _Seconds = click.ParamType  # which is not generic in every version


class Duration(_Seconds):
    """Seconds, told as `90`, `90s`, `5m`, `1h30m` or `2d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds; raises click.BadParameter."""
        if isinstance(value, float):
            return value
        if not _DURATION.fullmatch(value):
            self.fail(f"{value!r} is not a time such as 90s, 5m, 1h30m or 2d.", param, ctx)
        return sum(float(number) * _UNITS[unit or "s"] for number, unit in re.findall(r"([\d.]+)([smhd]?)", value))


class Moment(Duration):
    """A moment, in seconds since the epoch: a duration ago, or a date, with a time or without, in ISO 8601."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the moment; what has no time zone is UTC. Raises click.BadParameter."""
        if isinstance(value, float):
            return value
        if _DURATION.fullmatch(value) and not value.isdigit():
            return time.time() - super().convert(value, param, ctx)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither a time ago, such as 10m or 2d, nor one such as 2026-01-31T12:00.", param, ctx
            )
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


class Whole(click.IntRange):
    """A whole number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; raises click.BadParameter."""
        with contextlib.suppress(click.BadParameter):
            return int(super().convert(value, param, ctx))
        raise click.BadParameter(f"{str(value)!r} is not a whole number {_within(self.min, self.max)}.", ctx, param)


class Number(click.FloatRange):
    """A number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; raises click.BadParameter."""
        with contextlib.suppress(click.BadParameter):
            number = float(super().convert(value, param, ctx))
            if math.isfinite(number):
                return number
        raise click.BadParameter(f"{str(value)!r} is not a number {_within(self.min, self.max)}.", ctx, param)


def _within(least: float | None, most: float | None) -> str:
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"


team_argument = click.argument("team_file", metavar="TEAM", type=click.Path(path_type=Path))
agent_argument = click.argument("agent", metavar="AGENT", shell_complete=complete_with("agents"))
agent_option = click.option(
    "--agent",
    "-a",
    metavar="NAME",
    shell_complete=complete_with("agents"),
    help="The agent to run, in place of the team's root.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One event a line on standard output, as JSON.")
max_running_option = click.option(
    "--max-running",
    type=Whole(1),
    metavar="N",
    help="Tasks alive at once, in place of the team file's number.",
)
otel_file_option = click.option(
    "--otel-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append the spans of all tasks to FILE, as lines of OTLP in JSON.",
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


place_option = click.option(
    "--place",
    metavar="NAME",
    shell_complete=complete_with("places"),
    help="The place of the team where it runs, in place of the agent's own; an empty NAME: this machine.",
)


def id_argument(which: str) -> Decorator:
    """Return an argument that is one id.

    Args:
        which: what a shell completes; see `complete_with`.
    """
    return click.argument("part", metavar="ID", shell_complete=complete_with(which))


def ids_argument(which: str, *, required: bool) -> Decorator:
    """Return an argument that is any number of ids; else as `id_argument`."""
    metavar = "ID..." if required else "[ID...]"
    return click.argument("parts", metavar=metavar, nargs=-1, required=required, shell_complete=complete_with(which))


def run_option(text: str, which: str = "runs") -> Decorator:
    """Return an option that names a run; else as `id_argument`."""
    return click.option("--run", metavar="RUN", shell_complete=complete_with(which), help=text)


def load(path: Path) -> Team:
    """Return the team of a file; raises TeamFileError."""
    from ..teamfile.load import load_team  # noqa: PLC0415 - YAML is needed by few commands

    return load_team(path)


def agent_of(team: Team, name: str) -> str:
    """Return the name of an agent as it is; raises click.UsageError if the team has none of it."""
    if name not in team.agents:
        agents = ", ".join(team.agents)
        raise click.UsageError(f"The team has no agent {name!r}.{nearest(name, team.agents)} Agents: {agents}.")
    return name


def place_given(team: Team, name: str | None) -> str | None:
    """Return the name of a place, if one is given; raises click.UsageError if the team has none of it."""
    places = [place.name for place in team.settings.places]
    if name and name not in places:
        there = f"Places: {', '.join(places)}." if places else "The team has none: `runtime.places` names them."
        raise click.UsageError(f"There is no place {name!r}.{nearest(name, places)} {there}")
    return name


def looked_at(state_dir: str | None) -> Path:
    """Return the state folder that is shown, which need not be there yet: of one that was named, that is said."""
    root = state_root(state_dir)
    if state_dir is not None and not root.exists():
        warn(f"There is no folder {root}: no run is kept there.")
    return root


def one_of(**given_ones: object) -> None:
    """Raise click.UsageError if more than one of these options is given; their names as in Python."""
    names = [f"--{name.replace('_', '-')}" for name, value in given_ones.items() if value]
    if len(names) > 1:
        raise click.UsageError(f"{' and '.join(names)} cannot be had together. Leave one out.")


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


def with_input(parts: tuple[str, ...]) -> list[str]:
    """Return ids, with the words of standard input in the place of each `-`."""
    return [word for part in parts for word in (_input().split() if part == "-" else [part])]


def _input() -> str:
    try:
        return read_input()
    except InputError as error:
        raise click.UsageError(str(error)) from None


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as settings of a host; raises click.UsageError, and SubactorsError."""
    from .telemetry import telemetry_of  # noqa: PLC0415 - commands that run no tasks have none

    telemetry = telemetry_of(options)
    return {name: value for name, value in {**options, "telemetry": telemetry}.items() if value is not None}
