"""The `todo` tools: one list a task."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.todo import TodoToolset


def call(box: ToolBox, name: str, **arguments: Any) -> ToolAnswer:
    return asyncio.run(box.call(name, json.dumps(arguments)))


def test_things_are_added_marked_and_listed() -> None:
    box = ToolBox([TodoToolset()])
    call(box, "create_todo", description="Read")
    call(box, "create_todos", descriptions=["Write", "Check"])
    changed = call(box, "update_todos", updates=[{"id": "todo_2", "status": "completed"}])
    assert "3 things to do, 2 of them not completed" in changed.text
    assert "todo_2 (completed): Write" in call(box, "list_todos").text
    assert [todo["status"] for todo in changed.data["todos"]] == ["pending", "completed", "pending"]


def test_an_unknown_entry_is_an_error_that_lists_those_there_are_and_changes_nothing() -> None:
    box = ToolBox([TodoToolset()])
    call(box, "create_todo", description="Read")
    updates = [{"id": "todo_1", "status": "completed"}, {"id": "todo_9", "status": "completed"}]
    answer = call(box, "update_todos", updates=updates)
    assert answer.is_error
    assert "todo_9" in answer.text
    assert "are: todo_1" in answer.text
    assert "(pending)" in call(box, "list_todos").text


def test_a_status_that_there_is_not_is_an_error() -> None:
    box = ToolBox([TodoToolset()])
    call(box, "create_todo", description="Read")
    assert call(box, "update_todos", updates=[{"id": "todo_1", "status": "done"}]).is_error


def test_blank_descriptions_and_endless_lists_are_errors() -> None:
    box = ToolBox([TodoToolset()])
    assert call(box, "create_todos", descriptions=["Read", " "]).is_error
    assert call(box, "create_todos", descriptions=[]).is_error
    assert call(box, "create_todos", descriptions=["x"] * 2000).is_error
    assert call(box, "list_todos").text == "The list is empty."


def test_each_toolset_has_a_list_of_its_own() -> None:
    one, other = ToolBox([TodoToolset()]), ToolBox([TodoToolset()])
    call(one, "create_todo", description="mine")
    assert call(other, "list_todos").data == {"todos": []}
