"""`subactors logs`: what a task's processes wrote to descriptors 1 and 2, while it runs and when its host has gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from run_folders import command, past_run, subactors, task_row
from subactors.runtime import Runtime
from subactors.runtime.runs.log_times import note_size
from teams import run_and_wait, speaking

TEAM = {
    "agents": {
        name: {"entrypoint": f"printing_entrypoints:{name}"}
        for name in ("below_python", "in_order", "writes_and_waits", "writes_what_it_is_told")
    },
    "runtime": {"standby": 0, "preload": ["printing_entrypoints"]},
}
ID = "agent_task_00000001"


def logged(tmp_path: Path, data: bytes) -> Path:
    """A past run of one task with this log."""
    run = past_run(tmp_path, task_row(1))
    (run / "log" / f"{ID}.log").write_bytes(data)
    return run


def test_the_log_of_a_task_is_printed_while_it_runs_and_when_the_host_has_gone(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        ended = run_and_wait(runtime, "below_python")
        running = speaking(runtime, "writes_and_waits")
        live = subactors("logs", running, root=tmp_path)
    done = subactors("logs", ended.id.removeprefix("agent_task_"), root=tmp_path)

    assert (live.returncode, live.stdout, live.stderr) == (0, "from C\n", "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("from C\nfrom a program\n")
    assert done.stdout.endswith("from a fork\nfrom a worker\n")
    assert "said" not in done.stdout


def test_of_an_empty_log_it_says_where_to_look(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime:
        view = run_and_wait(runtime, "in_order")

    done = subactors("logs", view.id, root=tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    assert f"The log of {view.id} is empty." in done.stderr
    assert f"`subactors view {view.id}`" in done.stderr


def test_a_task_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = subactors("logs", "nothing", root=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no task 'nothing'" in done.stderr


def test_a_long_log_is_printed_whole_and_what_is_no_text_is_replaced(tmp_path: Path) -> None:
    line = "é" * 49 + "\n"
    logged(tmp_path, line.encode() * 30_000 + b"\xff\xc3")

    done = subactors("logs", "00000001", root=tmp_path)

    assert done.stdout == line * 30_000 + "��"


def test_what_a_task_put_in_the_place_of_its_log_is_not_waited_for(tmp_path: Path) -> None:
    run = past_run(tmp_path, task_row(1))
    os.mkfifo(run / "log" / f"{ID}.log")

    done = subactors("logs", ID, root=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read: it is not a regular file" in done.stderr


@pytest.mark.parametrize("link", ["/etc/hostname", "../journal.sqlite"])
def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path, link: str) -> None:
    run = past_run(tmp_path, task_row(1))
    (run / "log" / f"{ID}.log").symlink_to(link)

    done = subactors("logs", ID, root=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read" in done.stderr


def test_a_crash_is_in_the_log(tmp_path: Path) -> None:
    team = {"agents": {"crash": {"entrypoint": "subactors.runtime.testing:segfault"}}, "runtime": {"standby": 0}}
    with Runtime.from_mapping(team, state_dir=tmp_path, standby=0) as runtime:
        view = run_and_wait(runtime, "crash")

    assert "Fatal Python error: Segmentation fault" in subactors("logs", view.id, root=tmp_path).stdout


@pytest.mark.parametrize(
    ("lines", "shown"), [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")], ids=str
)
def test_the_last_lines_are_printed_alone(tmp_path: Path, lines: int, shown: str) -> None:
    logged(tmp_path, b"one\ntwo\nthree\n")

    assert subactors("logs", ID, "--tail", lines, root=tmp_path).stdout == shown


def test_a_last_line_without_an_end_counts_too(tmp_path: Path) -> None:
    logged(tmp_path, b"one\ntwo")

    assert subactors("logs", ID, "-n", 1, root=tmp_path).stdout == "two"


def test_what_was_written_since_a_moment_begins_where_the_log_was_last_seen_before(tmp_path: Path) -> None:
    run = logged(tmp_path, b"one\ntwo\nthree\n")
    times = run / "log" / f"{ID}.log.times"
    times.write_text("1000.0 4\n2000.0 8\nnonsense\n")

    def shown(since: str) -> str:
        return subactors("logs", ID, "--since", since, root=tmp_path).stdout

    assert shown("1970-01-01T00:16:00") == "one\ntwo\nthree\n"
    assert shown("1970-01-01T00:16:40Z") == "two\nthree\n"
    assert shown("1970-01-01T01:33:20+01:00") == "three\n" == shown("1h")
    times.write_text("1000.0 9000\n2000.0 4\n")  # it was cut
    assert shown("1970-01-01T00:16:40Z") == "one\ntwo\nthree\n"
    os.utime(run / "log" / f"{ID}.log", (3000, 3000))
    assert shown("1h") == ""


def test_times_of_a_log_are_kept_when_its_task_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / f"{ID}.log"
    for size in (4, 8):  # nobody knows what was noted before the task had ended
        note_size(str(log), size, (0.0, 0))

    assert [line.split()[1] for line in Path(f"{log}.times").read_text().splitlines()] == ["4", "8"]


def test_a_log_is_followed_until_its_task_has_ended_and_its_times_are_noted(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path) as runtime:
        task = speaking(runtime, "writes_what_it_is_told", "first")
        with subprocess.Popen(
            command("logs", "-f", task, "--state-dir", tmp_path), stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            lines = [program.stdout.readline()]
            runtime.steer(task, "second")
            lines.append(program.stdout.readline())
            (noted,) = wait_for_value(lambda: list(tmp_path.glob(f"run_*/log/{task}.log.times")))
            runtime.stop([task])
            lines.append(program.stdout.read())

    assert lines == ["first\n", "second\n", ""]
    assert program.returncode == 0
    assert int(noted.read_text().split()[1]) in {6, 13}


def wait_for_value(look: Callable[[], list[Path]]) -> list[Path]:
    wait_until(look, "there is one", limit=30)
    return look()
