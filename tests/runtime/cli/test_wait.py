"""`subactors wait`: until tasks of other processes have ended, without reading their results."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_runs import FIRST, SECOND, UNFINISHED
from run_folders import command, past_run, subactors, task_row
from subactors.runtime import Runtime
from subactors.runtime.runs.reader import JournalReader
from teams import entrypoint_team, run_and_wait, shared_runtime, speaking
from warm_commands import run_command

ROOT = "state"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(ROOT)


@pytest.fixture(scope="module")
def runtime(root: Path) -> Iterator[Runtime]:
    with shared_runtime(state_dir=root) as shared:
        yield shared


def test_it_returns_when_the_last_task_has_ended_and_says_how_each_did(
    runtime: Runtime, root: Path, tmp_path: Path
) -> None:
    ended = run_and_wait(runtime, "raises")
    waiting = runtime.run("waits_for_file", str(tmp_path / "file")).id
    with subprocess.Popen(
        command("wait", waiting, ended.id[-8:], "--state-dir", root), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        first = program.stdout.readline()
        (tmp_path / "file").touch()
        rest = program.stdout.read()

    assert first.startswith(f"{ended.id} (raises) has ended after ")
    assert ": failed. " in first
    assert rest.startswith(f"{waiting} (waits_for_file) has ended after ")
    assert rest.endswith(": completed.\n")
    assert program.returncode == 1


def test_it_waits_for_any_of_several_and_takes_ids_from_standard_input(runtime: Runtime, root: Path) -> None:
    waiting, ended = speaking(runtime, "waits"), run_and_wait(runtime, "echo")
    done = run_command("wait", "--any", "--json", "-", "--state-dir", root, text=f"{waiting}\n{ended.id}\n")
    runtime.stop([waiting])

    (task,) = map(json.loads, done.stdout.splitlines())
    assert (task["id"], task["status"], task["result"]) == (ended.id, "completed", ended.result)
    assert (done.returncode, done.stderr) == (0, "")


def test_when_time_is_over_it_says_what_still_runs(runtime: Runtime, root: Path) -> None:
    waiting = speaking(runtime, "waits")
    done = subactors("wait", "--timeout", "0.1s", waiting, root=root)
    runtime.stop([waiting])

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"subactors: Time is over after 0.1 s: {waiting} is running.\n"


def test_it_hears_of_the_ends_of_two_hosts(runtime: Runtime, root: Path, tmp_path: Path) -> None:
    with Runtime.from_mapping(entrypoint_team(), state_dir=root, standby=0) as other:
        ids = [each.run("waits_for_file", str(tmp_path / "file")).id for each in (runtime, other)]
        with subprocess.Popen(command("wait", "-q", *ids, "--state-dir", root), stdout=subprocess.PIPE) as program:
            (tmp_path / "file").touch()
            said = program.communicate()

    assert (program.returncode, said[0]) == (0, b"")


def test_a_task_of_a_dead_host_has_ended_and_no_result_counts_as_read(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1, was_read=0), task_row(2, **UNFINISHED))
    done = subactors("wait", FIRST, SECOND, "nothing", root=tmp_path)

    assert done.stdout.splitlines() == [
        f"{FIRST} (worker) has ended after 2.5 s: completed.",
        *[line for line in done.stdout.splitlines() if line.endswith(": failed. The host died.")],
    ]
    assert done.stderr.startswith("subactors: There is no task 'nothing'")
    assert done.returncode == 1
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        assert reader.unread() == 2
