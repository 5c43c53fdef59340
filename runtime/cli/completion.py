"""Completion: what a shell offers for a word of a command line: agents of the team, ids of tasks, runs.

It must never fail nor say anything: what cannot be looked up is not offered.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..terminal.streams import out
from ..text import one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem, ShellComplete

    from ..tasks.views import TaskView

__all__ = ["COMPLETE_VARIABLE", "SHELLS", "answer_shell", "complete_with", "script_for"]

SHELLS: Final = ("bash", "zsh", "fish")

COMPLETE_VARIABLE: Final = "_SUBACTORS_COMPLETE"
"""Environment variable by which the script of a shell asks."""

_MOST: Final = 500
"""Tasks that are offered, more or less: the newest."""

_WORDS: Final = 60
"""Characters of what is told of an id."""


def complete_with(which: str) -> Callable[..., list[CompletionItem[str]]]:
    """Return what a parameter completes its words with.

    Args:
        which: `agents` of the team file that stands before; `tasks`, `running` ones, or those that can be `continued`;
            `task agents`, which tasks have; `questions` that wait; `runs`.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells that ask

        del param
        try:
            words = dict(_words(which, ctx.params, incomplete))
        except Exception:  # noqa: BLE001 - see the module
            return []
        return [
            CompletionItem(word, help=one_line(about, _WORDS))
            for word, about in words.items()
            if word.startswith(incomplete)
        ]

    return complete


def _words(which: str, params: dict[str, Any], incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield words of a kind, and what each is."""
    if which == "agents":
        from ..teamfile.load import load_team  # noqa: PLC0415 - for shells that ask

        for name, agent in load_team(params.get("team_file") or _file_of_line()).agents.items():
            yield name, agent.description
        return
    from ..runs.folder import state_root  # noqa: PLC0415 - for shells that ask

    root = state_root(params.get("state_dir"))
    if which in {"runs", "continued"}:
        yield from _of_runs(which, root, incomplete)
        return
    from ..control.other_hosts import tasks_of  # noqa: PLC0415 - for shells that ask

    for listed in reversed(tasks_of(root, past=which.startswith("task"), at_most=_MOST).tasks):
        view = listed.view
        if which == "questions":
            yield from ((question.id, f"{view.agent}: {question.text}") for question in view.questions)
        elif which == "task agents":
            yield view.agent, ""
        elif which == "tasks" or not view.ended:
            yield _id(view, incomplete), f"{view.agent} {view.status}: {view.task}"


def _file_of_line() -> Path:
    """Return the first file that a command line names, which cannot be parsed while an option lacks its value."""
    from click.shell_completion import split_arg_string  # noqa: PLC0415 - for shells that ask

    words = [Path(word) for word in split_arg_string(os.environ["COMP_WORDS"])]
    return next(path for path in words[1:] if path.is_file())


def _of_runs(which: str, root: Path, incomplete: str) -> Iterator[tuple[str, str]]:
    from ..runs.overview import overviews  # noqa: PLC0415 - for shells that ask

    for run in reversed(overviews(root)):
        if which == "runs":
            yield run.path.name, run.facts.team_file or run.facts.team
        else:
            yield from ((_id(view, incomplete), f"{view.agent} {view.status}") for view in run.open_ends)


def _id(view: TaskView, incomplete: str) -> str:
    """Return an id; without what all ids begin with for whoever types it so."""
    from ..tasks.views import ID_PREFIX  # noqa: PLC0415 - for shells that ask

    return view.id if view.id.startswith(incomplete) else view.id.removeprefix(ID_PREFIX)


def script_for(shell: str, cli: click.Command) -> str:
    """Return the script that has a shell complete the command `subactors`."""
    return _completer(shell, cli).source()


def answer_shell(asked: str, cli: click.Command) -> None:
    """Print what a shell is to offer.

    Args:
        asked: what its script has put into the variable, such as `bash_complete`.
        cli: the command line.
    """
    with contextlib.suppress(Exception):  # see the module
        offered = _completer(asked.partition("_")[0], cli).complete()
        out.line(offered)


def _completer(shell: str, cli: click.Command) -> ShellComplete:
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for shells that ask

    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"There is no shell {shell!r}.")
    return kind(cli, {}, "subactors", COMPLETE_VARIABLE)
