"""Page of the benchmark of nodes: targets, and a table for each question, from its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .contenders import NODES, contender_class
from .results import Results
from .scenarios.nodes import STANDING_BY
from .tables import table
from .words import formatted

__all__ = ["CONTENDERS", "Judged", "judge", "page", "text"]

_LOCAL: Final = "subactors"
_ACTOR: Final = "ray"
CONTENDERS: Final = (_LOCAL, *NODES, _ACTOR)
"""In the order of tables: the local task, tasks on nodes, a bare Ray actor as a task."""

_START: Final = 1.5
_FAN_OUT: Final = 1.3
"""How many times the local figure that of a node may be."""

_AHEAD: Final = 100.0
"""How many times longer the start of a bare Ray actor must take."""

_OUTPUT: Final = 300.0
"""Megabytes a second that must come home in pieces of 4 kB."""

_TITLES: Final = {_LOCAL: "local", _ACTOR: "bare Ray actor"}

_QUESTIONS: Final = {
    "How long until the first message of a task is in the host?": ("start", STANDING_BY),
    "What do N one-second tasks take beyond the second?": ("fan-out",),
    "How long does a task wait for an answer of its host, and for a task of its own?": ("round trip", "nested task"),
    "How fast does output come home?": ("output in pieces of 4 kB", "output in pieces of 64 kB"),
    "How long after a SIGKILL does the host know?": ("kill to told",),
    "How much memory does a task take?": (
        "memory per idle task",
        "memory per idle task, by growth of everything (PSS)",
        "memory of host and all that serves it, before these tasks (PSS)",
    ),
}
"""Questions, and the metrics that answer them; all other figures are in the results alone."""

_ABOUT: Final = f"""\
All contenders run on this machine, in turn, with nothing between host and node but loopback. So the figures say what
the software costs, and not what a network adds. A *node over TCP* is an agent that the benchmark starts itself; *over
TLS* it has a relay at each end, as on a Ray cluster that has TLS. A *node by ssh* talks through OpenSSH, with a server
of the benchmark's own. A *node of a Ray cluster* has its agent started by Ray. A *bare Ray actor* is a task without
subactors, in an actor of its own. `openai` is imported before a task's first word: ahead of it by the zygote, or in the
actor. No process stands by, but where it is said.

A round trip is a task's question to its host about another task; a bare actor answers its driver's call instead, since
it cannot ask. Output is what the host has, in a task's files, when the task's result is there; to read it back as text
is not counted. Memory is the unique set size, and the growth of the proportional set size of all processes. Starts come
a tenth of a second after each other; where processes stand by, as many do as by default. What each scenario does is in
`scenarios/nodes.py`. Targets: a start within {_START:g} times the local one, a fan-out of 100 within {_FAN_OUT:g}
times, {_OUTPUT:g} MB/s in pieces of 4 kB, a start {_AHEAD:g} times ahead of a bare Ray actor."""


@dataclass(frozen=True)
class Judged:
    """One target of one kind of node.

    Attributes:
        measured: the figure, formatted.
        bound: what it has to reach, formatted.
        is_met: whether it does.
    """

    title: str
    measured: str
    bound: str
    is_met: bool


def judge(results: Results) -> list[Judged]:
    """Return the targets of which both sides were measured."""
    found: list[Judged] = []
    for name in NODES:
        title = contender_class(name).title
        for metric, tasks, times in (("start", 0, _START), (STANDING_BY, 0, _START), ("fan-out", 100, _FAN_OUT)):
            own, local = results.find(metric, name, tasks), results.find(metric, _LOCAL, tasks)
            if own and local:
                bound = f"at most {formatted(times * local.p50, 's')} ({times:g} times the local one)"
                what = f"{metric} of {tasks}" if tasks else metric
                found.append(Judged(f"{title}: {what}", formatted(own.p50, "s"), bound, own.p50 <= times * local.p50))
        own, actor = results.find(STANDING_BY, name), results.find("start", _ACTOR)
        if own and actor:
            ahead = actor.p50 / own.p50
            bound = f"at least {_AHEAD:g} times"
            found.append(
                Judged(f"{title}: {STANDING_BY}, ahead of a Ray actor", f"{ahead:.0f} times", bound, ahead >= _AHEAD)
            )
        own = results.find("output in pieces of 4 kB", name)
        if own:
            bound = f"at least {_OUTPUT:g} MB/s"
            found.append(Judged(f"{title}: output", formatted(own.p50, "MB/s"), bound, own.p50 >= _OUTPUT))
    return found


def text(judged: Sequence[Judged]) -> str:
    """Return the targets for a terminal, a line each."""
    return "\n".join(f"{_mark(each):7} {each.title}: {each.measured}, {each.bound}" for each in judged)


def page(results: Results) -> str:
    """Return the page."""
    machine = results.machine
    judged = judge(results)
    targets = [(each.title, each.measured, each.bound, f"**{_mark(each)}**") for each in judged]
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    made = (
        f"`{results.command}`, {results.seconds / 60:.0f} minutes; {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory_bytes'] / 1e9:.0f} GB, Linux {machine['kernel']}, "
        f"load {machine['load_before']:.1f} before. {versions}.{' ' * bool(results.remark)}{results.remark}"
    )
    parts = [
        "# Tasks on nodes",
        made,
        _ABOUT,
        f"## Which targets are met? {sum(each.is_met for each in judged)} of {len(judged)}",
        table(("target", "measured", "bound", ""), targets),
    ]
    for question, metrics in _QUESTIONS.items():
        parts += [f"## {question}", _figures(results, metrics)]
    if results.skipped:
        parts.append("## What was not measured?")
        parts.append("\n".join(f"* {each.scenario}, {each.contender}: {_plain(each.why)}" for each in results.skipped))
    return "\n\n".join(parts) + "\n"


def _figures(results: Results, metrics: Sequence[str]) -> str:
    """Return a table of medians and 95th percentiles, a row for each metric and number of tasks."""
    rows = []
    keys = [(each.metric, each.tasks) for each in results.measurements if each.metric in metrics]
    for metric, tasks in sorted(dict.fromkeys(keys), key=lambda key: (metrics.index(key[0]), key[1])):
        cells = []
        for name in CONTENDERS:
            each = results.find(metric, name, tasks)
            cells.append(f"{formatted(each.p50, each.unit)} / {formatted(each.p95, each.unit)}" if each else "-")
        rows.append((f"{metric}, {tasks} tasks" if tasks else metric, *cells))
    titles = [_TITLES.get(name) or contender_class(name).title for name in CONTENDERS]
    return table(("p50 / p95", *titles), rows) if rows else "Not measured in this run."


def _mark(judged: Judged) -> str:
    return "met" if judged.is_met else "missed"


def _plain(why: str) -> str:
    """Return the last line of what may be a program's errors."""
    return why.strip().splitlines()[-1][:300] if why.strip() else ""
