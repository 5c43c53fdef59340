"""Look commands: `ps`, `view`, `logs`, `wait` and `runs`, with their arguments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import click

from ..runs.folder import state_root
from ..tasks.views import Status
from .arguments import (
    Duration,
    Moment,
    Whole,
    id_argument,
    ids_argument,
    looked_at,
    one_of,
    run_option,
    state_option,
    with_input,
)
from .completion import complete_list, complete_with
from .help import command
from .manner import manner
from .words import Word

__all__ = ["dashboard", "logs", "ps", "runs", "timeline", "top", "view", "wait"]


def _columns() -> Iterable[str]:
    from .columns import COLUMNS

    return COLUMNS


@command(
    examples=[
        "subactors ps                           # what runs; --all: what ran, too",
        "subactors ps --status failed --agent researcher -n 5",
        "subactors ps --since 1h --format id,agent,runtime,cost",
        "subactors ps --all --format '{id}\\t{usage.cost:.4f}'",
        "subactors ps -q --agent researcher | subactors stop -",
    ]
)
@click.option("--all", "-a", "everything", is_flag=True, help="List tasks that have ended, too, the newest last.")
@click.option("-n", "at_most", type=Whole(1), metavar="N", help="List the newest N only.")
@click.option(
    "--status",
    "statuses",
    type=Word(get_args(Status), "status"),
    metavar="STATUS",
    multiple=True,
    help=f"List tasks of that status, ended ones included; repeatable. One of: {', '.join(get_args(Status))}.",
)
@click.option(
    "--agent",
    "agents",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_with("task agents"),
    help="List tasks of that agent; repeatable.",
)
@run_option("List tasks of that run: the beginning of its folder's name, or another part.")
@click.option(
    "--since",
    type=Moment(),
    metavar="T",
    help="List tasks accepted since then, ended ones included: 10m, 2h or 1d ago, or a time such as 2026-01-31T12:00.",
)
@click.option(
    "--watch", "-w", is_flag=True, help="Show the table anew every second, until Ctrl-C; or changes, to a pipe."
)
@click.option(
    "--format",
    "form",
    metavar="FORM",
    shell_complete=complete_list(_columns),
    help="Columns, such as id,agent,cost; or a line for each task, such as '{id} {status}', with the keys of --json.",
)
@click.option("--json", "as_json", is_flag=True, help="One task a line, as JSON.")
@state_option
def ps(state_dir: str | None, watch: bool, **options: Any) -> int:
    """List the tasks that run on this machine.

    Tasks of every program of yours are listed. STARTED and ENDED are in UTC. HOST is the process that runs a task.
    CPU is the CPU time of a task, CPU% its share of a core now. MEMORY is what only the task's processes use (USS, and
    what they share). TASK begins with what a task asks, and waits to be answered. A narrow terminal gets shorter ids
    and fewer columns. With --quiet the ids alone are printed.
    """
    one_of(json=options["as_json"], format=options["form"], quiet=manner.quiet)
    from .ps import Listing, list_tasks, watch_tasks

    listing = Listing(looked_at(state_dir), ids_only=manner.quiet, **options)
    return watch_tasks(listing) if watch else list_tasks(listing)


@command(
    examples=[
        "subactors view 5e6f",
        "subactors view 5e6f --follow",
        "subactors view --quiet 5e6f > answer.md    # its result alone",
    ]
)
@id_argument("tasks")
@click.option("--follow", "-f", is_flag=True, help="Print the task's output as it comes, until the task has ended.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --follow one event a line.")
@state_option
def view(part: str, state_dir: str | None, **options: bool) -> int:
    """Show everything about one task.

    The program that ran it may have ended or died. The beginning of an ID is enough. Viewing a task that has ended
    counts as reading its result. With --quiet that is printed alone. With --follow the exit status is 1 if the task
    did not complete.
    """
    from .tasks import view_task

    return view_task(state_root(state_dir), part, follow=options["follow"], as_json=options["as_json"])


@command(
    examples=[
        "subactors logs 5e6f",
        "subactors logs 5e6f --follow --tail 20",
        "subactors logs 5e6f --since 10m",
    ]
)
@id_argument("tasks")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until the task has ended.")
@click.option("--tail", "-n", type=Whole(0), metavar="N", help="Begin with the last N lines.")
@click.option(
    "--since", type=Moment(), metavar="T", help="Begin with what was written since then: 10m ago, or 2026-01-31T12:00."
)
@state_option
def logs(part: str, state_dir: str | None, **options: Any) -> int:
    """Print the log of a task.

    The log is what its C code and the programs that it started wrote, and how it crashed. What a task's Python code
    prints is its output, which `view` shows. The beginning of an ID is enough. Lines of a log have no times of their
    own: --since goes by when the log was seen to grow, which is noted about once a second.
    """
    from .logs import show_log

    return show_log(state_root(state_dir), part, **options)


@command(
    examples=[
        "subactors wait 5e6f 7a8b",
        "subactors wait --any --timeout 10m 5e6f 7a8b",
        "subactors ps -q --agent researcher | subactors wait -",
    ]
)
@ids_argument("running", required=True)
@click.option("--any", "for_any", is_flag=True, help="Wait for the first of them only.")
@click.option("--timeout", type=Duration(), metavar="TIME", help="Wait no longer: 90s, 5m, 1h30m.")
@click.option("--json", "as_json", is_flag=True, help="One task a line, as JSON, when it has ended.")
@state_option
def wait(parts: tuple[str, ...], state_dir: str | None, **options: Any) -> int:
    """Wait until tasks have ended, and say how each did.

    They may be of any program of yours, or have ended before. An ID of `-` stands for the ids on standard input; the
    beginning of an ID is enough. No result counts as read. The exit status is 1 if one did not complete, or time is
    over; with --quiet it is all that is told.
    """
    from .wait import wait_for

    return wait_for(state_root(state_dir), with_input(parts), **options)


@command(
    examples=[
        "subactors runs",
        "subactors runs --open                  # what can be continued",
        "subactors runs --all --json | jq -r .started_at",
    ]
)
@click.option("-n", "at_most", type=Whole(1), metavar="N", default=20, show_default=True, help="The newest N.")
@click.option("--all", "-a", "everything", is_flag=True, help="List all of them.")
@click.option("--open", "only_open", is_flag=True, help="List only those of which a task can be continued.")
@click.option("--json", "as_json", is_flag=True, help="One run a line, as JSON.")
@state_option
def runs(state_dir: str | None, at_most: int, **options: bool) -> int:
    """List runs, the newest last, and what can be continued of each.

    A run is one life of a program that runs tasks. Its tasks are counted by their status. Those are named that failed
    or were stopped, and that nobody has continued; `subactors resume ID` does. Times are in UTC. With --quiet the names
    of the runs' folders alone are printed.
    """
    from .runs import list_runs

    bound = None if options.pop("everything") else at_most
    return list_runs(state_root(state_dir), at_most=bound, **options)


@command(
    examples=[
        "subactors timeline -o run.svg            # of the newest run",
        "subactors timeline 5e6f -o group.html    # of a task and what it started",
        "subactors timeline 5e6f -o trace.json    # for ui.perfetto.dev",
    ]
)
@click.argument("part", metavar="[RUN|ID]", required=False, shell_complete=complete_with("runs"))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="Where to: .svg, .html, or .json.",
)
@state_option
def timeline(part: str | None, output: Path, state_dir: str | None) -> int:
    """Draw who ran when: a run, or a task and all that it has started.

    Turns, tools and waits are inside each task's bar, and attempts that failed are marked. FILE is a picture (.svg), a
    page with the picture and a table (.html), or trace events for Perfetto (.json). It shows what the journal has, so
    the program may have ended or died. Without RUN or ID it is of the newest run that has tasks.
    """
    from .timeline import write_timeline

    return write_timeline(state_root(state_dir), part, output)


@command(
    examples=[
        "subactors dashboard --open",
        "subactors dashboard --port 8080 --read-only",
    ]
)
@click.option("--port", type=Whole(0, 65535), default=0, metavar="N", help="Listen there; else on a port that is free.")
@click.option("--open", "opens", is_flag=True, help="Open the page in your browser, too.")
@click.option("--read-only", is_flag=True, help="Show all, and let nothing be stopped, said, answered or resumed.")
@run_option("Show that run only: the beginning of its folder's name, or another part.")
@click.option("--ends-with-input", is_flag=True, help="End with standard input, too: for programs that start it.")
@state_option
def dashboard(state_dir: str | None, **options: Any) -> int:
    """Show all runs of yours in a browser, live and past, and let you step in.

    It prints the address of a page, for this machine alone, and serves it until Ctrl-C. The address has a secret in
    it: whoever knows it can stop your tasks and answer for you. Looking leaves no trace: no result counts as read.
    """
    from .dashboard import show_dashboard

    return show_dashboard(looked_at(state_dir), **options)


@command(
    examples=[
        "subactors top                          # what runs; --past: what ran, too",
        "subactors top --run 8f1a",
    ]
)
@click.option("--past", "-p", is_flag=True, help="Show runs, too, that are over; the key `p` does so, too.")
@click.option("--read-only", is_flag=True, help="Show all, and let nothing be stopped, said, answered or resumed.")
@run_option("Show that run only: the beginning of its folder's name, or another part.")
@state_option
def top(state_dir: str | None, **options: Any) -> int:
    """Show all runs of yours on the terminal, and let you step in.

    The tree of tasks follows what happens; keys stop a task, say something to it, answer what it asks and resume it.
    The last line names them. Looking leaves no trace: no result counts as read. It needs Textual: pip install
    'subactors[top]'
    """
    from .top import show_top

    return show_top(looked_at(state_dir), **options)
