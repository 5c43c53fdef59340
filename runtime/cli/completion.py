"""Completion: what a shell offers for a word of a command line: agents of the team, ids of tasks, runs.

It must never fail nor say anything: what cannot be looked up is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..text import one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..tasks.views import TaskView

__all__ = ["SHELLS", "complete_with", "script_for"]

SHELLS: Final = ("bash", "zsh", "fish")

_VARIABLE: Final = "_SUBACTORS_COMPLETE"
_WORDS: Final = 60
"""Characters of what is told of an id."""


def complete_with(which: str) -> Callable[..., list[CompletionItem[str]]]:
    """Return what a parameter completes its words with.

    Args:
        which: `agents` of the team file that stands before; `tasks`, `running` ones, or those that can be `continued`;
            `questions` that wait; `runs`.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells that ask

        del param
        try:
            words = list(_words(which, ctx.params, incomplete))
        except Exception:  # noqa: BLE001 - see the module
            return []
        return [
            CompletionItem(word, help=one_line(about, _WORDS)) for word, about in words if word.startswith(incomplete)
        ]

    return complete


def _words(which: str, params: dict[str, Any], incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield words of a kind, and what each is."""
    if which == "agents":
        if (path := params.get("team_file")) is not None:
            from ..teamfile.load import load_team  # noqa: PLC0415 - for shells that ask

            for name, agent in load_team(Path(path)).agents.items():
                yield name, agent.description
        return
    from ..runs.folder import state_root  # noqa: PLC0415 - for shells that ask

    root = state_root(params.get("state_dir"))
    if which in {"runs", "continued"}:
        from ..runs.overview import overviews  # noqa: PLC0415 - for shells that ask

        for run in reversed(overviews(root)):
            if which == "runs":
                yield run.path.name, run.facts.team_file or run.facts.team
            else:
                yield from ((_id(view, incomplete), f"{view.agent} {view.status}") for view in run.open_ends)
        return
    from ..control.other_hosts import tasks_of  # noqa: PLC0415 - for shells that ask

    for listed in reversed(tasks_of(root, past=which == "tasks").tasks):
        view = listed.view
        if which == "questions":
            yield from ((question.id, f"{view.agent}: {question.text}") for question in view.questions)
        elif which == "tasks" or not view.ended:
            yield _id(view, incomplete), f"{view.agent} {view.status}: {view.task}"


def _id(view: TaskView, incomplete: str) -> str:
    """Return an id; without what all ids begin with for whoever types it so."""
    from ..tasks.views import ID_PREFIX  # noqa: PLC0415 - for shells that ask

    return view.id if view.id.startswith(incomplete) else view.id.removeprefix(ID_PREFIX)


def script_for(shell: str, cli: click.Command) -> str:
    """Return the script that has a shell complete the command `subactors`."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for one command

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - `SHELLS` are those of click
    return kind(cli, {}, "subactors", _VARIABLE).source()
