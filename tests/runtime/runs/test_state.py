"""The state folder: runs are found, and one whose host lives is told from one whose host is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import descriptors
from run_folders import host, make_old, past_run, python
from subactors.runtime.errors import StateError
from subactors.runtime.runs.folder import (
    RunFolder,
    host_pid,
    is_live,
    last_sign_of_life,
    remove_leftovers,
    runs,
    state_root,
)


def test_the_folder_that_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUBACTORS_STATE_DIR", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    assert state_root("here") == tmp_path / "here"
    assert state_root() == Path("/elsewhere")


def test_without_a_folder_it_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBACTORS_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/states")
    assert state_root() == Path("/states/subactors")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_root() == Path("/home/somebody/.local/state/subactors")


def test_only_the_user_can_look_into_the_folders(tmp_path: Path) -> None:
    root = tmp_path / "state"
    folder = RunFolder.create(root)
    try:
        for path in (root, folder.path, folder.output, folder.log):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.path / "lock").stat().st_mode) == 0o600
    finally:
        folder.release()


def test_runs_are_found_oldest_first_and_nothing_else_is(tmp_path: Path) -> None:
    newer, older = past_run(tmp_path), make_old(past_run(tmp_path), days=1)
    (tmp_path / "something").mkdir()
    (tmp_path / "run_file").touch()
    assert runs(tmp_path) == [older, newer]


def test_a_state_folder_that_is_not_there_has_no_runs(tmp_path: Path) -> None:
    assert runs(tmp_path / "nowhere") == []


def test_a_state_folder_that_is_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="file cannot be read: Not a directory"):
        runs(tmp_path / "file")
    with pytest.raises(StateError, match=r"file cannot be used: .* --state-dir or SUBACTORS_STATE_DIR"):
        RunFolder.create(tmp_path / "file")


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "x" * 300)
    before = set(descriptors())
    with pytest.raises(StateError, match="File name too long"):
        RunFolder.create(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert set(descriptors()) <= before


def test_a_run_lives_as_long_as_its_host(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        assert is_live(holder.run)
        assert host_pid(holder.run) == holder.program.pid
        assert RunFolder.take_over(holder.run) is None
        holder.kill()
        assert not is_live(holder.run)
        folder = RunFolder.take_over(holder.run)
        assert folder is not None
        folder.release()


def test_a_run_lives_as_long_as_its_folder_is_held_in_this_process(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    assert is_live(folder.path)
    assert host_pid(folder.path) == os.getpid()
    folder.release()
    folder.release()
    assert not is_live(folder.path)


def test_a_process_that_the_host_has_forked_does_not_keep_the_run_alive(tmp_path: Path) -> None:
    forking = """\
import multiprocessing, sys
from pathlib import Path
from subactors.runtime.runs.folder import RunFolder

def live_on(run):
    print(run, flush=True)
    sys.stdin = open(0)
    sys.stdin.read()

folder = RunFolder.create(Path(sys.argv[1]))
multiprocessing.get_context("fork").Process(target=live_on, args=(folder.path,)).start()
"""
    with host(tmp_path, forking) as holder:
        assert is_live(holder.run)
        holder.kill()
        # The forked process holds the pipe that it prints to; it ends when its standard input is closed.
        assert not is_live(holder.run)
        assert holder.program.stdin is not None
        holder.program.stdin.close()
        assert holder.program.stdout is not None
        assert holder.program.stdout.read() == ""


def test_the_end_of_a_forked_process_leaves_the_lock_to_the_host(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    try:
        process = multiprocessing.get_context("fork").Process(target=folder.release)
        process.start()
        process.join()
        process.close()
        assert is_live(folder.path)
    finally:
        folder.release()


@contextlib.contextmanager
def looked_at(run: Path) -> Iterator[list[bool]]:
    """Have four threads look all the time whether a run lives; what they see is given."""
    looks: list[bool] = []
    looking = True

    def look() -> None:
        while looking:
            looks.append(is_live(run))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield looks
    finally:
        looking = False
        for thread in threads:
            thread.join()


def test_a_run_can_be_taken_over_while_others_look_whether_it_lives_and_never_looks_alive(tmp_path: Path) -> None:
    run = past_run(tmp_path)
    with looked_at(run) as looks:
        for _ in range(300):
            folder = RunFolder.take_over(run)
            assert folder is not None
            folder.release()
    assert looks
    assert not any(looks)


def test_only_one_process_takes_over_a_run(tmp_path: Path) -> None:
    run = past_run(tmp_path)
    folder = RunFolder.take_over(run)
    assert folder is not None
    assert not is_live(run)
    taking = """\
import sys
from pathlib import Path
from subactors.runtime.runs.folder import RunFolder
print(RunFolder.take_over(Path(sys.argv[1])))
"""
    with python(taking, run) as program:
        assert program.communicate()[0] == "None\n"
    folder.release()


def test_a_folder_whose_lock_was_deleted_can_be_taken_over(tmp_path: Path) -> None:
    run = past_run(tmp_path)
    (run / "lock").unlink()
    assert not is_live(run)
    folder = RunFolder.take_over(run)
    assert folder is not None
    folder.release()


def test_a_run_whose_host_lives_is_not_taken_over_when_its_lock_was_deleted(tmp_path: Path) -> None:
    with host(tmp_path) as holder:
        (holder.run / "lock").unlink()
        assert RunFolder.take_over(holder.run) is None


def test_a_removed_run_is_gone_and_cannot_be_taken_over(tmp_path: Path) -> None:
    run = past_run(tmp_path, said={"agent_task_00000001": b"hello"})
    folder = RunFolder.take_over(run)
    assert folder is not None
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    assert RunFolder.take_over(run) is None
    assert not is_live(run)


def test_what_a_cut_short_removal_has_left_goes_after_an_hour(tmp_path: Path) -> None:
    run = past_run(tmp_path)
    hidden = run.rename(tmp_path / f".{run.name}")
    remove_leftovers(tmp_path)
    assert hidden.exists()
    then = time.time() - 3700
    os.utime(hidden, (then, then))
    assert runs(tmp_path) == []
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_last_sign_of_life_is_the_start_or_the_last_output(tmp_path: Path) -> None:
    run = past_run(tmp_path, said={"agent_task_00000001": b"hello"})
    assert abs(last_sign_of_life(run) - time.time()) < 60
    old = make_old(run, days=3)
    assert abs(last_sign_of_life(old) - (time.time() - 3 * 86400)) < 60
    (old / "log" / "agent_task_00000001.log").touch()
    assert abs(last_sign_of_life(old) - time.time()) < 60
    assert last_sign_of_life(tmp_path / "run_nonsense") == 0.0
