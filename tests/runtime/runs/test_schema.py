"""The schema: the two modules that know the journal's tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import subactors.actors
import subactors.runtime
from subactors.runtime.runs.conversation import append_messages, delete_conversation
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.reader import JournalReader

SQL: Final = re.compile(
    r"\b(CREATE (TABLE|VIEW|TRIGGER)|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|SELECT .* FROM|table_info)\b"
)
"""Statements that name a table; what is set for a connection (PRAGMA) and transactions name none."""

WITH_TABLES_OF_THEIR_OWN: Final = {"runtime/toolsets/memory.py"}


def _modules() -> Iterator[tuple[str, Path]]:
    for package in (subactors.actors, subactors.runtime):
        top = Path(str(package.__file__)).parent
        for path in top.rglob("*.py"):
            yield path.relative_to(top.parent).as_posix(), path


def _speaks_sql(path: Path) -> bool:
    texts = [node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and SQL.search(text) for text in texts)


def test_no_other_module_has_sql() -> None:
    with_sql = {name for name, path in _modules() if _speaks_sql(path)}

    assert with_sql - WITH_TABLES_OF_THEIR_OWN == {"runtime/runs/schema.py", "runtime/runs/conversation.py"}


def test_messages_are_numbered_on_from_where_the_conversation_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, {})
    journal.write(append_messages("agent_task_1", 1, 1, ['{"n": 1}', '{"n": 2}']))
    journal.write(append_messages("agent_task_2", 1, 1, ['{"n": 9}']))
    journal.write(append_messages("agent_task_1", 3, 2, ['{"n": 3}']))
    journal.close()

    with JournalReader(path, live=False) as reader:
        assert reader.messages("agent_task_1") == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_conversation_that_is_deleted_leaves_those_of_other_tasks(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, {})
    for task_id in ("agent_task_1", "agent_task_2"):
        journal.write(append_messages(task_id, 1, 1, ["{}"]))
    journal.write(delete_conversation("agent_task_1"))
    journal.close()

    with JournalReader(path, live=False) as reader:
        assert (reader.messages("agent_task_1"), reader.messages("agent_task_2")) == ([], [{}])
