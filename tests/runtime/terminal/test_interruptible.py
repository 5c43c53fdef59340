"""What a signal does to a command that waits, and one that comes with it."""

from __future__ import annotations

import os
import subprocess
import sys

WAITS = """\
import signal
from concurrent.futures import Future
from subactors.runtime.terminal import interruptible

with interruptible.Interruptible() as work:
    signal.raise_signal(signal.SIGTERM)
    {between}
    signal.raise_signal(signal.SIGTERM)
    try:
        work.result_of(Future())
    except interruptible.Interrupted:
        print(work.status, work.cause)
"""


def run(between: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-c", WAITS.format(between=between)]
    return subprocess.run(program, env=environ, capture_output=True, text=True, timeout=50, check=False)


def test_a_signal_that_is_sent_to_a_command_and_to_its_group_counts_as_one() -> None:
    done = run("pass")

    assert (done.returncode, done.stdout) == (0, "143 the signal SIGTERM\n"), done.stderr


def test_one_that_comes_later_ends_the_command_at_once() -> None:
    done = run("interruptible._AS_ONE = 0.0")

    assert (done.returncode, done.stdout) == (-15, "")
