"""Report: what the agents were asked, what they found, and what became of each. Adds no figure of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .tasks import Look, Seen, Started, View
from .words import cell, count, paragraphs, table

__all__ = ["survey_report", "task_of"]

_PARTS: Final = {
    "sizes": (
        "What it consists of",
        "Survey the working directory: files, lines and bytes of each language, and which files are the longest.",
    ),
    "functions": (
        "The longest functions",
        "Find the longest functions of the source code in the working directory.",
    ),
    "notes": (
        "Open notes",
        "Collect the notes (TODO, FIXME, XXX, HACK) in the comments of the working directory's files.",
    ),
    "imports": (
        "What it is built on",
        "Find out which packages the source files in the working directory import, and by how many files each.",
    ),
    "duplicates": (
        "Files with the same content",
        "Find the files in the working directory that have the same content.",
    ),
}
"""By agent: the title of its section, and what it is asked to do."""

_NO_PROSE: Final = ("#", "=", "-", "~~~", "<", "[", "!", "|", "```", ".. ", ">", "* ")
"""What lines of Markdown and reStructuredText begin with that are headings, badges, lists, tables or code."""

_ENDS: Final = (".", "!", "?", ":")
_QUOTED: Final = 600
_SEEN_LINES: Final = 8
_SAID_LINES: Final = 15


def task_of(agent: str) -> str:
    """Return what an agent is asked to do; one that somebody has added to the team does what it is described to do."""
    return _PARTS.get(agent, ("", "Do your part of a survey of the working directory."))[1]


def _title(agent: str) -> str:
    return _PARTS.get(agent, (agent, ""))[0]


def survey_report(name: str, readme: tuple[str, str] | None, seen: Seen) -> str:
    """Return the report, in Markdown.

    Args:
        name: of the folder.
        readme: name and beginning of the folder's README.
        seen: the tasks; all of those that could be started have ended and been viewed.
    """
    parts = [f"# Survey of {name}", _about(readme) if readme is not None else "", _in_short(seen)]
    parts += [_section(attempt, seen.views.get(attempt.task_id)) for attempt in seen.started]
    return paragraphs(*parts, _how(seen))


def _about(readme: tuple[str, str]) -> str:
    """Return the first paragraph of prose of a README, as a quotation."""
    name, text = readme
    for block in text.split("\n\n"):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines and lines[-1].endswith(_ENDS) and not any(line.startswith(_NO_PROSE) for line in lines):
            return f"> {cell(' '.join(lines), _QUOTED)}\n>\n> — {name}"
    return ""


def _in_short(seen: Seen) -> str:
    lines = []
    for attempt in seen.started:
        view = seen.views.get(attempt.task_id)
        if view is not None and view.status == "completed":
            lines.append(f"- {view.text.partition(chr(10))[0]}")
        else:
            missing = _title(attempt.agent)
            lines.append(
                f"- Missing: {missing[:1].lower()}{missing[1:]}. Agent `{attempt.agent}` {_end(view)}{_because(view)}"
            )
    return "\n".join(lines)


def _end(view: View | None) -> str:
    return "could not be started" if view is None else f"{view.status} after {view.runtime}"


def _because(view: View | None) -> str:
    """Return the beginning of the reason, to follow what happened."""
    first = view.reason.partition("\n")[0] if view is not None else ""
    return f": {cell(first, 160)}" if first else "."


def _section(attempt: Started, view: View | None) -> str:
    """Return what an agent found beyond its first sentence, or what became of it."""
    title = f"## {_title(attempt.agent)}"
    if view is None:
        reason = attempt.refusal or "Its end could not be read."
        return paragraphs(title, f"Missing, as agent `{attempt.agent}` could not be started: {reason}")
    if view.status == "completed":
        rest = view.text.partition("\n")[2].strip()
        return paragraphs(title, rest) if rest else ""
    what = f"Missing, as agent `{attempt.agent}` {_end(view)}; the other parts are not affected. The reason:"
    said = view.text.splitlines()
    shown = [f"[{len(said) - _SAID_LINES:,} lines before]"] * (len(said) > _SAID_LINES) + said[-_SAID_LINES:]
    return paragraphs(
        title, what, _indented(view.reason.splitlines()), "What it had said until then:", _indented(shown)
    )


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _how(seen: Seen) -> str:
    started = len(seen.ids)
    if not started:
        return ""
    together = max((sum(look.at_work for look in looks) for looks in seen.looks), default=0)
    words = (
        f"{count(started, 'background task')}, started in one turn, each in an operating-system process of its own. "
        f"The coordinator looked at them {'once' if len(seen.looks) == 1 else f'{len(seen.looks):,} times'} and saw "
        f"{f'{together:,} at work at the same moment' if together > 1 else 'at most one at work at a moment'}."
    )
    rows = [
        [attempt.agent, attempt.task_id, view.status, view.runtime, view.cpu or "-", view.memory or "-"]
        for attempt in seen.started
        if (view := seen.views.get(attempt.task_id)) is not None
    ]
    titles = ["agent", "task", "ended as", "runtime", "CPU", "memory"]
    return paragraphs("## How it was done", words, table(titles, rows, numbers=(3, 4, 5)), _while_they_ran(seen.looks))


def _while_they_ran(looks: Sequence[Sequence[Look]]) -> str:
    """Return some of what the tasks said while they worked, each line once, spread over the whole time."""
    said: dict[tuple[str, str], Look] = {}
    for look in (
        look for moment in looks for look in moment if look.at_work and look.said.strip("| ") and look.said[0] != "|"
    ):
        said.setdefault((look.task_id, look.said), look)
    every = list(said.values())
    if not every:
        return ""
    step = max(1.0, len(every) / _SEEN_LINES)
    chosen = [every[int(index * step)] for index in range(min(_SEEN_LINES, len(every)))]
    lines = [f"- {look.agent}, after {look.runtime}: {cell(look.said, 120)}" for look in chosen]
    return "\n".join(["Some of what it saw them say meanwhile:", "", *lines])
