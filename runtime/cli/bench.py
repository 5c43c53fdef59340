"""Bench: the command `subactors bench`; `bench_run` does its work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .arguments import Whole, state_option, working_dir_option
from .completion import complete_list, complete_team_and_agent
from .help import command

__all__ = ["bench"]


@command(
    examples=[
        "subactors bench --function time:sleep 0.1 --plot out.svg",
        'subactors bench team.yaml researcher "What is new?" --tasks 1,10 --json',
    ]
)
@click.argument("words", metavar="[TEAM AGENT TASK | ARG...]", nargs=-1, shell_complete=complete_team_and_agent)
@click.option("--function", metavar="MODULE:NAME", help="Measure a function, called with the ARGs, and no agent.")
@click.option("--tasks", default="1,10,100", show_default=True, metavar="N,...", help="How many at once.")
@click.option("--repeat", type=Whole(1, 1000), default=3, show_default=True, metavar="N", help="How often.")
@click.option("--concurrency", type=Whole(1), metavar="N", help="Tasks at work at a time, as --max-running.")
@click.option(
    "--against",
    default="threads,processes,coroutines",
    metavar="WAYS",
    shell_complete=complete_list(lambda: ("threads", "processes", "coroutines", "none")),
    help="Other ways to do the same work: threads, processes, coroutines; or none.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, as JSON, which --compare reads.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw it, as SVG.")
@click.option("--compare", type=click.Path(path_type=Path), metavar="FILE", help="Compare with an earlier --json.")
@working_dir_option
@state_option
def bench(
    words: tuple[str, ...], function: str | None, tasks: str, against: str, concurrency: int | None, **options: Any
) -> int:
    """Measure how a fan-out of many tasks scales here.

    It runs AGENT of TEAM on TASK, or a function, so many times at once. It tells wall time, latencies, CPU, memory,
    tokens and failures. Functions are compared with the same work in threads, in a process pool and as coroutines. An
    ARG is JSON, or else text. The exit status is 1 if a task did not complete.
    """
    from .bench_run import measure, numbers, ways_of, work_of  # noqa: PLC0415 - `--help` should not wait for it

    sizes, ways = numbers(tasks), ways_of(against)
    places = {name: options.pop(name) for name in ("state_dir", "working_dir")}
    work, warning = work_of(words, function, concurrency, places)
    return measure(work, sizes=sizes, against=ways, warning=warning, **options)
