"""Task texts: background tasks as the coordinator's model sees them, in the answers of the `background_agents` tools.

Reads these texts as a language model would, and must not know more than they say. What a text does not say is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Look", "Seen", "Started", "View", "listed_in", "started_by", "viewed_in"]

_STARTED: Final = re.compile(r"(?:Started|Queued) (agent_task_\w+):")
_HEAD: Final = re.compile(r"(agent_task_\w+)  (.+?)  (\w+)  ([^·]+?)(?: · (.*))?")
"""Id, agent, status, runtime and further facts of a task."""

_LAST_SAID: Final = re.compile(r"^  Last said: (.*)$", re.MULTILINE)
_CPU: Final = re.compile(r"\bCPU ([\d.,]+ \w+)")
_MEMORY: Final = re.compile(r"\bmemory ([\d.,]+ \w+)")
_SECTION: Final = re.compile(r"^--- (?:Result|Output so far|Output until then) ---\n", re.MULTILINE)
_REASON: Final = re.compile(r"^Reason: (.*?)\s*\Z", re.MULTILINE | re.DOTALL)
_AT_WORK: Final = frozenset({"queued", "starting", "running", "waiting", "stopping", "restarting"})


@dataclass(frozen=True)
class Started:
    """An attempt to start a task: its id, or what the tool said in place of one."""

    agent: str
    task_id: str
    refusal: str


@dataclass(frozen=True)
class Look:
    """A task in a list: status and runtime (in words) at that moment, and its last line of output."""

    task_id: str
    agent: str
    status: str
    runtime: str
    said: str

    @property
    def at_work(self) -> bool:
        """Whether it had not ended."""
        return self.status in _AT_WORK


@dataclass(frozen=True)
class View:
    """A task, viewed: figures in words, why it ended as it did, and its result or what it has said."""

    status: str
    runtime: str
    cpu: str
    memory: str
    reason: str
    text: str


@dataclass(frozen=True)
class Seen:
    """All that the coordinator has seen of its tasks.

    Attributes:
        started: in the order in which they were asked for.
        looks: one for each list, in order.
        views: of each task at its end, by its id.
    """

    started: Sequence[Started]
    looks: Sequence[Sequence[Look]]
    views: Mapping[str, View]


def started_by(agent: str, answer: str) -> Started:
    """Return what `run_background_agent` says."""
    found = _STARTED.match(answer)
    return Started(agent, "", answer) if found is None else Started(agent, found[1], "")


def listed_in(answer: str) -> list[Look]:
    """Return the tasks that `list_background_agents` shows."""
    looks = []
    for paragraph in answer.split("\n\n"):
        if head := _HEAD.fullmatch(paragraph.partition("\n")[0]):
            said = _LAST_SAID.search(paragraph)
            task_id, agent, status, runtime, _ = head.groups("")
            looks.append(Look(task_id, agent, status, runtime, said[1] if said else ""))
    return looks


def viewed_in(answer: str) -> View | None:
    """Return the task that `view_background_agent` shows; None if the answer is something else."""
    first_line, _, rest = answer.partition("\n")
    head = _HEAD.fullmatch(first_line)
    section = _SECTION.search(rest)
    if head is None or section is None:
        return None
    *_, status, runtime, facts = head.groups("")
    texts = [(_CPU, facts), (_MEMORY, facts), (_REASON, rest[: section.start()])]
    cpu, memory, reason = (found[1] if (found := pattern.search(text)) else "" for pattern, text in texts)
    return View(status, runtime, cpu, memory, reason, rest[section.end() :].strip())
