"""What is left of a run whose host was killed, and of one that could not write.

`SUBACTORS_KILLS` is how many times a host is killed; four, if it is not set.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes_and_waits import GONE_WITHIN, wait_until
from subactors.runtime import Runtime
from subactors.runtime.runs.folder import RunFiles, runs
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.runs.reader import HOST_DIED, JournalReader
from teams import PATIENCE, entrypoint, run_and_wait, speaking

KILLS = int(os.environ.get("SUBACTORS_KILLS", "4"))
MARK = "SUBACTORS_TEST_RUN"

HOST = """
import json, sys, threading
from subactors.runtime import Runtime, TaskOutput

says, waits = {"entrypoint": "healthy_entrypoints:says_and_answers"}, {"entrypoint": "entrypoints:waits"}
team = {"agents": {"says": says, "waits": waits}}
runtime = Runtime.from_mapping(team, state_dir=sys.argv[1], max_running=50, max_tasks=100_000)
lock = threading.Lock()


def tell(*what):
    with lock:
        print(json.dumps(what), flush=True)


def follow():
    for event in runtime.events():
        if isinstance(event, TaskOutput):
            tell("output", event.task_id, event.text)


def work():
    number = 0
    while True:
        number += 1
        ids = [runtime.run("says", "die" if number % 5 == 0 else f"task {number}.{each}").id for each in range(3)]
        for task_id in ids:
            tell("started", task_id)
        for view in runtime.wait(ids):
            tell("ended", view.id, view.status, view.reason, view.result)


threading.Thread(target=follow, daemon=True).start()
for _ in range(4):
    tell("started", runtime.run("waits", "go").id)
workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
"""


class Told(NamedTuple):
    """What a host had said before it was killed."""

    started: list[str]
    ended: dict[str, tuple[str, str, Any]]
    output: dict[str, str]


def run_and_kill(state: Path, mark: str, after: int, pause: float) -> Told:
    """Run a host, kill it when it has said so many lines and a moment has passed, and return what it had said."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", HOST, str(state)],
        env={**os.environ, "PYTHONPATH": path, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        try:
            lines = [program.stdout.readline() for _ in range(after)]
            time.sleep(pause)
        finally:
            program.kill()
        wait_until_nothing_survives(mark, f"nothing is left of {state}")
        lines += program.stdout.readlines()
    said = [json.loads(line) for line in lines if line.endswith("\n")]
    assert len(said) >= after
    output: defaultdict[str, str] = defaultdict(str)
    for kind, task_id, *more in said:
        if kind == "output":
            output[task_id] += more[0]
    return Told(
        [task_id for kind, task_id, *_ in said if kind == "started"],
        {task_id: (more[0], more[1], more[2]) for kind, task_id, *more in said if kind == "ended"},
        output,
    )


def marked(mark: str) -> list[str]:
    """The processes, of this user at least, that were started with this mark in their environment."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (path / "environ").read_bytes():
                    found.append(f"{path.name} {(path / 'comm').read_text().strip()}")
    return found


def wait_until_nothing_survives(mark: str, what: str) -> None:
    """Return when there is no marked process any more."""
    wait_until(lambda: not marked(mark), what, limit=GONE_WITHIN)


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
def test_whatever_moment_a_host_is_killed_at_what_it_had_told_is_kept_and_nothing_survives(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted
    for number in range(KILLS):
        state, mark = tmp_path / str(number), uuid.uuid4().hex
        told = run_and_kill(state, mark, chance.randrange(1, 300), chance.random() * 0.02)
        (folder,) = runs(state)
        check(RunFiles(folder), told)


def check(run: RunFiles, told: Told) -> None:
    """What was told is in the journal and in the output files; what was not over is failed, its host died."""
    connection = sqlite3.connect(run.journal)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()
    with JournalReader(run.journal, live=False) as reader:
        kept = {view.id: view for task_id in reader.ids() if (view := reader.task(task_id)) is not None}
    assert set(told.started) <= set(kept)
    for task_id, (status, reason, result) in told.ended.items():
        view = kept[task_id]
        assert (view.status, view.reason, view.result) == (status, reason, result)
    for view in kept.values():
        assert view.ended
        if view.status == "completed":
            assert view.result == f"answer to {view.task}"
        elif view.reason != HOST_DIED:
            assert "exit status 3" in view.reason
    for task_id, text in told.output.items():
        assert OutputFiles.open(run.output, task_id).text().startswith(text)
        if kept[task_id].status == "completed":
            assert OutputFiles.open(run.output, task_id).size == kept[task_id].output_size
    died = [view for view in kept.values() if view.reason == HOST_DIED]
    assert {view.status for view in died} <= {"failed"}
    assert {view.agent for view in kept.values()} <= {"says", "waits"}
    assert [view.id for view in kept.values() if view.agent == "waits" and view.reason != HOST_DIED] == []


# --- a disk that takes nothing --------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Let this process write to no file beyond its first four kilobytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_tasks_go_on_when_nothing_can_be_written_and_it_is_told_once_and_made_up_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "subactors")
    names = ("waits_for_file", "floods", "echo")
    team = {"agents": {name: entrypoint(name) for name in names}}
    with Runtime.from_mapping(team, state_dir=tmp_path / "state", standby=0) as runtime:
        running = speaking(runtime, "waits_for_file", str(tmp_path / "end"))
        with no_room():
            (tmp_path / "end").touch()
            (ended,) = runtime.wait([running], timeout=PATIENCE)
            flooding = run_and_wait(runtime, "floods", "20")
            answers = [run_and_wait(runtime, "echo", str(number)).result for number in range(5)]
            listed = [view.status for view in runtime.list()]
        wait_until(lambda: not runtime._host.journal.failing, "the journal is written again", limit=PATIENCE)
        path = runtime._host.folder.journal
        kept_output = runtime.view(flooding.id).output

    assert (ended.status, ended.result) == ("completed", "the file is there")
    assert (flooding.status, flooding.result, flooding.output_size) == ("completed", "said", 20_000)
    assert "[The output could not be kept whole: " in flooding.output
    assert flooding.output.startswith("000000000 ")
    assert kept_output == flooding.output
    assert answers == ["0", "1", "2", "3", "4"]
    assert listed == ["completed"] * 7
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1, messages
    assert messages[0].startswith(f"The journal {path} cannot be written: ")
    with JournalReader(path, live=False) as reader:
        assert [view.status for view in reader.tasks()] == ["completed"] * 7
