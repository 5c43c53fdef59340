"""Report: what the agents were asked, what they found, and what became of each. Adds no figure of its own."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Final

from .tasks import Look, Seen, Started, View
from .words import code, count, paragraphs, table, unmarked

__all__ = ["survey_report", "task_of"]

_TITLES: Final = {
    "sizes": "What it consists of",
    "functions": "The longest functions",
    "notes": "Open notes",
    "imports": "What it is built on",
    "duplicates": "Files with the same content",
}
"""Of the sections, by agent."""

_TASKS: Final = {
    "sizes": "Survey the working directory: files, lines and bytes of each language, and which files are the longest.",
    "functions": "Find the longest Python functions in the working directory.",
    "notes": "Collect the notes (TODO, FIXME, XXX, HACK) in the comments of the working directory's files.",
    "imports": "Find out which packages the source files in the working directory import, and by how many files each.",
    "duplicates": "Find the files in the working directory that have the same content.",
}
"""What each agent is asked to do."""

_SEEN_LINES: Final = 8
_SAID_LINES: Final = 15


def task_of(agent: str) -> str:
    """Return what an agent is asked to do; one that somebody has added to the team does what it is described to do."""
    return _TASKS.get(agent, "Do your part of a survey of the working directory.")


def survey_report(name: str, seen: Seen) -> str:
    """Return the report, in Markdown.

    Args:
        name: of the folder.
        seen: the tasks; all of those that could be started have ended and been viewed.
    """
    parts = [f"# Survey of {unmarked(name, 200)}", _in_short(seen)]
    parts += [_section(attempt, seen.views.get(attempt.task_id)) for attempt in seen.started]
    return paragraphs(*parts, _how(seen))


def _title(agent: str) -> str:
    """Return the title of what an agent looks for; of one that somebody has added it is the agent's name."""
    return _TITLES.get(agent) or unmarked(agent, 100)


def _in_short(seen: Seen) -> str:
    lines = []
    for attempt in seen.started:
        agent, view = attempt.agent, seen.views.get(attempt.task_id)
        if view is not None and view.status == "completed":
            lines.append(f"- {view.text.partition(chr(10))[0]}")
            continue
        missing = _title(agent)
        because = f": {unmarked(view.reason.partition(chr(10))[0], 160)}" if view is not None and view.reason else "."
        lines.append(f"- Missing: {missing[:1].lower()}{missing[1:]}. Agent `{agent}` {_end(view)}{because}")
    return "\n".join(lines)


def _end(view: View | None) -> str:
    return "could not be started" if view is None else f"{view.status} after {view.runtime}"


def _section(attempt: Started, view: View | None) -> str:
    """Return what an agent found beyond its first sentence, or what became of it."""
    title = f"## {_title(attempt.agent)}"
    if view is None:
        reason = attempt.refusal or "Its end could not be read."
        return paragraphs(title, f"Missing, as agent `{attempt.agent}` could not be started: {unmarked(reason, 1000)}")
    if view.status == "completed":
        rest = view.text.partition("\n")[2].strip()
        return paragraphs(title, rest) if rest else ""
    what = f"Missing, as agent `{attempt.agent}` {_end(view)}; the other parts are not affected. The reason:"
    said = view.text.splitlines()
    if len(said) > _SAID_LINES:
        said = [f"[{len(said) - _SAID_LINES:,} lines before]", *said[-_SAID_LINES:]]
    quoted = [indent(text, "    ") for text in (view.reason, "\n".join(said))]
    return paragraphs(title, what, quoted[0], "What it had said until then:", quoted[1])


def _how(seen: Seen) -> str:
    started = sum(bool(attempt.task_id) for attempt in seen.started)
    if not started:
        return ""
    together = max(sum(look.at_work for look in looks) for looks in seen.looks)
    words = (
        f"{count(started, 'background task')}, started in one turn, each in an operating-system process of its own. "
        f"The coordinator looked at them {count(len(seen.looks), 'time')} and saw up to {together:,} at work at the "
        "same moment."
    )
    rows = [
        [unmarked(attempt.agent, 100), attempt.task_id, view.status, view.runtime, view.cpu or "-", view.memory or "-"]
        for attempt in seen.started
        if (view := seen.views.get(attempt.task_id)) is not None
    ]
    titles = ["agent", "task", "ended as", "runtime", "CPU", "memory"]
    return paragraphs("## How it was done", words, table(titles, rows, numbers=(3, 4, 5)), _while_they_ran(seen.looks))


def _while_they_ran(looks: Sequence[Sequence[Look]]) -> str:
    """Return some of what the tasks said while they worked, each line once, spread over the whole time."""
    said: dict[tuple[str, str], Look] = {}
    for look in (look for moment in looks for look in moment if look.at_work and look.said):
        if not look.said.startswith("|"):  # no row of a table
            said.setdefault((look.task_id, look.said), look)
    every = list(said.values())
    if not every:
        return ""
    step = max(1.0, len(every) / _SEEN_LINES)
    chosen = [every[int(index * step)] for index in range(min(_SEEN_LINES, len(every)))]
    lines = [f"- {unmarked(look.agent, 100)}, after {look.runtime}: {code(look.said, 120)}" for look in chosen]
    return "\n".join(["Some of what it saw them say meanwhile:", "", *lines])
