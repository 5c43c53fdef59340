"""Todo: the `todo` tools, a list of things to do that a model keeps for itself.

The list belongs to one toolset, and a toolset belongs to one task: tasks may share nothing here, and nothing may
outlive one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ..text import one_line
from .base import NoParameters, Tool, ToolAnswer, ToolParameters, Toolset

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TodoToolset"]

_INSTRUCTION = """\
## Things to do

For work of more than a few steps, write the steps down with `create_todos` before you begin. With `update_todos` mark
each as in-progress when you turn to it and as completed when it is done, and before your last answer see with
`list_todos` that nothing is left. The list is yours alone: what matters must also be in your answer."""

_MOST = 1000
"""Entries of a list; a longer one helps no model."""

_SHOWN = 500
"""Characters of an entry in a list."""

Status = Literal["pending", "in-progress", "completed"]


class CreateTodoParameters(ToolParameters, frozen=True):
    """The parameters of `create_todo`."""

    description: Annotated[str, msgspec.Meta(description="What is to be done.")]


class CreateTodosParameters(ToolParameters, frozen=True):
    """The parameters of `create_todos`."""

    descriptions: Annotated[list[str], msgspec.Meta(description="What is to be done, one entry for each thing.")]


class TodoUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new status of one entry."""

    id: Annotated[str, msgspec.Meta(description="The entry's id, such as todo_1.")]
    status: Annotated[Status, msgspec.Meta(description="Its new status.")]


class UpdateTodosParameters(ToolParameters, frozen=True):
    """The parameters of `update_todos`."""

    updates: Annotated[list[TodoUpdate], msgspec.Meta(description="The entries that change.")]


class _Todo(msgspec.Struct):
    id: str
    description: str
    status: Status = "pending"


class TodoToolset(Toolset):
    """One task's list of things to do. Called in the event loop of that task only."""

    def __init__(self) -> None:
        self.instruction = _INSTRUCTION
        self._todos: dict[str, _Todo] = {}

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools on the list; each answers with all of it."""
        return (
            Tool("create_todo", "Add one thing to your list of things to do.", CreateTodoParameters, self._create_one),
            Tool("create_todos", "Add things to your list of things to do.", CreateTodosParameters, self._create),
            Tool("update_todos", "Change the status of things on your list.", UpdateTodosParameters, self._update),
            Tool("list_todos", "Read your list of things to do.", NoParameters, self._list),
        )

    async def _create_one(self, parameters: CreateTodoParameters) -> ToolAnswer:
        return self._added([parameters.description])

    async def _create(self, parameters: CreateTodosParameters) -> ToolAnswer:
        return self._added(parameters.descriptions)

    def _added(self, descriptions: Sequence[str]) -> ToolAnswer:
        if not descriptions or not all(description.strip() for description in descriptions):
            return ToolAnswer("A description is blank. Write what is to be done; nothing was added.", is_error=True)
        if len(self._todos) + len(descriptions) > _MOST:
            return ToolAnswer(
                f"A list has {_MOST} entries at most, and this one has {len(self._todos)}; nothing was added. "
                "Put several steps into one entry.",
                is_error=True,
            )
        for description in descriptions:
            todo = _Todo(f"todo_{len(self._todos) + 1}", description)
            self._todos[todo.id] = todo
        return self._answer()

    async def _update(self, parameters: UpdateTodosParameters) -> ToolAnswer:
        unknown = sorted({update.id for update in parameters.updates} - self._todos.keys())
        if unknown or not parameters.updates:
            what = f"There is no entry {', '.join(unknown)}" if unknown else "No entry is named"
            known = ", ".join(self._todos) or "none yet"
            return ToolAnswer(f"{what}; nothing was changed. The entries are: {known}.", is_error=True)
        for update in parameters.updates:
            self._todos[update.id].status = update.status
        return self._answer()

    async def _list(self, _: NoParameters) -> ToolAnswer:
        return self._answer()

    def _answer(self) -> ToolAnswer:
        entries = list(self._todos.values())
        left = sum(todo.status != "completed" for todo in entries)
        lines = [f"- {todo.id} ({todo.status}): {one_line(todo.description, _SHOWN)}" for todo in entries]
        text = "\n".join([f"{len(entries)} things to do, {left} of them not completed:", *lines])
        return ToolAnswer(text if entries else "The list is empty.", {"todos": msgspec.to_builtins(entries)})
