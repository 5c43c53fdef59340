"""Group request: what is asked of the supervisor to have an agent do many items, and how a start is answered."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ..team.config import Limits
from .request import Request
from .views import Budget

__all__ = ["LONGEST_ITEMS", "LONGEST_SCHEMA", "MOST_ITEMS", "Group", "MapAgent", "TaskAccepted"]

LONGEST_SCHEMA: Final = 100_000
"""Characters of an output schema: its task's model reads it."""


class TaskAccepted(msgspec.Struct, frozen=True):
    """Supervisor to the asker: the new task's id.

    Attributes:
        task_id: the id.
        queue_place: its place in the queue, from 1; 0 if it is not queued.
        is_shared: whether others may have asked for it, too: it has a key, and has not ended.
        budget: what it may use; None if there is no limit on turns, tokens, cost or time.
        agent: who runs it, where the asker may not know: it continues another.
    """

    task_id: str
    queue_place: int = 0
    is_shared: bool = False
    budget: Budget | None = None
    agent: str = ""


MOST_ITEMS: Final = 1000
LONGEST_ITEMS: Final = 800_000
"""Items of a group, and characters of all of them: a request may have a megabyte."""


class MapAgent(Request[TaskAccepted], frozen=True, tag="map"):
    """Run an agent on each of many items, in a task that is the group of theirs; answered as `RunTask`.

    Attributes:
        agent: the agent; empty where items are run again.
        task: what it is to do with each item, in words; `{item}` stands for the item.
        items: the items.
        concurrency: how many are at work at a time; None: as many as tasks may run.
        expected_output: what each answer should look like.
        output_schema: the JSON schema that each answer must fit, as JSON text.
        turns: that each item may take.
        limits: of the group: what all items may use together, and how long they may take.
        retry: id of a group of the caller's that has ended: those of its items that are not completed are run again,
            and the new group has the results of all. Empty: these are new items.
        notify: see `RunTask`.
        calling: see `RunTask`.
    """

    agent: str = ""
    task: str = ""
    items: Annotated[list[str], msgspec.Meta(max_length=MOST_ITEMS)] = []  # noqa: RUF012 - of a struct, which copies it
    concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    expected_output: str | None = None
    output_schema: Annotated[str, msgspec.Meta(max_length=LONGEST_SCHEMA)] | None = None
    turns: Annotated[int, msgspec.Meta(ge=1)] | None = None
    limits: Limits | None = None
    retry: str = ""
    notify: bool = False
    calling: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Group(msgspec.Struct, frozen=True):
    """What is remembered of a group, so that its items can be run again.

    Attributes:
        request: what was asked for, without the items.
        file: where the items and their results are.
    """

    request: MapAgent
    file: str
