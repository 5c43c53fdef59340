"""Reader of a journal: tasks and messages come back as they were written, while the host lives and afterwards."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from run_folders import past_run, task_row
from subactors.runtime import Usage, Vitals
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.reader import HOST_DIED, JournalReader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_what_a_task_is_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = past_run(
        tmp_path,
        task_row(
            1,
            parent="agent_task_00000009",
            attempts=3,
            output_size=17,
            input_tokens=5,
            output_tokens=6,
            requests=7,
            cost=0.25,
        ),
        task_row(
            2, status="failed", reason="why", result='{"a": [1, null]}', vitals='{"cpu_seconds": 1.5}', was_read=0
        ),
    )
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        first, second = (reader.task(task_id) for task_id in reader.ids())
        assert [view.result for view in reader.tasks()] == [None, None]
        assert reader.unread() == 1
        assert reader.task("agent_task_ffffffff") is None
    assert first is not None
    assert second is not None
    assert (first.agent, first.task, first.status, first.reason) == ("worker", "work 1", "completed", "")
    assert (first.runtime, first.result, first.attempts, first.parent) == (2.5, "result 1", 3, "agent_task_00000009")
    assert (first.output_size, first.usage, first.vitals) == (17, Usage(5, 6, 7, 0.25), None)
    assert (second.status, second.reason, second.result) == ("failed", "why", {"a": [1, None]})
    assert second.vitals == Vitals(cpu_seconds=1.5)


def test_messages_come_back_in_order(tmp_path: Path) -> None:
    insert = "INSERT INTO message VALUES (?, ?, ?, ?)"
    run = past_run(
        tmp_path,
        task_row(1),
        (insert, ["agent_task_00000001", 2, 1, '{"role": "assistant"}']),
        (insert, ["agent_task_00000001", 1, 1, '{"role": "user"}']),
        (insert, ["agent_task_00000002", 1, 1, '{"role": "other"}']),
    )
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert reader.messages("agent_task_00000001") == [{"role": "user"}, {"role": "assistant"}]


def test_an_unfinished_task_runs_while_its_host_lives_and_has_failed_when_it_is_gone(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1, status="running", runtime=None, result=None, started=time.time() - 100))
    with JournalReader(run / "journal.sqlite", live=True) as reader:
        (view,) = reader.tasks()
        assert view.status == "running"
        assert view.runtime >= 100
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        (view,) = reader.tasks()
        assert (view.status, view.reason) == ("failed", HOST_DIED)


def test_a_task_whose_host_died_ran_until_the_last_sign_of_life(tmp_path: Path) -> None:
    now = time.time()
    unfinished = task_row(1, status="running", runtime=None, started=now - 100)
    later = ("INSERT INTO transition VALUES (?, ?, ?, ?, ?)", ["agent_task_00000001", now + 50, "running", "", 1])
    run = past_run(tmp_path, unfinished, later)
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert abs(reader.tasks()[0].runtime - 150) < 1


@pytest.mark.parametrize("name", ["a run", "100%", "what?", "#1", "ä", "\udce4"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    path = tmp_path / name / "journal.sqlite"
    journal = Journal(path, {"team": str(path)})
    journal.write([task_row(1)])
    journal.close()
    with JournalReader(path, live=True) as reader:
        assert len(reader.ids()) == 1


def test_a_reader_makes_no_journal(path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        JournalReader(path, live=False)
    assert not path.exists()


@pytest.mark.parametrize(
    "entry", [task_row(1, result="{"), task_row(1, vitals='{"cpu_seconds": "many"}')], ids=["result", "vitals"]
)
def test_an_entry_that_is_damaged_is_an_error_of_the_journal(tmp_path: Path, entry: Any) -> None:
    run = past_run(tmp_path, entry)
    with (
        JournalReader(run / "journal.sqlite", live=False) as reader,
        pytest.raises(sqlite3.Error, match="what it holds of agent_task_00000001 cannot be read"),
    ):
        reader.task("agent_task_00000001")
