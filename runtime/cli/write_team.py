"""Init: writes a new team that runs as it is, with a model that this machine has, or with Python functions alone.

It must never write over a file, nor leave one of its two files without the other.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click

from ..errors import TeamFileError
from ..team.providers import url_fault
from ..teamfile.load import load_team, override_model, team_from_mapping
from ..terminal.streams import err, out, warn
from .manner import manner
from .model_servers import PROVIDED, answering, models_at, places_of, server_fault, with_keys
from .new_team import TOOLS, WORK, ModelChoice, prompt_for, team_text
from .readiness import missing_keys, would_fail
from .words import none_such

__all__ = ["write_team"]

Answer = TypeVar("Answer")

_FAILED: Final = 1
_NONE: Final = "none"
_PYTHON: Final = ModelChoice("", why="Python functions only, which needs no model")
_MOST_SHOWN: Final = 9
"""Models that a person can choose from by a number."""


def write_team(folder: str | None, model: str | None, base_url: str | None, tools: str | None, *, ask: bool) -> int:
    """Write the two files of a new team, and say what to try; return the exit status.

    Args:
        folder: where; made if it is missing. None: the current folder.
        model: a reference, or what a server calls it where there is a `base_url`; `none`: no model. None: what is
            found here.
        base_url: root of the endpoint of a server.
        tools: toolsets, with commas between them; `none`: no more than the team's own. None: what suits the model.
        ask: whether a person is asked for what is None, if there is a terminal.
    """
    ask = ask and os.isatty(0) and err.is_terminal
    if folder is None:
        folder = _asked("Folder", ".", str.strip) if ask else "."
    path = Path(folder).expanduser()
    if not _is_free(path):
        return _FAILED
    chosen = _chosen(model, base_url, ask=ask)
    usual = "filesystem" if chosen.reference else _NONE
    if tools is None and ask:
        toolsets = _asked(f"More tools, with commas between them ({', '.join(TOOLS)})", usual, _toolsets)
    else:
        toolsets = _toolsets(usual if tools is None else tools)
    text = team_text(chosen, toolsets)
    try:
        _write(path, {"team.yaml": text, "work.py": WORK})
    except OSError as error:
        warn(f"{error.filename or path} cannot be written: {error.strerror or error}. Give another folder.")
        return _FAILED
    if not manner.quiet:
        _tell(path, chosen)
    return 0


# --- what is chosen -------------------------------------------------------------------------------------------------


def _chosen(model: str | None, base_url: str | None, *, ask: bool) -> ModelChoice:
    """Return the model; raises TeamFileError or click.UsageError where what was given is none."""
    if base_url is not None:
        fault = url_fault(base_url)
        if fault is not None:
            raise click.BadParameter(f"The address {fault}.", param_hint="--base-url")
        base_url = base_url.rstrip("/")
        names = [model] if model is not None else models_at(base_url)
        if not names:
            raise click.UsageError(
                f"Nothing at {base_url} says which models it has. Start the server, correct the address "
                "(most end in /v1), or name a model with --model."
            )
        return ModelChoice(names[0], base_url)
    if model is not None:
        return _named(model)
    choices = [*_proposals(os.environ), _PYTHON]
    return _picked(choices) if ask else choices[0]


def _named(model: str) -> ModelChoice:
    if model in (_NONE, "python", ""):
        return _PYTHON
    # As a team file's own mistakes: what a reference may be is known in one place.
    override_model(team_from_mapping({"agents": {"root": {"model": "openai/x"}}}), model)
    return ModelChoice(model)


def _proposals(environ: Mapping[str, str]) -> list[ModelChoice]:
    """Return the models that could answer: of servers on this machine first, then those that have a key."""
    found = []
    for server in answering(places_of(environ)):
        provider = PROVIDED.get(server.title)
        why = f"{server.title} answers at {server.base_url}"
        for name in server.models[:3]:
            choice = ModelChoice(f"{provider}/{name}", "", why) if provider else ModelChoice(name, server.base_url, why)
            found.append(choice)
    found += [ModelChoice(reference, "", f"{variable} is set") for reference, variable in with_keys(environ)]
    return found[: _MOST_SHOWN - 1]


def _picked(choices: Sequence[ModelChoice]) -> ModelChoice:
    """Have a person choose, until what is typed is a model."""
    err.line("Model:")
    for number, choice in enumerate(choices, 1):
        err.sentence(f"  {number}  {f'{choice.reference}: ' if choice.reference else ''}{choice.why}", hang=5)

    def read(said: str) -> ModelChoice:
        if not said.strip().isdecimal():
            try:
                return _named(said.strip())
            except TeamFileError as error:
                raise click.UsageError(str(error)) from None
        if not 1 <= int(said) <= len(choices):
            raise click.UsageError(f"There is no {said}: give a number from 1 to {len(choices)}.")
        return choices[int(said) - 1]

    return _asked("Its number, or another model such as openai/gpt-4o", "1", read)


def _toolsets(tools: str) -> list[str]:
    names = [name.strip() for name in tools.split(",") if name.strip() not in ("", _NONE)]
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        raise click.BadParameter(
            f"{none_such('toolset', unknown[0], (*TOOLS, _NONE))} Others can be written into team.yaml later.",
            param_hint="--tools",
        )
    return list(dict.fromkeys(names))


def _asked(question: str, default: str, read: Callable[[str], Answer]) -> Answer:
    """Ask a person, again if `read` raises click.UsageError."""

    def read_it(said: str) -> Answer:
        try:
            return read(said)
        except click.UsageError as error:  # which `click` prints as it is
            raise click.UsageError(err.broken(error.message, used=len("Error: "))) from None

    suffix = f" [{default}]: "
    answer: Answer = click.prompt(err.broken(question, used=len(suffix)), default=default, value_proc=read_it, err=True)
    return answer


# --- what is written ------------------------------------------------------------------------------------------------


def _is_free(folder: Path) -> bool:
    """Whether neither file is there; says so where one is, and what to do."""
    if folder.exists() and not folder.is_dir():
        warn(f"{folder} is not a folder. Give another: subactors init my-team")
        return False
    there = [name for name in ("team.yaml", "work.py") if os.path.lexists(folder / name)]
    if there:
        were = "is" if len(there) == 1 else "are"
        advice = "Give another folder, such as `subactors init my-team`"
        if "team.yaml" in there:
            advice += f", or see what that team is with `subactors check {_typed(folder / 'team.yaml')}`"
        warn(f"{' and '.join(there)} {were} in {folder.absolute()} already. Nothing was written. {advice}.")
    return not there


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files, all of them or none."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for name, text in files.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(folder / name)
                file.write(text)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise


def _tell(folder: Path, chosen: ModelChoice) -> None:
    """Say what was written, and the commands to try."""
    if chosen.reference:
        why = f" ({chosen.why})" if chosen.why else ""
        model = f"Its model is {chosen.reference}{f' at {chosen.base_url}' if chosen.base_url else ''}{why}."
    else:
        model = "It has no model: a function of work.py does the work."
    err.sentence(f"Wrote {folder / 'team.yaml'} and {folder / 'work.py'}.\n{model}")
    for sentence in _needed(folder):
        err.sentence(sentence)
    program = _program()
    out.line("Try:")
    if folder.absolute() != Path.cwd():
        out.line(f"  cd {_typed(folder)}")
    out.line(f"  {program} check team.yaml")
    out.line(f'  {program} run team.yaml "{prompt_for(chosen)}"')
    out.line(f"  {program} dispatch team.yaml surveyor agent task tool")


def _needed(folder: Path) -> list[str]:
    """Return what keeps the root of a new team from running here, as `check` would say it, a sentence each."""
    team = load_team(folder / "team.yaml")
    agent = team.agents[team.root]
    needed = [
        *would_fail(agent, os.environ, folder.absolute(), team.folders),
        *missing_keys(agent, os.environ, team.folders),
    ]
    if needed or agent.model is None:
        return list(dict.fromkeys(needed))
    fault = server_fault(agent.model, os.environ)
    return [f"{fault} Until then only `surveyor` runs."] if fault else []


def _typed(path: Path) -> str:
    """Return a path as it may be typed into a shell after a command."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _program() -> str:
    """Return how this program was called, such that it can be called so again from the team's folder."""
    called = Path(sys.argv[0])
    if called.name != "subactors":
        return f"{shlex.quote(sys.executable)} -m subactors.runtime.cli"
    found = shutil.which("subactors")
    if found is not None and called.exists() and Path(found).resolve() == called.resolve():
        return "subactors"
    return shlex.quote(str(called.absolute()))
