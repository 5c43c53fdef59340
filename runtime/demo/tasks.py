"""Task texts: background tasks as the coordinator's model sees them, in the answers of the `background_agents` tools.

Reads these texts as a language model would, and must not know more than they say. What a text does not say is empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .conversation import AnsweredCall

__all__ = ["Look", "Seen", "Started", "View"]

_STARTED: Final = re.compile(r"Started (agent_task_\w+):")
_HEAD: Final = re.compile(
    r"(?P<id>agent_task_\w+)  (?P<agent>.+?)  (?P<status>\w+)  (?P<runtime>[^·]+?)(?: · (?P<facts>.*))?"
)
_LAST_SAID: Final = re.compile(r"^  Last said: (.*)$", re.MULTILINE)
_CPU: Final = re.compile(r"\bCPU ([\d.,]+ \w+)")
_MEMORY: Final = re.compile(r"\bmemory ([\d.,]+ \w+)")
_SECTION: Final = re.compile(r"^--- (?:Result|Output so far|Output until then) ---\n", re.MULTILINE)
_REASON: Final = re.compile(r"^Reason: (.*?)\s*\Z", re.MULTILINE | re.DOTALL)
_AT_WORK: Final = frozenset({"queued", "starting", "running", "stopping", "restarting"})


@dataclass(frozen=True)
class Started:
    """An attempt to start a task: its id, or what the tool said in place of one."""

    agent: str
    task_id: str
    refusal: str


@dataclass(frozen=True)
class Look:
    """A task in a list.

    Attributes:
        task_id: the task.
        agent: that runs it.
        status: at that moment.
        runtime: until that moment, in words.
        said: its last line of output.
    """

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
    """A task, viewed.

    Attributes:
        status: at that moment.
        runtime: in words.
        cpu: CPU time, in words.
        memory: in words.
        reason: why it ended as it did.
        text: its result, or what it has said.
    """

    status: str
    runtime: str
    cpu: str
    memory: str
    reason: str
    text: str


@dataclass(frozen=True)
class Seen:
    """All that a conversation tells about the coordinator's tasks.

    Attributes:
        started: in the order in which they were asked for.
        looks: one for each list, in order.
        views: the latest of each task, by its id.
        viewed_since: ids of the tasks that were viewed since the last list.
        stopping: whether any was asked to stop.
    """

    started: Sequence[Started]
    looks: Sequence[Sequence[Look]]
    views: dict[str, View]
    viewed_since: frozenset[str]
    stopping: bool

    @classmethod
    def in_calls(cls, calls: Sequence[AnsweredCall]) -> Seen:
        """Read the answers of the tools."""
        started: list[Started] = []
        looks: list[list[Look]] = []
        views: dict[str, View] = {}
        viewed_since: set[str] = set()
        for made in calls:
            match made.name:
                case "run_background_agent":
                    found = _STARTED.match(made.answer)
                    task_id, refusal = (found[1], "") if found is not None else ("", made.answer)
                    started.append(Started(made.arguments["agent"], task_id, refusal))
                case "list_background_agents":
                    looks.append(_listed(made.answer))
                    viewed_since.clear()
                case "view_background_agent":
                    viewed_since.add(made.arguments["task_id"])
                    view = _viewed(made.answer)
                    if view is not None:
                        views[made.arguments["task_id"]] = view
                case _:
                    continue
        stopping = any(made.name == "stop_background_agent" for made in calls)
        return cls(started, looks, views, frozenset(viewed_since), stopping)

    @property
    def ids(self) -> list[str]:
        """Ids of the tasks that could be started."""
        return [attempt.task_id for attempt in self.started if attempt.task_id]

    @property
    def at_work(self) -> list[Look]:
        """The tasks that had not ended when they were listed last."""
        return [look for look in self.looks[-1] if look.at_work] if self.looks else []


def _listed(answer: str) -> list[Look]:
    looks = []
    for paragraph in answer.split("\n\n"):
        head = _HEAD.fullmatch(paragraph.split("\n", 1)[0])
        if head is not None:
            said = _LAST_SAID.search(paragraph)
            looks.append(Look(head["id"], head["agent"], head["status"], head["runtime"], said[1] if said else ""))
    return looks


def _viewed(answer: str) -> View | None:
    first_line, _, rest = answer.partition("\n")
    head = _HEAD.fullmatch(first_line)
    section = _SECTION.search(rest)
    if head is None or section is None:
        return None
    facts = head["facts"] or ""
    cpu, memory = _CPU.search(facts), _MEMORY.search(facts)
    reason = _REASON.search(rest[: section.start()])
    return View(
        status=head["status"],
        runtime=head["runtime"],
        cpu=cpu[1] if cpu is not None else "",
        memory=memory[1] if memory is not None else "",
        reason=reason[1] if reason is not None else "",
        text=rest[section.end() :].strip(),
    )
