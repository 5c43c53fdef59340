"""Sessionless: clients over HTTP without a session: the server cannot tell one's requests from another's.

So each task has a name that nobody can guess, and whoever has the name may use it. There is nothing else by which they
could see a task: lists and waits are of the tasks that are named. A task that nobody has named for some time is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from mcp_types import Tool

from ..text import one_line
from ..toolsets.base import ToolAnswer
from .client import Client
from .named_tasks import NamedTasks
from .offer import LIST, MAP, RUN, WAIT
from .presence import Presence

if TYPE_CHECKING:
    from ..host import Host
    from ..tasks.questions import Question
    from ..toolsets.base import ToolBox
    from .offer import Offer

__all__ = ["SessionlessClient"]

_NAMING: Final = ("task_id", "task_ids", "question")
"""The parameters that name tasks."""

_ALL: Final = frozenset({LIST, WAIT})
"""The tools that mean all tasks of the caller, where none is named."""

_SAY_WHICH: Final = (
    "Say which tasks, in `task_ids`: with the ids that run_background_agent has answered. This connection has no "
    "session, so nothing else tells your tasks from those of others."
)

_TASK_IDS: Final = {"type": "array", "items": {"type": "string"}, "description": "The ids of the tasks."}

_UNNAMED: Final = "the MCP server, as no client had asked for it any more"
"""Who stops tasks, as their reasons tell it."""

_REMEMBERED: Final = 10_000
"""Names that are kept, those of forgotten tasks included. That of an ended task is dropped for a new one."""

_MOST_BOXES: Final = 1000
"""Different looks that are remembered."""

_NO_ROOM: Final = (
    f"{_REMEMBERED:,} tasks of clients without a session have not ended, and no more are kept. Stop one of yours, or "
    "try again when some have ended."
)


class SessionlessClient(Client):
    """All that have the same credential, or none; see the module.

    Args:
        host: see `Client`.
        offer: see `Client`.
        can_ask: see `Client`.
        linger: seconds after which a task is ended that nobody has named.
    """

    def __init__(self, host: Host, offer: Offer, can_ask: Callable[[], object], *, linger: float) -> None:
        super().__init__(host, offer, can_ask)
        self.linger = self._linger = linger
        self._ids: dict[str, str] = {}
        self._presences: dict[str, Presence] = {}
        self._askable: set[str] = set()
        self._boxes: dict[frozenset[str], ToolBox] = {}
        self._starting: set[asyncio.Task[ToolAnswer]] = set()

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools; those that mean all tasks want them named."""
        return [_naming(tool) if tool.name in _ALL else tool for tool in super().tools]

    def takes(self, question: Question) -> bool:
        """See `Client`. An approval of a call of its own cannot be asked for: nobody knows whose call it is."""
        return bool(self._of(question.task_id) & self._askable)

    def named(self, arguments: Mapping[str, Any]) -> list[str] | None:
        """See `Client`."""
        return [self._ids[given] for given in _given(arguments) if given in self._ids]

    def own_id(self, given: str) -> str | None:
        """See `Client`."""
        return self._ids.get(given)

    @contextlib.contextmanager
    def holding(self, given: Iterable[str]) -> Iterator[None]:
        """See `Client`."""
        with contextlib.ExitStack() as held:
            for each in given:
                if (presence := self._presences.get(each)) is not None and not presence.is_over:
                    held.enter_context(presence)
                if each in self._ids:
                    self._ids[each] = self._ids.pop(each)  # the name that was used last is dropped last
            yield

    async def call(self, name: str, arguments: Mapping[str, Any], *, asks: bool = False) -> ToolAnswer:
        """See `Client`; a user can be asked what the tasks ask that are started by somebody who can ask one."""
        given = _given(arguments)
        if name in _ALL and not given:
            return ToolAnswer(_SAY_WHICH, is_error=True)
        if unknown := [each for each in given if each not in self._ids]:
            return ToolAnswer(f"There is no task {one_line(unknown[0], 80)!r} here.", is_error=True)
        if name in {RUN, MAP}:
            if not self._has_room():
                return ToolAnswer(_NO_ROOM, is_error=True)
            # A client that goes away meanwhile must not leave a task without a name behind: nobody could end it.
            starting = asyncio.create_task(self._start(name, arguments, asks=asks))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)
            return await asyncio.shield(starting)
        ids = {each: self._ids[each] for each in given}
        with self.holding(given):
            answer = await self._call(self._box_of(frozenset(ids.values())), name, self._with_ids(name, arguments))
        return _with_names(answer, ids)

    def close(self) -> None:
        """Look after no task any more."""
        for presence in self._presences.values():
            presence.close()

    async def _start(self, name: str, arguments: Mapping[str, Any], *, asks: bool) -> ToolAnswer:
        answer = await super().call(name, arguments)
        if answer.is_error or not isinstance(answer.data, dict):
            return answer
        if asks:
            self._askable.add(answer.data["task_id"])
        task_id = answer.data["task_id"]
        return _with_names(answer, {self._name(task_id): task_id})

    def _box_of(self, task_ids: frozenset[str]) -> ToolBox:
        """Return the tools for looks at some tasks; how long looks are held, one with other tasks has no part in."""
        box = self._boxes.pop(task_ids, None)
        if box is None:
            gateway = NamedTasks(self.gateway, lambda view: bool(task_ids & self._of(view.id)))
            box = self.offer.tool_box(gateway)
        self._boxes[task_ids] = box  # those used last are dropped last
        while len(self._boxes) > _MOST_BOXES:
            del self._boxes[next(iter(self._boxes))]
        return box

    def _name(self, task_id: str) -> str:
        """Give a new task its name."""
        name = f"{task_id}-{secrets.token_hex(16)}"
        self._ids[name] = task_id
        presence = self._presences[name] = Presence(self._linger, lambda: self.gateway.abandon([task_id], _UNNAMED))
        with presence:
            pass  # from now on, somebody has to name it
        return name

    def _has_room(self) -> bool:
        """Whether there is room for one more name: those of tasks that have ended make it, and no others."""
        while len(self._ids) + len(self._starting) >= _REMEMBERED:
            dropped = next((name for name, task_id in self._ids.items() if self._is_over(task_id)), None)
            if dropped is None:
                return False
            self._askable.discard(self._ids.pop(dropped))
            self._presences.pop(dropped).end()
        return True

    def _is_over(self, task_id: str) -> bool:
        task = self._host.registry.get(task_id)
        return task is None or task.is_over

    def _with_ids(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if tool == LIST:
            return {}  # its box has these tasks only

        def ids(value: Any) -> Any:
            if isinstance(value, list):
                return [ids(each) for each in value]
            return self._ids.get(value, value) if isinstance(value, str) else value

        return {key: ids(value) if key in _NAMING else value for key, value in arguments.items()}


def _with_names(answer: ToolAnswer, ids: Mapping[str, str]) -> ToolAnswer:
    """Return an answer with the names of tasks in place of their ids."""
    text, data = answer.text, copy.deepcopy(answer.data)
    for name, task_id in ids.items():
        text = text.replace(task_id, name)
        data = _replaced(data, task_id, name)
    return msgspec.structs.replace(answer, text=text, data=data)


def _given(arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of tasks in the arguments of a call."""
    found: list[str] = []
    for key in _NAMING:
        value = arguments.get(key)
        found += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    return list(dict.fromkeys(found))


def _replaced(data: Any, task_id: str, name: str) -> Any:
    """Return the answer's data with another id in the fields that hold ids; what tasks have said stays as it is."""
    if isinstance(data, list):
        return [_replaced(each, task_id, name) for each in data]
    if not isinstance(data, dict):
        return data
    ids = {key for key in ("id", "task_id", "parent") if data.get(key) == task_id}
    nested = {"tasks", "questions"}
    return {
        key: name if key in ids else _replaced(value, task_id, name) if key in nested else value
        for key, value in data.items()
    }


def _naming(tool: Tool) -> Tool:
    schema = copy.deepcopy(tool.input_schema)
    schema.setdefault("properties", {})["task_ids"] = _TASK_IDS
    schema["required"] = sorted({*schema.get("required", ()), "task_ids"})
    return tool.model_copy(update={"input_schema": schema})
