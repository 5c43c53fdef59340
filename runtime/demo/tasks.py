"""Task texts: background tasks as the coordinator's model sees them, in the answers of the `background_agents` tools.

Reads these texts as a language model would, and must not know more than they say. What a text does not say is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..models.base import Message

__all__ = ["AnsweredCall", "Look", "Seen", "Started", "View", "answered_calls"]

_STARTED: Final = re.compile(r"(?:Started|Queued) (agent_task_\w+):")
_HEAD: Final = re.compile(r"(agent_task_\w+)  (.+?)  (\w+)  ([^·]+?)(?: · (.*))?")
"""Id, agent, status, runtime and further facts of a task."""

_LAST_SAID: Final = re.compile(r"^  Last said: (.*)$", re.MULTILINE)
_CPU: Final = re.compile(r"\bCPU ([\d.,]+ \w+)")
_MEMORY: Final = re.compile(r"\bmemory ([\d.,]+ \w+)")
_SECTION: Final = re.compile(r"^--- (?:Result|Output so far|Output until then) ---\n", re.MULTILINE)
_REASON: Final = re.compile(r"^Reason: (.*?)\s*\Z", re.MULTILINE | re.DOTALL)
_AT_WORK: Final = frozenset({"queued", "starting", "running", "stopping", "restarting"})


@dataclass(frozen=True)
class AnsweredCall:
    """A tool call and the tool's answer."""

    name: str
    arguments: Mapping[str, Any]
    answer: str


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


@dataclass
class Seen:
    """All that a conversation tells about the coordinator's tasks.

    Attributes:
        started: in the order in which they were asked for.
        looks: one for each list, in order.
        views: the latest of each task, by its id.
        viewed_since: ids of the tasks that were viewed since the last list.
        stopping: whether any was asked to stop.
    """

    started: list[Started] = field(default_factory=list)
    looks: list[list[Look]] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    viewed_since: set[str] = field(default_factory=set)
    stopping: bool = False

    @classmethod
    def in_calls(cls, calls: Sequence[AnsweredCall]) -> Seen:
        """Read the answers of the tools."""
        seen = cls()
        for made in calls:
            match made.name:
                case "run_background_agent":
                    found = _STARTED.match(made.answer)
                    task_id, refusal = (found[1], "") if found is not None else ("", made.answer)
                    seen.started.append(Started(made.arguments["agent"], task_id, refusal))
                case "list_background_agents":
                    seen.looks.append(_listed(made.answer))
                    seen.viewed_since.clear()
                case "view_background_agent":
                    task_id = made.arguments["task_id"]
                    seen.viewed_since.add(task_id)
                    if (view := _viewed(made.answer)) is not None:
                        seen.views[task_id] = view
                case "stop_background_agent":
                    seen.stopping = True
                case _:
                    continue
        return seen

    @property
    def ids(self) -> list[str]:
        """Ids of the tasks that could be started."""
        return [attempt.task_id for attempt in self.started if attempt.task_id]

    @property
    def at_work(self) -> list[Look]:
        """The tasks that had not ended when they were listed last."""
        return [look for look in self.looks[-1] if look.at_work] if self.looks else []


def answered_calls(messages: Sequence[Message]) -> list[AnsweredCall]:
    """Return all tool calls so far, in the order in which they were made."""
    answers = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    return [
        AnsweredCall(made["function"]["name"], json.loads(made["function"]["arguments"]), answers[made["id"]])
        for message in messages
        for made in message.get("tool_calls", ())
    ]


def _listed(answer: str) -> list[Look]:
    looks = []
    for paragraph in answer.split("\n\n"):
        if head := _HEAD.fullmatch(paragraph.partition("\n")[0]):
            said = _LAST_SAID.search(paragraph)
            task_id, agent, status, runtime, _ = head.groups("")
            looks.append(Look(task_id, agent, status, runtime, said[1] if said else ""))
    return looks


def _viewed(answer: str) -> View | None:
    first_line, _, rest = answer.partition("\n")
    head = _HEAD.fullmatch(first_line)
    section = _SECTION.search(rest)
    if head is None or section is None:
        return None
    *_, status, runtime, facts = head.groups("")
    texts = [(_CPU, facts), (_MEMORY, facts), (_REASON, rest[: section.start()])]
    cpu, memory, reason = (found[1] if (found := pattern.search(text)) else "" for pattern, text in texts)
    return View(status, runtime, cpu, memory, reason, rest[section.end() :].strip())
