"""Talk commands: `tell`, `answer` and `stop`, with their arguments."""

from __future__ import annotations

import click

from ..runs.folder import state_root
from .arguments import given, id_argument, ids_argument, one_of, run_option, state_option, with_input
from .help import command

__all__ = ["answer", "stop", "tell"]


@command(examples=['subactors tell 5e6f "Leave out the tests."', "subactors tell 5e6f - < remarks.md"])
@id_argument("running")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="What becomes of it, as JSON.")
@state_option
def tell(part: str, text: str | None, state_dir: str | None, *, as_json: bool) -> int:
    """Say TEXT to a task while it runs.

    An agent finds it between two turns of its model; a function gets it from `task.receive()`. TEXT is read from
    standard input if it is `-`, or if it is missing and that is not a terminal. The beginning of an ID is enough. The
    exit status is 1 if the task has ended.
    """
    said = given(text, "TEXT")
    from .talk import tell_task

    return tell_task(state_root(state_dir), part, said, as_json=as_json)


@command(
    examples=[
        "subactors ps --status waiting          # who asks, and what",
        'subactors answer 5e6f "staging"',
    ]
)
@id_argument("questions")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="Whose question it was, as JSON.")
@state_option
def answer(part: str, text: str | None, state_dir: str | None, *, as_json: bool) -> int:
    """Answer a question that a task waits for with TEXT.

    `subactors ps --status waiting` lists such tasks, with what they ask. ID is that of a question, or of a task
    that asks one thing; its beginning is enough. TEXT is read from standard input if it is `-`, or if it is missing and
    that is not a terminal.
    """
    said = given(text, "TEXT")
    from .talk import answer_question

    return answer_question(state_root(state_dir), part, said, as_json=as_json)


@command(
    examples=[
        "subactors stop 5e6f 7a8b",
        "subactors stop --run 20260131T1200",
        "subactors ps -q --agent researcher | subactors stop -",
    ]
)
@ids_argument("running", required=False)
@click.option("--all", "-a", "everything", is_flag=True, help="Stop every task of every program of yours.")
@run_option("Stop every task of that run: the beginning of its folder's name, or another part.", "live runs")
@click.option("--json", "as_json", is_flag=True, help="One task a line, as JSON: those that were stopped.")
@state_option
def stop(parts: tuple[str, ...], state_dir: str | None, everything: bool, run: str | None, *, as_json: bool) -> int:
    """Stop tasks, and what they have started.

    It stops tasks of every program of yours, all at the same time. The beginning of an ID is enough; an ID of `-`
    stands for the ids on standard input. The exit status is 1 if one of them was not there to be stopped; the others
    are stopped all the same.
    """
    one_of(ID=parts, all=everything, run=run)
    if not (parts or everything or run):
        raise click.UsageError("Say which tasks: ids, --run RUN, or --all for all of them.")
    from .stop import stop_all, stop_tasks

    root = state_root(state_dir)
    return stop_tasks(root, with_input(parts), as_json=as_json) if parts else stop_all(root, run, as_json=as_json)
