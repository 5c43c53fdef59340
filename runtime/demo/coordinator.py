"""The model of the agent `coordinator`: starts every agent of its team at once, looks at them, writes the report.

It is called anew for each turn and does what the conversation so far calls for next. It waits only by asking again
after a pause, which leaves the event loop free.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from ..models.base import Message, ToolSchema
from .folder import File, Folder
from .report import survey_report, task_of
from .script import call, turn
from .tasks import AnsweredCall, Look, Seen, answered_calls
from .words import count, listed

__all__ = ["model"]

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_GROWTH: Final = 1.15
_MOST_LOOKS: Final = 90
"""About two and a half minutes; tasks that work longer are stopped."""

_EXPECTED_OUTPUT: Final = "One sentence with the main finding, then short tables, then what was left out."

_README: Final = re.compile(r"readme(\.\w+)?", re.IGNORECASE)
_README_LINES: Final = 60
_TEAM: Final = re.compile(r"The agents of your team:\n((?:- .*\n?)+)")


async def model(messages: Sequence[Message], _tools: Sequence[ToolSchema]) -> Message | str:
    """Take the next turn."""
    calls = answered_calls(messages)
    if not calls:
        return turn("First a look at the folder.", [call("list_directory", path=".")])
    top = Folder()
    folders = len(top.take(".", calls[0].answer))
    seen = Seen.in_calls(calls)
    if not seen.started:
        team = _team(messages)
        return _start(team, len(top.files), folders) if team else "There is no agent in my team, so there is no survey."
    if not seen.looks and seen.ids:
        readme = [call("read_file", path=file.path, limit=_README_LINES) for file in _readme(top)]
        words = "All are started. While they work: what do they say, and what does the README?"
        return turn(words, [call("list_background_agents"), *readme])
    if seen.at_work and not seen.stopping:
        return await _wait(seen)
    if not seen.viewed_since.issuperset(seen.ids):
        return turn(
            "All have ended. Now their results.", [call("view_background_agent", task_id=id_) for id_ in seen.ids]
        )
    return survey_report(_folder_name(messages), _readme_text(calls, top), seen)


def _start(team: Sequence[str], files: int, folders: int) -> Message:
    inside = f"{count(files, 'file')} and {count(folders, 'folder')} to look into"
    thought = (
        f"At the top there are {inside}. No agent needs what another finds out, so all of them can start at once: "
        f"{listed(team, 10)}."
    )
    starts = [
        call("run_background_agent", agent=agent, task=task_of(agent), expected_output=_EXPECTED_OUTPUT)
        for agent in team
    ]
    return turn(f"Starting {count(len(team), 'agent')} in the background.", [call("think", thought=thought), *starts])


async def _wait(seen: Seen) -> Message:
    looks, at_work = len(seen.looks), seen.at_work
    if looks > _MOST_LOOKS:
        stops = [call("stop_background_agent", task_id=look.task_id) for look in at_work]
        return turn(f"{_agents(at_work)}: still at work. That is long enough.", stops)
    await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * _GROWTH**looks))
    closer = at_work[looks % len(at_work)]
    words = f"{count(len(at_work), 'task')} still at work ({_agents(at_work)}); a closer look at {closer.agent}."
    return turn(words, [call("list_background_agents"), call("view_background_agent", task_id=closer.task_id)])


def _agents(looks: Sequence[Look]) -> str:
    return listed([look.agent for look in looks], 10)


def _team(messages: Sequence[Message]) -> list[str]:
    """Return the names of the agents that the system prompt lists."""
    found = _TEAM.search(_system_text(messages))
    return [line.removeprefix("- ").partition(":")[0] for line in found[1].splitlines()] if found is not None else []


def _folder_name(messages: Sequence[Message]) -> str:
    """Return the working directory's name, as `add_environment_info` tells it."""
    found = re.search(r"^- working directory: (.+)$", _system_text(messages), re.MULTILINE)
    return found[1].rpartition("/")[2] or found[1] if found is not None else "the working directory"


def _system_text(messages: Sequence[Message]) -> str:
    return "\n\n".join(message["content"] for message in messages if message["role"] == "system")


def _readme(top: Folder) -> list[File]:
    """Return the README of the folder, if there is one."""
    return [file for file in top.files if _README.fullmatch(file.path)][:1]


def _readme_text(calls: Sequence[AnsweredCall], top: Folder) -> tuple[str, str] | None:
    """Return name and beginning of the README; None without one."""
    for file in _readme(top):
        for made in calls:
            if made.name == "read_file" and made.arguments["path"] == file.path:
                text, note, _ = made.answer.rpartition("\n[Lines ")
                if note or len(made.answer.encode()) == file.size:  # anything else is an error in words
                    return file.path, text if note else made.answer
    return None
