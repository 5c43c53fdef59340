"""A module that never ends its import in the zygote: tasks that cannot begin are stopped and limited all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import is_gone, wait_until
from subactors.actors.host import forked_process as forked_module
from subactors.runtime import Runtime
from teams import run_and_wait

HANGS = """\
import os, pathlib, time
pathlib.Path(__file__).with_name("imports").write_text(str(os.getpid()))
wait = pathlib.Path(__file__).with_name("wait")
while wait.exists():
    time.sleep(0.01)

def work(task):
    pathlib.Path(__file__).with_name("began").touch()
    return "done"

def tells(task):
    return pathlib.Path(__file__).with_name("began").exists()
"""


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(forked_module, "_FORK_LIMIT", 0.1)
    (tmp_path / "hangs.py").write_text(HANGS)
    (tmp_path / "wait").touch()
    (tmp_path / "team.yaml").write_text(
        "agents:\n"
        "  work: {entrypoint: 'hangs:work'}\n"
        "  tells: {entrypoint: 'hangs:tells'}\n"
        "  limited: {entrypoint: 'hangs:work', limits: {wall_clock: 0.1}}\n"
        "runtime: {preload: [hangs], stop_grace: 0.1, standby: 1}\n"
    )
    return tmp_path


@pytest.fixture
def runtime(team: Path) -> Iterator[Runtime]:
    with Runtime.from_file(team / "team.yaml") as runtime:
        yield runtime


def test_a_task_that_cannot_begin_is_stopped(runtime: Runtime) -> None:
    view = runtime.stop(runtime.run("work", "x"))[0]

    assert (view.status, view.result) == ("stopped", None)
    assert view.reason.endswith("; it had not begun, as its process did not come to exist.")


def test_a_limit_ends_a_task_that_cannot_begin(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "limited")

    assert view.status == "failed"
    assert view.reason.startswith("The limit wall_clock of 0.1 s was reached")


def test_a_task_that_was_stopped_never_begins_and_later_ones_do(runtime: Runtime, team: Path) -> None:
    runtime.stop(runtime.run("work", "x"))
    (team / "wait").unlink()

    # Processes are forked in the order in which they were asked for: had the first begun, it would have by now.
    assert run_and_wait(runtime, "tells").result is False


def test_a_runtime_whose_zygote_hangs_is_closed(team: Path) -> None:
    with Runtime.from_file(team / "team.yaml") as runtime:
        runtime.run("work", "x")
        runtime.run("work", "y")


def test_a_zygote_that_hangs_is_gone_with_its_host(team: Path) -> None:
    program = """
import sys
from subactors.runtime import Runtime
with Runtime.from_file("team.yaml") as runtime:
    runtime.run("work", "x")
    sys.stdin.read()
"""
    environ = {**os.environ, "PYTHONPATH": str(team), "SUBACTORS_STATE_DIR": str(team / "state")}
    with subprocess.Popen([sys.executable, "-c", program], cwd=team, env=environ, stdin=subprocess.PIPE) as host:
        imports = team / "imports"
        wait_until(lambda: imports.exists() and imports.read_text(), "the import has begun", limit=30)
        host.kill()
    zygote = int(imports.read_text())
    wait_until(lambda: is_gone(zygote), "the zygote is gone")
