"""`subactors doctor`: its lines and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import subactors, write_team


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_team(tmp_path)


def test_doctor_says_what_is_used_and_runs_a_task(folder: Path) -> None:
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))

    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert any(line.startswith("ok  exits: seen by pidfd") for line in lines)
    assert lines[-1].startswith("ok  a task: started, answered and gone in ")
    assert list((folder / "state").iterdir()) == []  # nothing for `ps` to list
    assert (folder / "state").stat().st_mode & 0o777 == 0o700


def test_doctor_has_a_line_for_each_guard_against_hostile_tasks(folder: Path) -> None:
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    said = dict(line[4:].split(": ", 1) for line in done.stdout.splitlines())
    assert said["git"].startswith("git version ")
    assert "a pipe and a link were refused just now" in said["files of the state folder"]
    assert {"fence", "zygote", "turns", "keys", "fetch", "team files"} <= said.keys()


def test_doctor_says_that_others_can_write_to_the_state_folder(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state").chmod(0o770)
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    assert done.returncode == 1
    assert any(line.startswith("BAD state folder: ") and "by others, too" in line for line in done.stdout.splitlines())


def test_doctor_says_what_cannot_be_had_without_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))
    assert "ok  git: not used, so agents cannot have `workdir: worktree`" in done.stdout


def test_doctor_names_the_keys_that_are_withheld_and_shows_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-of-mistral-4711")

    done = subactors(folder, "doctor", "--state-dir", str(folder / "state"))

    assert "MISTRAL_API_KEY" in next(line for line in done.stdout.splitlines() if line.startswith("ok  keys: "))
    assert "4711" not in done.stdout + done.stderr


def test_doctor_ends_with_1_when_something_is_wrong(folder: Path) -> None:
    (folder / "file").write_text("")

    done = subactors(folder, "doctor", "--state-dir", str(folder / "file" / "state"))

    assert done.returncode == 1
    assert "BAD a task: could not be run: The state folder" in done.stdout
    assert "Traceback" not in done.stderr
