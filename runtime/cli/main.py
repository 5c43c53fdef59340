"""Command line: `subactors` reads arguments and hands over. `run` and `tasks` do the work of the commands.

Exit status: 0, 1 (something failed), 2 (wrong usage or a wrong team file), 128 and the signal's number (interrupted).
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn, get_args

import click

from ..errors import SubactorsError, TeamFileError
from ..runs.folder import state_root
from ..tasks.views import Status
from ..terminal.streams import OutputLostError, err, exit_status, out, take_over, warn
from .arguments import (
    agent_of,
    given,
    id_argument,
    json_option,
    lines_of_input,
    load,
    max_running_option,
    settings_of,
    state_option,
    team_argument,
    working_dir_option,
)
from .bench import bench
from .init import init

__all__ = ["cli", "run_command_line"]

_USAGE = 2
_FAILED = 1
_INTERRUPTED = 130
"""What shells call a program that Ctrl-C has ended."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="subactors")
def cli() -> None:
    """Run teams of LLM agents whose background tasks are supervised processes of their own."""


@cli.command()
@team_argument
@click.argument("prompt", required=False)
@click.option("--agent", "-a", metavar="NAME", help="The agent to run, in place of the team's root.")
@json_option
@max_running_option
@working_dir_option
@state_option
def run(team_file: Path, prompt: str | None, agent: str | None, **options: Any) -> int:
    """Run the root agent of TEAM on PROMPT and print its answer.

    PROMPT is read from standard input if it is `-`, or if it is missing and that is not a terminal. The answer goes to
    standard output; the tasks, and in the end what the run cost, are shown on standard error, live if that is a
    terminal. The root is a task like any other: `subactors view` shows it later, too.
    """
    team = load(team_file)
    name = agent_of(team, agent or team.root)
    from .run import run_root

    return run_root(team, name, given(prompt, "PROMPT"), as_json=options.pop("as_json"), settings=settings_of(options))


@cli.command()
@id_argument
@click.argument("text", required=False)
@click.option("--team", "team_file", type=click.Path(path_type=Path), metavar="TEAM", help="The team, if it has moved.")
@json_option
@max_running_option
@working_dir_option
@state_option
def resume(part: str, text: str | None, team_file: Path | None, **options: Any) -> int:
    """Continue a task that has ended, and print its answer.

    The task failed, was stopped, or its program died. It goes on from its last finished turn, as the root of a new
    run, with the team and in the directory that it had. TEXT is what you say to it now; a task that has completed goes
    on with a TEXT only. TEXT is read from standard input if it is `-`. ID may be any part of the id that only one task
    has; `subactors runs` names the tasks that can be continued.
    """
    said = None if text is None else given(text, "TEXT")
    from .resume import resume_task

    root, as_json = state_root(options["state_dir"]), options.pop("as_json")
    return resume_task(root, part, said, team_file, as_json=as_json, settings=settings_of(options))


@cli.command()
@team_argument
@click.argument("agent")
@click.argument("tasks", metavar="TASK...", nargs=-1, required=True)
@click.option("--expected-output", metavar="TEXT", help="What each answer should look like.")
@json_option
@max_running_option
@working_dir_option
@state_option
def dispatch(team_file: Path, agent: str, tasks: tuple[str, ...], expected_output: str | None, **options: Any) -> int:
    """Run AGENT of TEAM on every TASK at once.

    It needs no orchestrator. It prints the results in the order of the tasks. A TASK of `-` stands for the lines of
    standard input, a task each. The exit status is 1 if any task did not complete.
    """
    team = load(team_file)
    name = agent_of(team, agent)
    texts = [line for task in tasks for line in (lines_of_input() if task == "-" else [task])]
    if not texts or not all(text.strip() for text in texts):
        raise click.UsageError("A TASK is empty.")
    from .run import dispatch_tasks

    as_json = options.pop("as_json")
    return dispatch_tasks(team, name, texts, expected_output, as_json=as_json, settings=settings_of(options))


@cli.command()
@team_argument
@working_dir_option
def check(team_file: Path, working_dir: str | None) -> int:
    """Check TEAM and print everything that is wrong with it. Runs nothing.

    Each problem has its line and key. For a valid file it also reports which agents would run on this machine,
    which would not and why, and which keys have no effect. The exit status is 2 for a wrong file, and 1 if an agent
    would not run here, or if none would before there is a key.
    """
    from .run import check_file

    return check_file(str(team_file), working_dir)


@cli.command()
@team_argument
@click.option("--agent", "-a", metavar="NAME", help="The agent whose place the MCP host takes, not the root.")
@max_running_option
@working_dir_option
@state_option
def mcp(team_file: Path, agent: str | None, **options: Any) -> int:
    """Serve the background agents of TEAM as tools to an MCP host.

    It speaks on standard input and output. The MCP host takes the place of the root agent: it may start the root's
    sub-agents, or all agents if the root has none. Everything ends with standard input.
    """
    team = load(team_file)
    name = agent_of(team, agent or team.root)
    from ..serve.mcp import serve

    return serve(team, name, settings=settings_of(options))


@cli.command()
@click.option("--all", "-a", "everything", is_flag=True, help="List tasks that have ended, too, the newest last.")
@click.option("-n", "at_most", type=click.IntRange(1), metavar="N", help="List the newest N only.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(get_args(Status)),
    multiple=True,
    help="List tasks of that status, ended ones included; repeatable.",
)
@click.option("--agent", "agents", metavar="NAME", multiple=True, help="As --status, for an agent.")
@click.option("--run", metavar="RUN", help="List tasks of that run: any part of its folder's name.")
@click.option("--json", "as_json", is_flag=True, help="One task a line, as JSON.")
@state_option
def ps(state_dir: str | None, **options: Any) -> int:
    """List the tasks that run on this machine.

    Tasks of every program of yours are listed. STARTED and ENDED are in UTC. HOST is the process that runs a task.
    MEMORY is what only the task's processes use (USS, and what they share). A narrow terminal gets shorter ids and
    fewer columns.
    """
    from .tasks import list_tasks

    return list_tasks(state_root(state_dir), **options)


@cli.command()
@id_argument
@click.option("--follow", "-f", is_flag=True, help="Print the task's output as it comes, until the task has ended.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --follow one event a line.")
@state_option
def view(part: str, state_dir: str | None, **options: bool) -> int:
    """Show everything about one task.

    The program that ran it may have ended or died. ID may be any part of the id that only one task has. Viewing a task
    that has ended counts as reading its result. With --follow the exit status is 1 if the task did not complete.
    """
    from .tasks import view_task

    return view_task(state_root(state_dir), part, follow=options["follow"], as_json=options["as_json"])


@cli.command()
@id_argument
@state_option
def logs(part: str, state_dir: str | None) -> int:
    """Print the log of a task.

    The log is what its C code and the programs that it started wrote, and how it crashed.
    ID may be any part of the id that only one task has. What a task's Python code prints is its output, which `view`
    shows.
    """
    from .tasks import show_log

    return show_log(state_root(state_dir), part)


@cli.command()
@click.argument("parts", metavar="ID...", nargs=-1, required=True)
@state_option
def stop(parts: tuple[str, ...], state_dir: str | None) -> int:
    """Stop tasks, and what they have started.

    It stops tasks of every program of yours, all at the same time. An ID may be any part of the id that only one task
    has. The exit status is 1 if one of them was not there to be stopped; the others are stopped all the same.
    """
    from .tasks import stop_tasks

    return stop_tasks(state_root(state_dir), parts)


@cli.command()
@id_argument
@click.argument("text", required=False)
@state_option
def tell(part: str, text: str | None, state_dir: str | None) -> int:
    """Say TEXT to a task while it runs.

    An agent finds it between two turns of its model; a function gets it from `task.receive()`. TEXT is read from
    standard input if it is `-`, or if it is missing and that is not a terminal. ID may be any part of the id that only
    one task has. The exit status is 1 if the task has ended.
    """
    said = given(text, "TEXT")
    from .talk import tell_task

    return tell_task(state_root(state_dir), part, said)


@cli.command()
@id_argument
@click.argument("text", required=False)
@state_option
def answer(part: str, text: str | None, state_dir: str | None) -> int:
    """Answer a question that a task waits for with TEXT.

    `subactors ps --status waiting` lists such tasks, and `subactors view` shows what they ask. ID is any part of the id
    of a question, or of a task, that only one question fits: of a task that asks several things, name the question.
    TEXT is read from standard input if it is `-`, or if it is missing and that is not a terminal.
    """
    said = given(text, "TEXT")
    from .talk import answer_question

    return answer_question(state_root(state_dir), part, said)


@cli.command()
@click.option("-n", "at_most", type=click.IntRange(1), metavar="N", default=20, show_default=True, help="The newest N.")
@click.option("--all", "-a", "everything", is_flag=True, help="List all of them.")
@click.option("--open", "only_open", is_flag=True, help="List only those of which a task can be continued.")
@click.option("--json", "as_json", is_flag=True, help="One run a line, as JSON.")
@state_option
def runs(state_dir: str | None, at_most: int, **options: bool) -> int:
    """List runs, the newest last, and what can be continued of each.

    A run is one life of a program that runs tasks. Its tasks are counted by their status. Those are named that failed
    or were stopped, and that nobody has continued; `subactors resume ID` does. Times are in UTC.
    """
    from .runs import list_runs

    bound = None if options.pop("everything") else at_most
    return list_runs(state_root(state_dir), at_most=bound, **options)


@cli.command()
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="Remove only runs that ended before that.",
)
@click.option("--unread", is_flag=True, help="Remove runs with unread or unreadable results, too.")
@state_option
def prune(older_than: float, state_dir: str | None, *, unread: bool) -> int:
    """Remove runs that have ended, once all results are read."""
    from .runs import prune_runs

    return prune_runs(state_root(state_dir), keep=older_than * 86400, unread=unread)


@cli.command()
@state_option
def doctor(state_dir: str | None) -> int:
    """Say what this machine offers, and run a task on it.

    It tells which means of isolation and of limits the machine has, and which of them are used.
    """
    from .doctor import examine

    good = True
    for finding in examine(state_dir):
        good = good and finding.good
        out.sentence(f"{'ok  ' if finding.good else 'BAD '}{finding.what}: {finding.how}", hang=4)
    return 0 if good else _FAILED


@cli.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--crash", is_flag=True, help="Add a sub-agent that dies of SIGSEGV half way.")
@click.option(
    "--model", metavar="REF", help="Run the team with this model, such as openai/gpt-4o, in place of its own."
)
@click.option("--print", "print_file", is_flag=True, help="Print the team file and run nothing.")
@json_option
def demo(folder: Path, model: str | None, **options: bool) -> int:
    """Survey the source code in DIR with a bundled team of agents.

    It needs no key and no server.
    """
    from ..demo import PROMPT, load_demo_team, team_text

    if options["print_file"]:
        out.line(team_text(crash=options["crash"]))
        return 0
    team = load_demo_team(crash=options["crash"], model=model)
    os.chdir(folder)
    from .run import run_root

    return run_root(team, team.root, PROMPT, as_json=options["as_json"], settings={})


cli.add_command(bench)
cli.add_command(init)


def run_command_line() -> NoReturn:
    """Run the command line and exit; the `subactors` command."""
    take_over()
    try:
        status = _run_command()
    except OutputLostError:
        status = _FAILED
    status = exit_status(status)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        # A `python/…` model that hangs in a worker thread must not keep the command from ending.
        os._exit(status)
    sys.exit(status)


def _run_command() -> int:
    """Run the command that the arguments name, say what was wrong, and return the exit status."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        err.line(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        usage = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            usage = f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n\n"
        err.sentence(f"{usage}Error: {error.format_message()}")
        return error.exit_code
    except TeamFileError as error:
        err.sentence(str(error))
        return _USAGE
    except SubactorsError as error:
        warn(str(error))
        return _FAILED
    return status if isinstance(status, int) else 0
