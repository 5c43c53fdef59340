"""Check: what `check` says of a team without mistakes: which agents would run here, and what to know of each.

The file may be anybody's. So neither the time nor the length of the report grows with what is in the file, and no value
of the environment is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..terminal.streams import out
from ..text import one_line
from .readiness import budget_faults, missing_keys, notes_on, preload_faults, would_fail

if TYPE_CHECKING:
    from ..team.config import AgentConfig, Team, ToolsetConfig

__all__ = ["DryLook", "say_which_answer"]

_MOST_LINES: Final = 90
"""Lines about agents and keys; with those around them fewer than a hundred."""

_LONGEST_LINE: Final = 2000
"""Characters of a line."""

_LOOKING: Final = 0.8
"""Seconds of processor time after which no further agent is looked at: it does not depend on what else is at work."""


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
        self._lines: list[tuple[bool, str]] = []  # whether it is worth more than others, and the line
        self._groups: dict[str, list[str]] = {
            title: [] for title in ("Would run here", "Would not", "Not before there is a key", "Not looked at")
        }
        end = time.process_time() + _LOOKING
        for name, agent in team.agents.items():
            self._say_of(name, self._title(agent), matters=False)
            in_time = time.process_time() < end
            self._groups[self._look_at(name, agent) if in_time else "Not looked at"].append(name)
        for fault in preload_faults(team) if time.process_time() < end else ():
            self._lines.append((True, f"  runtime.preload: would not be imported ahead: {fault}"))
        for key in team.ignored:
            self._lines.append((True, f"  {key}: accepted, and without effect here"))

    @property
    def is_good(self) -> bool:
        """Whether no agent is known to fail, and some are known not to; those without a key do not count."""
        good, *bad = (bool(names) for names in self._groups.values())
        return good and not bad[0] and not bad[-1]

    def lines(self) -> Iterator[str]:
        """Yield a line for each agent and each thing to know; where there are too many, what matters most is first."""
        lines = self._lines
        if len(lines) > _MOST_LINES:
            lines = sorted(lines, key=lambda line: not line[0])[:_MOST_LINES]
        for _, line in lines:
            yield line
        if len(self._lines) > len(lines):
            yield (f"  There are {len(self._lines) - len(lines):,} more lines.")
        groups = {**self._groups, "Would run here": self._groups["Would run here"] or ["none"]}
        could = (self._team.agents[name].models for name in self._groups["Would run here"])
        if not self._asks and any(not model.is_function for models in could for model in models):
            yield "  No model was asked whether it answers: `subactors check --ping` does that."
        yield (" ".join(f"{title}: {one_line(', '.join(names), 1000)}." for title, names in groups.items() if names))

    def _look_at(self, name: str, agent: AgentConfig) -> str:
        environ, folder, folders = self._environ, self._folder, self._team.folders
        unpriced, below = budget_faults(self._team, name)
        reasons = [*would_fail(agent, environ, folder, folders), *filter(None, [unpriced])]
        for sentence in reasons:
            self._say_of(name, f"would not run here: {sentence}")
        keys = [] if reasons else missing_keys(agent, environ, folders)
        for sentence in keys:
            # Files are checked where there are no keys, too: no failure of the check while another agent would run.
            self._say_of(name, f"not before there is a key: {sentence}")
        for note in notes_on(agent, environ, folder, folders):
            self._say_of(name, note)
        for sentence in below:
            self._say_of(name, f"has a limit on cost, so what it may start would be refused: {sentence}")
        return "Would not" if reasons else "Not before there is a key" if keys else "Would run here"

    def _title(self, agent: AgentConfig) -> str:
        what = [f"entrypoint {agent.entrypoint}"] if agent.entrypoint is not None else []
        what += [f"model {agent.model.reference}"] if agent.model is not None else []
        toolsets = ", ".join(map(_toolset_title, agent.toolsets))
        others = ", ".join(model.reference for model in agent.fallback.models)
        extras = [f"fallback {others}"] if others else []
        extras += [f"toolsets {toolsets}"] if toolsets else []
        extras += [f"sub_agents {', '.join(agent.sub_agents)}"] if agent.sub_agents else []
        return "; ".join([*what, *extras])

    def _say_of(self, name: str, text: str, *, matters: bool = True) -> None:
        """Take a line about an agent, whose name may hold anything."""
        self._lines.append((matters, f"  {one_line(name, 100)}: {one_line(text, _LONGEST_LINE)}"))


def say_which_answer(team: Team, environ: Mapping[str, str]) -> bool:
    """Ask each model of a team for one word, but for functions, and print each answer as it comes.

    Returns:
        whether all have answered.
    """
    from ..models.ping import Answer, ask_models  # noqa: PLC0415 - slow to import

    def tell(answer: Answer) -> None:
        said = answer.text.removeprefix(f"Model {answer.name!r}").lstrip(": ")
        out.sentence(f"  {one_line(answer.name, 100)}: {one_line(said, 300)}")

    models = {model.reference: model for agent in team.agents.values() for model in agent.models}
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
