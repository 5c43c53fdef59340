"""The schema: the two modules that know the journal's tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import subactors.actors
import subactors.runtime
from sources import parsed
from subactors.runtime.runs.conversation import append_messages, delete_conversation
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.reader import JournalReader

SQL: Final = re.compile(
    r"\b(CREATE (TABLE|VIEW|TRIGGER)|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|SELECT .* FROM|table_info)\b"
)
"""Statements that name a table; what is set for a connection (PRAGMA) and transactions name none."""

WITH_TABLES_OF_THEIR_OWN: Final = {"runtime/toolsets/memory.py"}


def _speaks_sql(nodes: Iterable[ast.AST]) -> bool:
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and SQL.search(text) for text in texts)


def test_no_other_module_has_sql() -> None:
    tops = [Path(str(package.__file__)).parent for package in (subactors.actors, subactors.runtime)]
    with_sql = {
        path.relative_to(top.parent).as_posix()
        for top in tops
        for path, nodes in parsed(top, words=SQL.pattern)
        if _speaks_sql(nodes)
    }

    assert with_sql - WITH_TABLES_OF_THEIR_OWN == {
        f"runtime/runs/{name}.py" for name in ("schema", "conversation", "letters", "open_work", "steps")
    }


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
