"""Cases of CPython's own suites of `multiprocessing` and `concurrent.futures`, on the context.

The most telling ones; `SUBACTORS_CPYTHON=1 pytest -m ''` runs all of them, as `python tests/cpython_suite/run.py` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[2] / "cpython_suite" / "run.py"
NO_SUITE = 77

CHOSEN = [
    ["WithProcessesTestQueue.*", "WithProcessesTestSimpleQueue.*", "TestSimpleQueue.*"],
    ["WithProcessesTestLock.*", "WithProcessesTestSemaphore.*", "WithProcessesTestEvent.*"],
    ["WithProcessesTestValue.*", "WithProcessesTestArray.*", "WithProcessesTestHeap.*", "WithProcessesTestSharedC*"],
    ["WithProcessesTestConnection.*", "WithProcessesTestListener*", "WithProcessesTestPicklingConnections.*"],
    ["WithProcessesTestProcess.test_[a-k]*", "WithProcessesTestSubclassingProcess.*", "WithProcessesTestFinalize.*"],
    ["WithProcessesTestSharedMemory.*", "WithProcessesTestManagerRestart.*", "WithManagerTestContainers.*"],
    ["--executors", "*InitializerTest.*", "*ProcessPoolExecutorTest.*", "*ProcessPoolAsCompletedTest*"],
    ["--tasks", "*"],
    ["WithProcessesTestPoolWorker*", "TestStdinBadfiledescriptor.*", "TestCloseFds.*", "TestResourceTracker.*"],
]
GROUPS = [["*"], ["--executors", "*"], ["--tasks", "*"]] if os.environ.get("SUBACTORS_CPYTHON") else CHOSEN


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("patterns", GROUPS, ids=lambda patterns: patterns[0].lstrip("-"))
def test_cases_of_cpython_hold(patterns: list[str]) -> None:
    options = [pattern for pattern in patterns if pattern.startswith("--")]
    chosen = [f"-k{pattern}" for pattern in patterns if pattern not in options]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(RUNNER), *options, *chosen], capture_output=True, text=True, check=False
    )
    if done.returncode == NO_SUITE:
        pytest.skip(done.stderr.strip())

    print(done.stdout)
    assert done.returncode == 0, done.stderr[-20_000:]
    assert not done.stdout.startswith("0 passed")
