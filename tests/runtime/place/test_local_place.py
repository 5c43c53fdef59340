"""The host's own machine as the place of tasks: what a task has there, and what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from subactors.runtime import Runtime
from subactors.runtime.place import local as local_module
from subactors.runtime.place.base import Body
from subactors.runtime.place.local import LocalPlace
from subactors.runtime.runs.folder import RunFolder
from subactors.runtime.runs.worktree_keeper import WorktreeKeeper
from subactors.runtime.team.config import Workdir
from teams import entrypoint_team, run_and_wait

TASK = "agent_task_1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[LocalPlace]:
    folder = RunFolder.create(tmp_path)
    worktrees = WorktreeKeeper()
    place = LocalPlace(folder, worktrees)
    yield place
    place.close()
    worktrees.close()
    folder.release()


def test_a_folder_of_its_own_is_present_as_long_as_it_is_there(place: LocalPlace) -> None:
    body = place.body(TASK, "private")
    folder = Path(body.own_folder)
    absent = body.present_folder()
    folder.mkdir(parents=True)
    present = body.present_folder()
    folder.rmdir()
    folder.write_text("no folder")

    assert (absent, present, body.present_folder()) == ("", str(folder), "")


def test_a_task_that_shares_the_working_directory_has_no_folder_of_its_own(place: LocalPlace) -> None:
    body = place.body(TASK, "shared")

    assert (body.own_folder, body.present_folder()) == ("", "")


def test_the_end_of_a_log_is_read_from_a_file_alone(place: LocalPlace, tmp_path: Path) -> None:
    body = place.body(TASK, "shared")
    log = Path(body.capture)
    missing = body.log_tail()
    log.write_text("x" * 100_000 + "the end")
    tail = body.log_tail()
    log.unlink()
    os.mkfifo(log)
    pipe = body.log_tail()
    log.unlink()
    (tmp_path / "secret").write_text("secret")
    log.symlink_to(tmp_path / "secret")

    assert tail.endswith("xthe end")
    assert len(tail) == 16_384
    assert (missing, pipe, body.log_tail()) == ("", "", "")


def test_a_result_that_is_missing_or_too_long_has_a_fault(place: LocalPlace) -> None:
    body = place.body(TASK, "shared")
    file = Path(body.result_file)
    missing = body.result_fault(10)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x" * 11)

    assert missing == "its result cannot be read: No such file or directory"
    assert body.result_fault(10) == "its result has 11 bytes, more than max_result (10 bytes)"
    assert not body.result_fault(11)


def test_what_a_supervisor_quotes_of_a_crash_is_what_the_place_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(local_module._LocalBody):
        """A task whose log is on another machine."""

        def log_tail(self) -> str:
            return "said on another machine"

    def elsewhere(place: LocalPlace, task_id: str, workdir: Workdir, *_: object) -> Body:
        return Elsewhere(place, task_id, workdir)

    monkeypatch.setattr(LocalPlace, "body", elsewhere)
    with Runtime.from_mapping(entrypoint_team(), standby=0) as runtime:
        view = run_and_wait(runtime, "aborts")

    assert view.status == "failed"
    assert view.reason.endswith("said on another machine")


def test_the_process_id_that_a_view_shows_is_what_the_place_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(local_module._LocalBody):
        """A task whose process is on another machine."""

        @property
        def pid(self) -> int | None:
            return 4711

    def elsewhere(place: LocalPlace, task_id: str, workdir: Workdir, *_: object) -> Body:
        return Elsewhere(place, task_id, workdir)

    monkeypatch.setattr(LocalPlace, "body", elsewhere)
    with Runtime.from_mapping(entrypoint_team(), standby=0) as runtime:
        task_id = runtime.run("waits", "for its stop")
        alive = runtime.view(task_id)
        runtime.stop(task_id)
        (ended,) = runtime.wait([task_id])

    assert (alive.pid, ended.pid) == (4711, None)
