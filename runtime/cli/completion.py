"""Completion: what a shell offers for a word of a command line: agents of the team, ids of tasks, runs.

It must never fail nor say anything: what cannot be looked up is not offered.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..terminal.streams import out
from ..text import one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem, ShellComplete

    from ..tasks.views import TaskView

__all__ = [
    "COMPLETE_VARIABLE",
    "SHELLS",
    "answer_shell",
    "complete_list",
    "complete_team_and_agent",
    "complete_with",
    "script_for",
]

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
        which: `agents` or `places` of the team file that stands before; `tasks`, `running` ones, or those that can be
            `continued`; `task agents`, which tasks have; `questions` that wait; `runs`, or `live runs`; `nodes`;
            `models`.
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


def complete_list(words: Callable[[], Iterable[str]]) -> Callable[..., list[CompletionItem[str]]]:
    """Return what a parameter completes words with that have commas between them; each is offered once.

    Args:
        words: those there are.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells that ask

        del ctx, param
        given, comma, last = incomplete.rpartition(",")
        left = [word for word in words() if word not in given.split(",")]
        return [CompletionItem(f"{given}{comma}{word}") for word in left if word.startswith(last)]

    return complete


def complete_team_and_agent(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return what words are completed with of which the first is a team file and the second an agent of it."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells that ask

    given = ctx.params.get("words") or ()
    if ctx.params.get("function") or len(given) > 1:
        return []
    return complete_with("agents")(ctx, param, incomplete) if given else [CompletionItem(incomplete, type="file")]


def _words(which: str, params: dict[str, Any], incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield words of a kind, and what each is."""
    if which == "models":
        yield from _models()
        return
    if which in {"agents", "places"}:
        from ..teamfile.load import load_team  # noqa: PLC0415 - for shells that ask

        team = load_team(params.get("team_file") or _file_of_line())
        of_agents = ((name, agent.description) for name, agent in team.agents.items())
        yield from of_agents if which == "agents" else ((place.name, "") for place in team.settings.places)
        return
    from ..runs.folder import state_root  # noqa: PLC0415 - for shells that ask

    root = state_root(params.get("state_dir"))
    if which == "nodes":
        from ..control.nodes import nodes_of  # noqa: PLC0415 - for shells that ask

        yield from ((node.view.name, f"{node.view.place}: {node.view.state}") for node in nodes_of(root)[0])
        return
    if which in {"runs", "live runs", "continued"}:
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


def _models() -> Iterator[tuple[str, str]]:
    """Yield references to models: those of providers whose key is here first."""
    from ..team.providers import AUTO_MODELS  # noqa: PLC0415 - for shells that ask
    from .model_servers import with_keys  # noqa: PLC0415 - the same

    held = {reference: f"{variable} is set" for reference, variable in with_keys(os.environ)}
    yield from held.items()
    names = [f"{provider}/{model}" for provider, model in AUTO_MODELS.items()]
    yield from ((name, "") for name in names if name not in held)


def _file_of_line() -> Path:
    """Return the first file that a command line names, which cannot be parsed while an option lacks its value."""
    from click.shell_completion import split_arg_string  # noqa: PLC0415 - for shells that ask

    words = [Path(word) for word in split_arg_string(os.environ["COMP_WORDS"])]
    return next(path for path in words[1:] if path.is_file())


def _of_runs(which: str, root: Path, incomplete: str) -> Iterator[tuple[str, str]]:
    from ..runs.overview import overviews  # noqa: PLC0415 - for shells that ask

    for run in reversed(overviews(root)):
        if which == "runs" or (which == "live runs" and run.host_pid is not None):
            yield run.path.name, run.facts.team_file or run.facts.team
        elif which == "continued":
            yield from ((_id(view, incomplete), f"{view.agent} {view.status}") for view in run.open_ends)


def _id(view: TaskView, incomplete: str) -> str:
    """Return an id; without what all ids begin with for whoever types it so."""
    from ..tasks.views import ID_PREFIX  # noqa: PLC0415 - for shells that ask

    return view.id if view.id.startswith(incomplete) else view.id.removeprefix(ID_PREFIX)


def script_for(shell: str, cli: click.Command) -> str:
    """Return the script that has a shell complete the command `subactors`."""
    # What is offered may have commas itself.
    return _completer(shell, cli).source().replace('string split ","', 'string split --max 1 ","')


def answer_shell(asked: str, cli: click.Command) -> None:
    """Print what a shell is to offer.

    Args:
        asked: what its script has put into the variable, such as `bash_complete`.
        cli: the command line.
    """
    with contextlib.suppress(Exception):  # see the module
        completer = _completer(asked.partition("_")[0], cli)
        args, incomplete = completer.get_completion_args()
        # bash takes the sign between an option and its value for a word, other shells all of it for one.
        found = completer.get_completions([word for word in args if word != "="], incomplete)
        option, is_one, _ = incomplete.partition("=")
        for item in found if is_one and option.startswith("--") else ():
            item.value = f"{option}={item.value}"
        out.line("\n".join(map(completer.format_completion, found)))


def _completer(shell: str, cli: click.Command) -> ShellComplete:
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for shells that ask

    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"There is no shell {shell!r}.")
    return kind(cli, {}, "subactors", COMPLETE_VARIABLE)
