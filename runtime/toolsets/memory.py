"""Memory: the `memory` tools, notes that outlive the task, in an SQLite file.

Several tasks may use one file at the same time. Each call opens it, does its work in one transaction, and closes it, in
a worker thread. The file must never be held between calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sqlite3
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from ...actors.regular_files import check_database
from ..text import encodable
from .base import NoParameters, Tool, ToolAnswer, ToolParameters, Toolset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MemoryToolset"]

_PATIENCE = 10.0
"""Seconds to wait while another task writes."""

_LONGEST = 100_000
"""Characters of one memory."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS memories (id TEXT PRIMARY KEY, created_at TEXT, memory TEXT, category TEXT)"

_Category = Annotated[str, msgspec.Meta(description="A word that groups memories, such as preference or decision.")]


class AddMemoryParameters(ToolParameters, frozen=True):
    """The parameters of `add_memory`."""

    memory: Annotated[str, msgspec.Meta(description="What to remember, so that it makes sense by itself.")]
    category: _Category = ""


class DeleteMemoryParameters(ToolParameters, frozen=True):
    """The parameters of `delete_memory`."""

    id: Annotated[str, msgspec.Meta(description="The memory's id.")]


class SearchMemoriesParameters(ToolParameters, frozen=True):
    """The parameters of `search_memories`."""

    query: Annotated[str, msgspec.Meta(description="Words that must all occur, in any order and case.")] = ""
    category: Annotated[str, msgspec.Meta(description="Only memories of this category.")] = ""


class UpdateMemoryParameters(ToolParameters, frozen=True):
    """The parameters of `update_memory`."""

    id: Annotated[str, msgspec.Meta(description="The memory's id.")]
    memory: Annotated[str, msgspec.Meta(description="What to remember in place of it.")]
    category: _Category = ""


class _Memory(NamedTuple):
    id: str
    created_at: str
    memory: str
    category: str


class MemoryToolset(Toolset):
    """Notes in a file. Called in any thread's event loop; calls may run at the same time.

    Args:
        working_directory: where a relative path is looked up.
        path: the file; made, with its folders, at the first call.
    """

    def __init__(self, *, working_directory: Path, path: str = "memory.db") -> None:
        self._path = working_directory / path
        self.instruction = (
            "## Memory\n\n"
            "What you learn is forgotten when this task ends, save what you put down with `add_memory`. At the "
            "beginning look with `search_memories` or `get_memories` for what is known already; put down facts, "
            "decisions and wishes that later tasks will need, each so that it makes sense by itself, and no secrets."
        )

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools on the file."""
        return (
            Tool("add_memory", "Remember something beyond this task.", AddMemoryParameters, self._add),
            Tool("get_memories", "Read everything that is remembered.", NoParameters, self._get),
            Tool("search_memories", "Find memories by words or category.", SearchMemoriesParameters, self._search),
            Tool("update_memory", "Replace a memory by its id.", UpdateMemoryParameters, self._update),
            Tool("delete_memory", "Forget a memory by its id.", DeleteMemoryParameters, self._delete),
        )

    async def _add(self, parameters: AddMemoryParameters) -> ToolAnswer:
        if (wrong := _wrong(parameters.memory)) is not None:
            return wrong
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        memory = _Memory(uuid.uuid4().hex[:12], now, encodable(parameters.memory), encodable(parameters.category))

        def work(connection: sqlite3.Connection) -> ToolAnswer:
            insert = "INSERT INTO memories (id, created_at, memory, category) VALUES (?, ?, ?, ?)"
            connection.execute(insert, memory)
            return ToolAnswer(f"Remembered, with the id {memory.id}.", memory._asdict())

        return await self._in_file(work)

    async def _get(self, _: NoParameters) -> ToolAnswer:
        return await self._in_file(lambda connection: _found(_all(connection)))

    async def _search(self, parameters: SearchMemoriesParameters) -> ToolAnswer:
        words = parameters.query.casefold().split()
        category = parameters.category.strip().casefold()

        def fits(memory: _Memory) -> bool:
            text = f"{memory.memory} {memory.category}".casefold()
            return all(word in text for word in words) and category in {"", memory.category.casefold()}

        return await self._in_file(lambda connection: _found([found for found in _all(connection) if fits(found)]))

    async def _update(self, parameters: UpdateMemoryParameters) -> ToolAnswer:
        if (wrong := _wrong(parameters.memory)) is not None:
            return wrong

        def work(connection: sqlite3.Connection) -> ToolAnswer:
            # An update that says nothing of the category keeps it.
            update = "UPDATE memories SET memory = ?, category = CASE WHEN ? = '' THEN category ELSE ? END WHERE id = ?"
            category = encodable(parameters.category)
            given = (encodable(parameters.memory), category, category, parameters.id)
            if not connection.execute(update, given).rowcount:
                return _no_such(parameters.id)
            return ToolAnswer(f"Changed the memory {parameters.id}.", {"id": parameters.id})

        return await self._in_file(work)

    async def _delete(self, parameters: DeleteMemoryParameters) -> ToolAnswer:
        def work(connection: sqlite3.Connection) -> ToolAnswer:
            if not connection.execute("DELETE FROM memories WHERE id = ?", (parameters.id,)).rowcount:
                return _no_such(parameters.id)
            return ToolAnswer(f"Forgot the memory {parameters.id}.", {"id": parameters.id})

        return await self._in_file(work)

    async def _in_file(self, work: Callable[[sqlite3.Connection], ToolAnswer]) -> ToolAnswer:
        return await asyncio.to_thread(self._do, work)

    def _do(self, work: Callable[[sqlite3.Connection], ToolAnswer]) -> ToolAnswer:
        """Run in a worker thread."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            check_database(self._path, follow=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_SCHEMA)
                columns = {row[1] for row in connection.execute("PRAGMA table_info(memories)")}
                if "category" not in columns:  # a file of an earlier version of Docker's agents
                    connection.execute("ALTER TABLE memories ADD COLUMN category TEXT")
                return work(connection)
        except (OSError, ValueError, sqlite3.Error) as error:
            return ToolAnswer(
                f"The memory file {self._path} cannot be used: {error}. Go on without it, and say so in your answer.",
                is_error=True,
            )


def _wrong(memory: str) -> ToolAnswer | None:
    if not memory.strip():
        return ToolAnswer("The memory is blank. Write what to remember.", is_error=True)
    if len(memory) > _LONGEST:
        return ToolAnswer(
            f"A memory has {_LONGEST:,} characters at most, and this one has {len(memory):,}. Shorten it.",
            is_error=True,
        )
    return None


def _no_such(memory_id: str) -> ToolAnswer:
    return ToolAnswer(f"There is no memory {memory_id!r}. `get_memories` lists those there are.", is_error=True)


def _all(connection: sqlite3.Connection) -> list[_Memory]:
    rows: list[Any] = connection.execute(
        "SELECT id, COALESCE(created_at, ''), COALESCE(memory, ''), COALESCE(category, '') FROM memories "
        "ORDER BY created_at, rowid"
    ).fetchall()
    return [_Memory(*map(str, row)) for row in rows]


def _found(memories: Sequence[_Memory]) -> ToolAnswer:
    lines = [
        f"- {found.id} ({', '.join(filter(None, [found.created_at, found.category]))}): {found.memory}"
        for found in memories
    ]
    text = "\n".join([f"{len(memories)} memories, the oldest first:", *lines]) if memories else "Nothing is remembered."
    return ToolAnswer(text, {"memories": [found._asdict() for found in memories]})
