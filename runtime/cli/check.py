"""Check: what `check` says of a team without mistakes: which agents would run here, and what to know of each.

The file may be anybody's. So neither the time nor the length of the report grows with what is in the file, and no value
of the environment is shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ..errors import TeamFileError
from ..team.requirements import place_of
from ..teamfile.load import check_team
from ..terminal.streams import err, out
from ..text import one_line
from .json_style import print_json
from .manner import manner
from .place_means import lack_of
from .readiness import budget_faults, missing_keys, notes_on, preload_faults, would_fail

if TYPE_CHECKING:
    from ..models.ping import Answer
    from ..team.config import AgentConfig, Team, ToolsetConfig

__all__ = ["AgentLook", "DryLook", "Verdict", "check_file", "say_which_answer"]

_FAILED: Final = 1
_USAGE: Final = 2


Verdict: TypeAlias = Literal["would run", "would not run", "needs a key", "not looked at"]

_TITLES: Final[Mapping[Verdict, str]] = {
    "would run": "Would run here",
    "would not run": "Would not",
    "needs a key": "Not before there is a key",
    "not looked at": "Not looked at",
}
"""What stands before the names of the agents of each verdict, in their order."""

_MOST_LINES: Final = 90
"""Lines about agents and keys; with those around them fewer than a hundred."""

_LONGEST_LINE: Final = 2000
"""Characters of a line."""

_LOOKING: Final = 0.8
"""Seconds of processor time after which no further agent is looked at: it does not depend on what else is at work."""


@dataclass(frozen=True)
class AgentLook:
    """What there is to say of one agent.

    Attributes:
        agent: its name.
        what: what it is made of.
        verdict: whether it would run here.
        reasons: why it would not run, or not before there is a key.
        notes: what to know of it.
    """

    agent: str
    what: str
    verdict: Verdict
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_file(path: str, working_dir: str | None = None, *, ping: bool = False, as_json: bool = False) -> int:
    """Print what is wrong with a team file, or what of it would run here; return the exit status.

    Args:
        path: the file.
        working_dir: where its agents would work; None: the current directory.
        ping: whether to ask its models, too.
        as_json: whether to print one object a line.
    """
    team, problems = check_team(path)
    if team is None or problems:
        for problem in problems if as_json else ():
            print_json({"kind": "problem", **msgspec.structs.asdict(problem), "line": problem.line or None})
        for line in () if as_json else str(TeamFileError(problems)).splitlines():
            out.sentence(line)
        count = len(problems)
        err.sentence(f"{path}: {count} problem{'' if count == 1 else 's'}.")
        return _USAGE
    agents = "1 agent" if len(team.agents) == 1 else f"{len(team.agents)} agents"
    look = DryLook(team, os.environ, Path(working_dir or Path.cwd()), asks=ping)
    is_good = look.is_good
    if as_json:
        for data in look.data():
            print_json(data)
    elif not (manner.quiet and is_good):
        out.sentence(f"{path}: {agents}, root is {team.root!r}. No problems in the file.")
        for line in look.lines():
            out.sentence(line)
    if ping:
        is_good = say_which_answer(team, os.environ, as_json=as_json) and is_good
    return 0 if is_good else _FAILED


class DryLook:
    """A look at what of a team would run here, in a bounded time, told in a bounded number of lines.

    Args:
        team: a checked team.
        environ: the environment that it would run in.
        folder: where its agents would work.
        asks: whether its models are asked after it, and not only looked at.
    """

    def __init__(self, team: Team, environ: Mapping[str, str], folder: Path, *, asks: bool = False) -> None:
        self._team, self._environ, self._folder, self._asks = team, environ, folder, asks
        end = time.process_time() + _LOOKING
        self.agents = [self._look_at(name, agent, end) for name, agent in team.agents.items()]
        faults = preload_faults(team) if time.process_time() < end else ()
        self.notes = [f"runtime.preload: would not be imported ahead: {fault}" for fault in faults]
        self.notes += [f"{key}: accepted, and without effect here" for key in team.ignored]

    @property
    def is_good(self) -> bool:
        """Whether no agent is known to fail, and some are known not to; those without a key do not count."""
        verdicts = {look.verdict for look in self.agents}
        return "would run" in verdicts and verdicts.isdisjoint({"would not run", "not looked at"})

    def data(self) -> Iterator[dict[str, Any]]:
        """Yield an object for JSON for each agent, and for each thing to know of the whole team."""
        for look in self.agents:
            yield {"kind": "agent", **asdict(look)}
        for note in self.notes:
            yield {"kind": "note", "text": note}

    def lines(self) -> Iterator[str]:
        """Yield a line for each agent and each thing to know; where there are too many, what matters most is first."""
        lines = [line for look in self.agents for line in _lines_on(look)]
        lines += [(True, f"  {note}") for note in self.notes]
        count = len(lines)
        if count > _MOST_LINES:
            lines = sorted(lines, key=lambda line: not line[0])[:_MOST_LINES]
        for _, line in lines:
            yield line
        if count > len(lines):
            yield f"  There are {count - len(lines):,} more lines."
        groups = {verdict: [look.agent for look in self.agents if look.verdict == verdict] for verdict in _TITLES}
        could = (self._team.agents[name].models for name in groups["would run"])
        if not self._asks and any(not model.is_function for models in could for model in models):
            yield "  No model was asked whether it answers: `subactors check --ping` does that."
        groups["would run"] = groups["would run"] or ["none"]
        named = [(title, ", ".join(groups[verdict])) for verdict, title in _TITLES.items() if groups[verdict]]
        yield " ".join(f"{title}: {one_line(names, 1000)}." for title, names in named)

    def _look_at(self, name: str, agent: AgentConfig, end: float) -> AgentLook:
        if time.process_time() >= end:
            return AgentLook(name, self._title(agent), "not looked at")
        environ, folder, folders = self._environ, self._folder, self._team.folders
        unpriced, below = budget_faults(self._team, name)
        place = place_of(self._team, name)
        faults = [*(self._lacks(place) if place else would_fail(agent, environ, folder, folders))]
        faults += filter(None, [unpriced])
        keys = [] if faults else missing_keys(agent, environ, folders)
        notes = [] if place else [*notes_on(agent, environ, folder, folders)]
        notes += [f"runs at place {place}: what its nodes lack is not known here"] if place else []
        notes += [f"has a limit on cost, so what it may start would be refused: {sentence}" for sentence in below]
        verdict: Verdict = "would not run" if faults else "needs a key" if keys else "would run"
        return AgentLook(name, self._title(agent), verdict, [*faults, *keys], notes)

    def _lacks(self, place: str) -> list[str]:
        """Return what this machine lacks to reach a place."""
        lacks = {config.name: lack_of(config) for config in self._team.settings.places}
        return [f"Place {place} {lacks[place]}."] if lacks.get(place) else []

    def _title(self, agent: AgentConfig) -> str:
        what = [f"entrypoint {agent.entrypoint}"] if agent.entrypoint is not None else []
        what += [f"model {agent.model.reference}"] if agent.model is not None else []
        toolsets = ", ".join(map(_toolset_title, agent.toolsets))
        others = ", ".join(model.reference for model in agent.fallback.models)
        extras = [f"fallback {others}"] if others else []
        extras += [f"toolsets {toolsets}"] if toolsets else []
        extras += [f"sub_agents {', '.join(agent.sub_agents)}"] if agent.sub_agents else []
        return "; ".join([*what, *extras])


def _lines_on(look: AgentLook) -> Iterator[tuple[bool, str]]:
    """Yield whether a line is worth more than others, and the line; an agent's name may hold anything."""
    before = {"would not run": "would not run here: ", "needs a key": "not before there is a key: "}
    texts = [look.what, *(before.get(look.verdict, "") + reason for reason in look.reasons), *look.notes]
    for number, text in enumerate(texts):
        yield number > 0, f"  {one_line(look.agent, 100)}: {one_line(text, _LONGEST_LINE)}"


def say_which_answer(team: Team, environ: Mapping[str, str], *, as_json: bool = False) -> bool:
    """Ask each model of a team for one word, but for functions, and print each answer as it comes.

    Returns:
        whether all have answered.
    """
    from ..models.ping import ask_models  # noqa: PLC0415 - slow to import

    def tell(answer: Answer) -> None:
        said = answer.text.removeprefix(f"Model {answer.name!r}").lstrip(": ")
        if as_json:
            print_json({"kind": "model", "model": answer.name, "answers": answer.is_good, "text": said})
        else:
            out.sentence(f"  {one_line(answer.name, 100)}: {one_line(said, 300)}")

    models = {model.reference: model for agent in team.agents.values() for model in agent.models}
    if not as_json:
        out.sentence("Asked for one word:" if models else "No agent has a model that could be asked.")
        for reference in (model.reference for model in models.values() if model.is_function):
            out.sentence(f"  {one_line(reference, 100)}: a function of yours, which is not asked.")
    answers = ask_models([model for model in models.values() if not model.is_function], environ, tell)
    return all(answer.is_good for answer in answers)


def _toolset_title(toolset: ToolsetConfig) -> str:
    if toolset.type != "mcp":
        return toolset.type
    from ..team.mcp_definition import McpDefinition  # noqa: PLC0415 - for teams that have one

    return f"mcp ({McpDefinition(**toolset.options['server']).title})"
