"""What becomes of runs whose host is gone: unfinished tasks get their end, and old runs go, unread results never."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from run_folders import Host, host, make_old, past_run, task_row
from subactors.runtime import TaskView
from subactors.runtime.control.former import former_task
from subactors.runtime.runs.folder import RunFolder, runs
from subactors.runtime.runs.reader import HOST_DIED, JournalReader
from subactors.runtime.runs.upkeep import mark_read, prune, recover

UNFINISHED = {"status": "running", "runtime": None, "result": None, "was_read": 0}

_HOST_WITH_TASKS = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parents[2] / "kit")!r})
from pathlib import Path
from run_folders import task_row
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.folder import RunFolder

folder = RunFolder.create(Path(sys.argv[1]))
journal = Journal(folder.journal, {{}})
unfinished = {UNFINISHED!r}
journal.write([task_row(1), task_row(2, **unfinished)], lambda: print(folder.path, flush=True))
sys.stdin.read()
"""


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Host]:
    """A host that was killed while the second of its two tasks was running."""
    with host(tmp_path, _HOST_WITH_TASKS) as holder:
        holder.kill()
        yield holder


def views(run: Path, *, live: bool = False) -> list[TaskView]:
    with JournalReader(run / "journal.sqlite", live=live) as reader:
        return reader.tasks()


def unread(run: Path) -> int:
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        return reader.unread()


def transitions(run: Path) -> list[tuple[str, str, str, int]]:
    connection = sqlite3.connect(run / "journal.sqlite")
    try:
        return connection.execute("SELECT task, status, reason, attempt FROM transition").fetchall()
    finally:
        connection.close()


def test_the_unfinished_tasks_of_a_host_that_was_killed_are_written_down_as_failed(
    tmp_path: Path, killed: Host
) -> None:
    assert recover(tmp_path) == ["agent_task_00000002"]
    # Read as if the host lived: that is what the journal itself says now.
    finished, unfinished = views(killed.run, live=True)
    assert (finished.status, finished.reason, finished.runtime) == ("completed", "", 2.5)
    assert (unfinished.status, unfinished.reason) == ("failed", HOST_DIED)
    assert 5 < unfinished.runtime < 60
    assert transitions(killed.run) == [("agent_task_00000002", "failed", HOST_DIED, 1)]
    assert unread(killed.run) == 1


def test_recovering_again_changes_nothing(tmp_path: Path, killed: Host) -> None:
    recover(tmp_path)
    before = views(killed.run)
    assert recover(tmp_path) == []
    assert views(killed.run) == before
    assert len(transitions(killed.run)) == 1


def test_several_processes_may_recover_at_once(tmp_path: Path, killed: Host) -> None:
    code = "import sys; from pathlib import Path; from subactors.runtime.runs.upkeep import recover\n"
    code += "print(len(recover(Path(sys.argv[1]))))"
    programs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    recovered = [int(program.communicate()[0]) for program in programs]
    assert sum(recovered) == 1
    assert len(transitions(killed.run)) == 1


def test_the_tasks_of_a_host_that_lives_are_left_alone(tmp_path: Path) -> None:
    with host(tmp_path, _HOST_WITH_TASKS) as holder:
        assert recover(tmp_path) == []
        mark_read(holder.run, ["agent_task_00000002"])
        assert prune(tmp_path, 0.0, unread=True).removed == {}
        assert [view.status for view in views(holder.run, live=True)] == ["completed", "running"]
        assert unread(holder.run) == 1


def test_a_damaged_journal_does_not_keep_others_from_being_recovered(tmp_path: Path, killed: Host) -> None:
    damaged = past_run(tmp_path, task_row(3, **UNFINISHED))
    (damaged / "journal.sqlite").write_bytes(b"damaged" * 1000)
    (past_run(tmp_path) / "journal.sqlite").unlink()
    assert recover(tmp_path) == ["agent_task_00000002"]
    assert (damaged / "journal.sqlite").read_bytes() == b"damaged" * 1000
    assert killed.run.exists()


def test_a_run_is_kept_for_a_week_after_its_end(tmp_path: Path) -> None:
    young, old = (make_old(past_run(tmp_path, task_row(1)), days) for days in (6.9, 7.1))
    assert prune(tmp_path).removed == {old: 1}
    assert runs(tmp_path) == [young]


def test_a_run_without_tasks_goes_like_any_other(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path), days=8)
    assert prune(tmp_path).removed == {old: 0}
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_died_before_it_had_a_journal_goes_like_any_other(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path), days=8)
    (old / "journal.sqlite").unlink()
    assert prune(tmp_path).removed == {old: 0}


def test_a_result_that_nobody_has_read_is_kept_however_old(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path, task_row(1), task_row(2, was_read=0)), days=1000)
    pruned = prune(tmp_path)
    assert pruned.removed == {}
    assert pruned.kept == {old: "nobody has read the results of 1 of its 2 tasks"}
    assert old.exists()


def test_a_result_that_nobody_has_read_goes_when_that_is_asked_for(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path, task_row(1, was_read=0), said={"agent_task_00000001": b"hello"}), days=8)
    assert prune(tmp_path, unread=True).removed == {old: 1}
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_has_been_read_since_no_longer_keeps_a_run(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path, task_row(1, was_read=0), task_row(2, was_read=0)), days=8)
    mark_read(old, ["agent_task_00000001"])
    assert unread(old) == 1
    mark_read(old, ["agent_task_00000002"])
    assert prune(tmp_path).removed == {old: 2}


def test_what_is_noted_in_a_run_waits_for_whoever_puts_it_in_order(tmp_path: Path) -> None:
    old = past_run(tmp_path, task_row(1, was_read=0))
    folder = RunFolder.take_over(old)
    assert folder is not None
    noting = threading.Thread(target=mark_read, args=(old, ["agent_task_00000001"]))
    noting.start()
    wait_until(lambda: _opened(old) == 2, "it waits for the lock")
    folder.release()
    noting.join()
    assert unread(old) == 0


def _opened(folder: Path) -> int:
    """How often this process has a folder open."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(link.readlink())
    return links.count(folder)


def test_a_run_with_a_damaged_journal_is_kept_unless_unread_results_may_go(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path, task_row(1)), days=8)
    (old / "journal.sqlite").write_bytes(b"damaged" * 1000)
    pruned = prune(tmp_path)
    assert pruned.removed == {}
    assert pruned.kept == {old: "its journal cannot be read (file is not a database)"}
    assert prune(tmp_path, unread=True).removed == {old: 0}


def test_a_run_that_was_long_at_work_counts_from_its_last_entry(tmp_path: Path) -> None:
    entry = ("INSERT INTO transition VALUES (?, ?, ?, ?, ?)", ["agent_task_00000001", time.time(), "completed", "", 1])
    old = make_old(past_run(tmp_path, task_row(1), entry), days=8)
    assert prune(tmp_path).removed == {}
    assert old.exists()


def test_reading_a_journal_does_not_make_a_run_younger(tmp_path: Path) -> None:
    old = make_old(past_run(tmp_path, task_row(1)), days=8)
    assert len(views(old)) == 1
    mark_read(old, ["agent_task_00000001"])
    recover(tmp_path)
    assert prune(tmp_path).removed == {old: 1}


def test_a_state_folder_that_is_not_there_has_nothing_to_prune_or_recover(tmp_path: Path) -> None:
    assert prune(tmp_path / "nowhere").removed == {}
    assert recover(tmp_path / "nowhere") == []


def test_a_run_that_has_been_seen_to_is_not_opened_again_by_every_host_that_starts(
    tmp_path: Path, killed: Host
) -> None:
    recover(tmp_path)
    (killed.run / "journal.sqlite").write_bytes(b"not to be looked at")
    taken = (killed.run / "lock").stat().st_mtime_ns

    assert recover(tmp_path) == []

    assert (killed.run / "journal.sqlite").read_bytes() == b"not to be looked at"
    assert (killed.run / "lock").stat().st_mtime_ns == taken


def test_an_old_run_of_which_a_task_is_about_to_be_continued_is_kept(tmp_path: Path) -> None:
    old, other = (make_old(past_run(tmp_path, task_row(number)), 30) for number in (1, 2))
    former = former_task(tmp_path, "agent_task_00000001")
    prune(tmp_path)

    assert former is not None
    assert (former.run, old.exists(), other.exists()) == (old, True, False)
