"""Set-up commands: `check`, `doctor`, `prune` and `completion`, with their arguments."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..runs.folder import state_root
from ..terminal.streams import out
from .arguments import Number, state_option, team_argument, working_dir_option
from .completion import SHELLS, script_for
from .help import command
from .json_schemas import SCHEMAS, schema_of
from .words import Word

__all__ = ["check", "completion", "doctor", "prune", "schema"]


@command(examples=["subactors check team.yaml", "subactors check team.yaml --ping"])
@team_argument
@click.option("--ping", is_flag=True, help="Ask each model of the team for one word, too.")
@click.option("--json", "as_json", is_flag=True, help="One problem, agent, note or model a line, as JSON.")
@working_dir_option
def check(team_file: Path, working_dir: str | None, *, ping: bool, as_json: bool) -> int:
    """Check TEAM and print everything that is wrong with it. Runs nothing.

    Each problem has its line and key. For a valid file it also reports which agents would run on this machine,
    which would not and why, and which keys have no effect. The exit status is 2 for a wrong file, and 1 if an agent
    would not run here, or if none would before there is a key. With --ping it is 1 also if a model does not answer.
    """
    from .check import check_file

    return check_file(str(team_file), working_dir, ping=ping, as_json=as_json)


@command(examples=["subactors doctor", "subactors doctor --ping", "subactors doctor team.yaml --ping"])
@click.argument("team_file", metavar="[TEAM]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--ping",
    is_flag=True,
    help="Ask servers of models, too: those of this machine, and those with a key; and the hosts of TEAM's places.",
)
@click.option("--json", "as_json", is_flag=True, help="One thing that was looked at a line, as JSON.")
@state_option
def doctor(team_file: Path | None, state_dir: str | None, *, ping: bool, as_json: bool) -> int:
    """Say what this machine offers, and run a task on it.

    It tells which means of isolation and of limits the machine has, and which of them are used; which keys of models
    are there, and which programs that tools need. With TEAM it looks at the team's places, too: the other machines on
    which its tasks run. The exit status is 1 if something does not work.
    """
    from .doctor import report

    return report(state_dir, team_file, ping=ping, as_json=as_json)


@command(examples=["subactors prune", "subactors prune --older-than 0 --unread    # everything that has ended"])
@click.option(
    "--older-than",
    type=Number(min=0),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="Remove only runs that ended before that.",
)
@click.option("--unread", is_flag=True, help="Remove runs with unread or unreadable results, too.")
@click.option("--json", "as_json", is_flag=True, help="One run a line, as JSON.")
@state_option
def prune(older_than: float, state_dir: str | None, *, unread: bool, as_json: bool) -> int:
    """Remove runs that have ended, once all results are read."""
    from .runs import prune_runs

    return prune_runs(state_root(state_dir), keep=older_than * 86400, unread=unread, as_json=as_json)


@command(examples=["subactors schema > team.schema.json", "subactors schema --of ps"])
@click.option(
    "--of",
    "of",
    type=Word(tuple(SCHEMAS), "schema"),
    metavar="COMMAND",
    help=f"Of what a command prints with --json: {', '.join(SCHEMAS)}.",
)
def schema(of: str | None) -> int:
    """Print the JSON schema of team files, for editors, or of a line that a command prints with --json.

    For team files, standard error says which first line of a file makes an editor use it: it completes, explains, and
    marks mistakes while you type. `subactors check` finds more: names that are not there, and what this machine lacks.

    Of a line that a command prints, every key is always there. Times are in ISO 8601, in UTC; durations are in seconds.
    """
    if of is not None:
        out.line(json.dumps(schema_of(of), indent=2))
        return 0
    from .schema import print_schema

    return print_schema()


@command(
    examples=[
        'eval "$(subactors completion bash)"    # in ~/.bashrc',
        'eval "$(subactors completion zsh)"     # in ~/.zshrc, after compinit',
        "subactors completion fish > ~/.config/fish/completions/subactors.fish",
    ]
)
@click.argument("shell", metavar="SHELL", type=Word(SHELLS, "shell"))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print a script that has SHELL complete command lines of `subactors`.

    SHELL is bash, zsh or fish. Commands and options are completed, agents of the team file that stands before, ids of
    tasks and of questions, and runs.
    """
    out.line(script_for(shell, ctx.find_root().command))
    return 0
