"""The `memory` tools: notes in an SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.memory import MemoryToolset


@pytest.fixture
def box(tmp_path: Path) -> ToolBox:
    return ToolBox([MemoryToolset(working_directory=tmp_path)])


def call(box: ToolBox, name: str, **arguments: Any) -> ToolAnswer:
    return asyncio.run(box.call(name, json.dumps(arguments)))


def test_what_is_remembered_is_found_by_another_task(box: ToolBox, tmp_path: Path) -> None:
    call(box, "add_memory", memory="The user likes tea.", category="preference")
    other = ToolBox([MemoryToolset(working_directory=tmp_path)])
    assert "The user likes tea." in call(other, "get_memories").text


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"query": "TEA likes"}, ["The user likes tea."]),
        ({"query": "coffee"}, []),
        ({"category": "Preference"}, ["The user likes tea."]),
        ({"query": "the", "category": "decision"}, ["The port is 80."]),
        ({}, ["The user likes tea.", "The port is 80."]),
    ],
)
def test_a_search_looks_for_words_and_category(box: ToolBox, search: dict[str, str], found: list[str]) -> None:
    call(box, "add_memory", memory="The user likes tea.", category="preference")
    call(box, "add_memory", memory="The port is 80.", category="decision")
    memories = call(box, "search_memories", **search).data["memories"]
    assert [memory["memory"] for memory in memories] == found


def test_a_memory_is_changed_and_forgotten_by_its_id(box: ToolBox) -> None:
    name = call(box, "add_memory", memory="old", category="fact").data["id"]
    assert not call(box, "update_memory", id=name, memory="new").is_error
    (memory,) = call(box, "get_memories").data["memories"]
    assert (memory["memory"], memory["category"]) == ("new", "fact")
    assert not call(box, "delete_memory", id=name).is_error
    assert call(box, "get_memories").text == "Nothing is remembered."


@pytest.mark.parametrize(("tool", "more"), [("update_memory", {"memory": "x"}), ("delete_memory", {})])
def test_an_unknown_id_is_an_error(box: ToolBox, tool: str, more: dict[str, str]) -> None:
    answer = call(box, tool, id="nope", **more)
    assert answer.is_error
    assert "get_memories" in answer.text


def test_blank_and_endless_memories_are_errors(box: ToolBox) -> None:
    assert call(box, "add_memory", memory=" ").is_error
    assert call(box, "add_memory", memory="x" * 200_000).is_error
    assert not call(box, "get_memories").data["memories"]


def test_a_path_is_seen_from_the_working_directory_and_its_folders_are_made(tmp_path: Path) -> None:
    box = ToolBox([MemoryToolset(working_directory=tmp_path, path="deep/notes.db")])
    call(box, "add_memory", memory="x")
    assert (tmp_path / "deep" / "notes.db").is_file()


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_text("something else, and long enough to be looked at as a database" * 20)
    answer = call(ToolBox([MemoryToolset(working_directory=tmp_path)]), "get_memories")
    assert answer.is_error
    assert str(tmp_path / "memory.db") in answer.text


def test_a_file_of_docker_agents_without_categories_can_be_used(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "memory.db")) as connection, connection:
        connection.execute("CREATE TABLE memories (id TEXT PRIMARY KEY, created_at TEXT, memory TEXT)")
        connection.execute("INSERT INTO memories VALUES ('1', '2026-01-01', 'old')")
    box = ToolBox([MemoryToolset(working_directory=tmp_path)])
    call(box, "add_memory", memory="new", category="fact")
    assert [memory["memory"] for memory in call(box, "get_memories").data["memories"]] == ["old", "new"]


def test_many_calls_at_once_lose_nothing(tmp_path: Path) -> None:
    async def add_all() -> list[ToolAnswer]:
        boxes = [ToolBox([MemoryToolset(working_directory=tmp_path)]) for _ in range(20)]
        return await asyncio.gather(*(box.call("add_memory", '{"memory": "x"}') for box in boxes))

    assert not any(answer.is_error for answer in asyncio.run(add_all()))
    box = ToolBox([MemoryToolset(working_directory=tmp_path)])
    assert len(call(box, "get_memories").data["memories"]) == 20
