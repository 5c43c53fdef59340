"""The model of the agent `coordinator`: starts every agent of its team at once, looks at them, writes the report.

It waits only by asking again after a pause, which leaves the event loop free.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

from ..models.base import Message, ToolSchema
from .folder import Folder
from .report import survey_report, task_of
from .script import Steps, call, scripted, turn
from .tasks import Look, Seen, listed_in, started_by, viewed_in
from .words import count, listed

__all__ = ["model"]

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_GROWTH: Final = 1.15
_MOST_LOOKS: Final = 90
"""About two and a half minutes; tasks that work longer are stopped."""

_LIST: Final = call("list_background_agents")
_EXPECTED_OUTPUT: Final = "One sentence with the main finding, then short tables, then what was left out."
_TEAM: Final = re.compile(r"The agents of your team:\n((?:- .*\n?)+)")


async def model(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message | str:
    """Take the next turn; if it looks at the tasks, after a pause that grows from look to look."""
    answer = _script(messages, tools)
    if not isinstance(answer, str) and _LIST in answer["tool_calls"]:
        turns = sum(message["role"] == "assistant" for message in messages)
        await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * _GROWTH**turns))
    return answer


def _survey(prompt: str) -> Steps[str]:
    [listing] = yield turn("First a look at the folder.", [call("list_directory", path=".")])
    team = _team(prompt)
    if not team:
        return "There is no agent in my team, so there is no survey."
    _, *answers = yield _start(team, listing)
    started = [started_by(agent, answer) for agent, answer in zip(team, answers, strict=True)]
    ids = [task.task_id for task in started if task.task_id]
    if not ids:
        return survey_report(_folder_name(prompt), Seen(started, [], {}))
    looks = yield from _watch()
    texts = yield turn("All have ended. Now their results.", [_view(task_id) for task_id in ids])
    views = {task_id: view for task_id, text in zip(ids, texts, strict=True) if (view := viewed_in(text))}
    return survey_report(_folder_name(prompt), Seen(started, looks, views))


def _start(team: Sequence[str], listing: str) -> Message:
    top = Folder()
    folders = count(len(top.take(".", listing)), "folder")
    thought = (
        f"At the top there are {count(len(top.files), 'file')} and {folders} to look into. No agent needs what another "
        f"finds out, so all of them can start at once: {listed(team, 10)}."
    )
    starts = [
        call("run_background_agent", agent=agent, task=task_of(agent), expected_output=_EXPECTED_OUTPUT)
        for agent in team
    ]
    return turn(f"Starting {count(len(team), 'agent')} in the background.", [call("think", thought=thought), *starts])


def _watch() -> Steps[list[list[Look]]]:
    """Look at the tasks again and again until all have ended; stop those that take too long."""
    [answer] = yield turn("All are started. What do they say?", [_LIST])
    looks = [listed_in(answer)]
    while at_work := [look for look in looks[-1] if look.at_work]:
        names = listed([look.agent for look in at_work], 10)
        if len(looks) > _MOST_LOOKS:
            stops = [call("stop_background_agent", task_id=look.task_id) for look in at_work]
            yield turn(f"{names}: still at work. That is long enough.", stops)
            break
        closer = at_work[len(looks) % len(at_work)]
        words = f"{count(len(at_work), 'task')} still at work ({names}); a closer look at {closer.agent}."
        answer, _ = yield turn(words, [_LIST, _view(closer.task_id)])
        looks.append(listed_in(answer))
    return looks


def _view(task_id: str) -> dict[str, Any]:
    return call("view_background_agent", task_id=task_id)


def _team(prompt: str) -> list[str]:
    """Return the names of the agents that the system prompt lists."""
    found = _TEAM.search(prompt)
    return [line.removeprefix("- ").partition(":")[0] for line in found[1].splitlines()] if found is not None else []


def _folder_name(prompt: str) -> str:
    """Return the working directory's name, as `add_environment_info` tells it."""
    found = re.search(r"^- working directory: (.+)$", prompt, re.MULTILINE)
    return found[1].rpartition("/")[2] or found[1] if found is not None else "the working directory"


_script: Final = scripted(_survey)
