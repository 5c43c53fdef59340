"""The journal: what is committed when, what is left when the host dies, and what happens when it cannot be written."""

from __future__ import annotations

import logging
import queue
import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from run_folders import host, python, task_row
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.reader import JournalReader

PATIENCE = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path, {"team": "a team"})
    yield journal
    if journal._thread.is_alive():
        journal.close()


def write(journal: Journal, *statements: Any) -> None:
    """Write, and wait until that is committed or could not be."""
    committed = threading.Event()
    journal.write(statements, committed.set)
    assert committed.wait(PATIENCE)


def journal_thread_is_through(journal: Journal) -> bool:
    """Whether nothing is left for the journal's thread to do."""
    if journal._lock.acquire(blocking=False):
        journal._lock.release()
        return not journal._queue and journal._wakeups.empty()
    return False


def ids(path: Path) -> list[str]:
    with JournalReader(path, live=True) as reader:
        return reader.ids()


def test_what_is_committed_can_be_read_while_the_journal_is_open(journal: Journal, path: Path) -> None:
    write(journal, task_row(1), task_row(2))
    assert ids(path) == ["agent_task_00000001", "agent_task_00000002"]


def test_a_run_without_tasks_has_a_journal_too(journal: Journal, path: Path) -> None:
    journal.close()
    with JournalReader(path, live=False) as reader:
        assert reader.facts() == {"team": "a team"}
        assert reader.tasks() == []
        assert reader.unread() == 0
        assert reader.last_entry() == 0.0


def test_closing_writes_what_is_queued(journal: Journal, path: Path) -> None:
    for number in range(500):
        journal.write([task_row(number)])
    journal.close()
    assert len(ids(path)) == 500


def test_what_nobody_waits_for_is_written_too(journal: Journal, path: Path) -> None:
    journal.write([task_row(1)])
    wait_until(lambda: journal_thread_is_through(journal), "what was written is committed")
    assert ids(path) == ["agent_task_00000001"]


def test_what_is_waited_for_is_committed_before_anything_else_happens(journal: Journal, path: Path) -> None:
    write(journal)
    wait_until(lambda: journal_thread_is_through(journal), "the journal is open")
    told_in = []
    journal.write([task_row(2)], lambda: told_in.append(threading.current_thread()))
    assert told_in == [threading.current_thread()]
    assert ids(path) == ["agent_task_00000002"]


def test_what_takes_its_time_is_left_to_the_journals_thread(journal: Journal) -> None:
    write(journal, task_row(0))
    told_in: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    big = ("UPDATE task SET result = ? WHERE number = 1", ("x" * 100_000,))
    journal.write([big], lambda: told_in.put(threading.current_thread()))
    assert told_in.get(timeout=PATIENCE) is journal._thread
    journal.query(("SELECT length(result) FROM task", ()), lambda _: told_in.put(threading.current_thread()))
    assert told_in.get(timeout=PATIENCE) is journal._thread


def test_after_a_commit_that_took_long_the_next_is_left_to_the_journals_thread(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal)
    wait_until(lambda: journal_thread_is_through(journal), "the journal is open")
    monkeypatch.setattr("subactors.runtime.runs.journal._SLOW", 0.0)
    told_in: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    for number in range(2):
        journal.write([task_row(number)], lambda: told_in.put(threading.current_thread()))
    told = [told_in.get(timeout=PATIENCE) for _ in range(2)]
    assert told == [threading.current_thread(), journal._thread]


def test_a_journal_that_somebody_else_has_locked_holds_up_no_writer(journal: Journal, path: Path) -> None:
    write(journal, task_row(1))
    committed = threading.Event()
    wait_until(lambda: journal_thread_is_through(journal), "the journal's thread has nothing to do")
    assert journal._connection is not None
    assert journal._connection.execute("PRAGMA busy_timeout").fetchall() == [(0,)]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.write([task_row(2)], committed.set)
    assert not committed.is_set()
    other.execute("ROLLBACK")
    other.close()
    assert committed.wait(PATIENCE)
    assert not journal.failing
    assert len(ids(path)) == 2


def test_the_log_of_a_journal_that_is_written_a_little_at_a_time_has_a_bound(journal: Journal, path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    for number in range(400):
        # 16 MB in all, but each of them is little enough for a commit at once, which makes no checkpoint.
        write(journal, task_row(number), ("UPDATE task SET result = ? WHERE number = ?", ("x" * 25_000, number)))
    write(journal)
    assert len(ids(path)) == 400
    assert log.stat().st_size < 10_000_000


def test_writes_of_many_threads_are_all_there_each_threads_in_order(journal: Journal, path: Path) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 200):
            journal.write([task_row(number)])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 1000, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(ids(path)) == 1000


def test_statements_that_belong_together_are_written_all_or_none(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(journal, task_row(1))
    write(journal, task_row(2), task_row(1))
    write(journal, task_row(3))
    assert ids(path) == ["agent_task_00000001", "agent_task_00000003"]
    assert "which will be missing from it" in caplog.text
    assert journal.failing == ""


@pytest.mark.parametrize(
    "statement",
    [
        task_row(2, task="half a pair: \ud800"),
        task_row(2, attempts=2**70),
        ("INSERT INTO nowhere VALUES (1)", []),
        ("no statement", []),
        ("INSERT INTO run VALUES (?, ?)", [1]),
    ],
    ids=["text that is none", "too large a number", "no such table", "no SQL", "too few values"],
)
def test_what_cannot_be_written_costs_nothing_else_of_the_same_moment(
    journal: Journal, path: Path, statement: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    journal.query(("SELECT 1", ()), lambda _: gate.wait(PATIENCE))  # is answered in the journal's thread
    committed: queue.Queue[int] = queue.Queue()
    for number, what in enumerate([task_row(1), statement, task_row(3)]):
        journal.write([what], lambda number=number: committed.put(number))  # type: ignore[misc]
    gate.set()
    assert [committed.get(timeout=PATIENCE) for _ in range(3)] == [0, 1, 2]
    assert ids(path) == ["agent_task_00000001", "agent_task_00000003"]
    assert "Traceback" in caplog.text


def test_a_transaction_that_could_not_be_rolled_back_is_neither_kept_nor_in_the_way(
    journal: Journal, path: Path
) -> None:
    write(journal)
    with journal._lock:
        assert journal._connection is not None
        journal._connection.execute("BEGIN IMMEDIATE")
        journal._connection.execute(*task_row(1))
    write(journal, task_row(2))
    assert ids(path) == ["agent_task_00000002"]
    assert not journal.failing


def test_a_callback_that_raises_does_not_end_the_journal(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    journal.write([task_row(1)], fail)
    write(journal, task_row(2))
    assert len(ids(path)) == 2
    assert "ZeroDivisionError" in caplog.text


def test_a_folder_that_is_not_there_is_told_once_and_written_to_as_soon_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "later" / "journal.sqlite"
    journal = Journal(path, {})
    write(journal, task_row(1))
    write(journal, task_row(2))
    assert "unable to open database file" in journal.failing
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(messages) == 1
    assert "cannot be written: unable to open database file. Tasks go on" in messages[0]
    path.parent.mkdir()
    wait_until(lambda: not journal.failing, "the journal is written again")
    assert len(ids(path)) == 2
    journal.close()


def test_closing_tries_once_more(tmp_path: Path) -> None:
    path = tmp_path / "later" / "journal.sqlite"
    journal = Journal(path, {})
    write(journal, task_row(1))
    path.parent.mkdir()
    journal.close()
    assert len(ids(path)) == 1


def test_a_journal_that_cannot_be_written_to_the_end_does_not_keep_closing_from_ending(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "nowhere" / "journal.sqlite", {})
    write(journal, task_row(1))
    journal.close()
    assert journal.failing


def test_a_full_disk_loses_nothing_once_there_is_room_again(journal: Journal, path: Path) -> None:
    write(journal, task_row(1))
    full = path.with_name("journal.sqlite-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        write(journal, task_row(2))
        assert journal.failing
        write(journal, task_row(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    wait_until(lambda: not journal.failing, "the journal is written again")
    assert len(ids(path)) == 3


def test_what_is_kept_for_later_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.runs.journal._KEPT_BYTES", 10_000)
    path = tmp_path / "later" / "journal.sqlite"
    journal = Journal(path, {})
    for number in range(100):
        write(journal, task_row(number, task="x" * 1000))
    path.parent.mkdir()
    journal.close()
    assert 0 < len(ids(path)) < 10


def test_a_file_that_is_no_journal_is_left_as_it_is(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"something else" * 1000)
    journal = Journal(path, {})
    write(journal, task_row(1))
    journal.close()
    assert "not a database" in caplog.text
    assert path.read_bytes() == b"something else" * 1000


_WRITER = """\
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from run_folders import task_row
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.folder import RunFolder

folder = RunFolder.create(Path(sys.argv[1]))
print(folder.path, flush=True)
journal = Journal(folder.journal, {{}})
number = 0

def committed():
    global number
    print(number, flush=True)
    number += 1
    journal.write([task_row(number, task="x" * 1000)], committed)

journal.write([task_row(number)], committed)
sys.stdin.read()
"""


@pytest.mark.parametrize("entries", [1, 10, 100, 1000])
def test_whatever_was_committed_before_the_host_was_killed_is_there(tmp_path: Path, entries: int) -> None:
    with host(tmp_path, _WRITER.format(tests=str(Path(__file__).parents[2] / "kit"))) as holder:
        assert holder.program.stdout is not None
        while int(holder.program.stdout.readline()) < entries:
            pass
        holder.kill()
        told = [line for line in holder.program.stdout.read().splitlines() if line]
        last = int(told[-1]) if told else entries
        with JournalReader(holder.run / "journal.sqlite", live=False) as reader:
            numbers = [int(task_id.removeprefix("agent_task_"), 16) for task_id in reader.ids()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > last


def test_a_journal_is_read_by_others_while_it_is_written(tmp_path: Path) -> None:
    reading = """\
import sys
from pathlib import Path
from subactors.runtime.runs.reader import JournalReader
counts = []
while not counts or counts[-1] < 300:
    with JournalReader(Path(sys.argv[1]), live=True) as reader:
        counts.append(len(reader.tasks()))
print(counts == sorted(counts))
"""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, {})
    write(journal, task_row(0))
    with python(reading, path) as program:
        for number in range(1, 300):
            write(journal, task_row(number))
        assert program.communicate(timeout=PATIENCE)[0] == "True\n"
    assert journal.failing == ""
    journal.close()


def test_a_process_that_is_forked_while_the_journal_is_written_can_use_sqlite(tmp_path: Path) -> None:
    forking = """\
import multiprocessing, sqlite3, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from run_folders import task_row
from subactors.runtime.runs.journal import Journal

def use():
    sqlite3.connect(":memory:").execute("CREATE TABLE a (b)")
    connection = sqlite3.connect(sys.argv[1] + ".other")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS a (b)")
    connection.close()

journal = Journal(Path(sys.argv[1]), {})
number = 0

def write():
    global number
    number += 1
    journal.write([task_row(number, task="x" * 100_000)], write if number < 1_000_000 else None)

write()
fork = multiprocessing.get_context("fork")
for _ in range(50):
    process = fork.Process(target=use)
    process.start()
    process.join(10)
    process.kill()
    process.join()
    assert process.exitcode == 0, process.exitcode
number = 1_000_000
journal.close()
print("well")
"""
    with python(forking, tmp_path / "journal.sqlite", Path(__file__).parents[2] / "kit") as program:
        try:
            assert program.communicate(timeout=50)[0] == "well\n"
        finally:
            program.kill()
