"""Programs that continue tasks for whoever watches: each tells of its own task, or why there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from subactors.runtime import RunError
from subactors.runtime.tasks.talk import LONGEST_LETTER
from subactors.runtime.watching import steering
from subactors.runtime.watching.resumed import Resumed

PATIENCE = 30.0


def test_each_of_many_that_cannot_go_on_says_why_whatever_it_was_told(tmp_path: Path) -> None:
    past_run(tmp_path, *(task_row(number, result=json.dumps("x")) for number in range(3)))
    resumed = Resumed(tmp_path)

    def why(number: int) -> str:
        with pytest.raises(RunError) as error:
            resumed.start(f"agent_task_{number:08x}", "ü" * LONGEST_LETTER if number else "")
        return str(error.value)

    with ThreadPoolExecutor() as pool:
        for number, said in enumerate(pool.map(why, range(3))):
            assert f"agent_task_{number:08x} had no team file" in said

    resumed.close()
    with pytest.raises(RunError, match="This program ends"):
        resumed.start("agent_task_00000001", "hello")


def test_of_a_program_that_says_very_much_its_task_is_found_and_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = '{"event":"started","task":{"id":"agent_task_1"'
    chatters = (
        f"print('a' * 9000); print({started!r}); [print('x' * 1_000_000) for _ in range(20)]; print('the end'); input()"
    )

    def chatter(*_: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-uc", chatters]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(steering, "continued_by", chatter)
    resumed = Resumed(tmp_path)
    assert resumed.start("agent_task_0", "") == "agent_task_1"
    (program,) = resumed._programs
    wait_until(lambda: program.why.endswith("the end"), "all was read", PATIENCE)
    assert len(program.why) < 10_000
    resumed.close()
    assert program.process.stdin is not None
    program.process.stdin.close()
    assert program.process.returncode is not None
