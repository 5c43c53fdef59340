"""`concurrent.futures` over a `multiprocessing` context: until all workers are there, and a process for each task."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from .. import work
from ..results import Recorder
from .base import Scenario, Size, come_to_rest, pause

if TYPE_CHECKING:
    from ..contenders.base import Contender

__all__ = ["SCENARIO"]

_WORKERS: Final = (2, 8)
_TASKS: Final = 100

_SCRIPT: Final = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    if sys.argv[1] == "context":
        from subactors.actors import get_context
        context = get_context()
    else:
        context = multiprocessing.get_context(sys.argv[1])
    first = context.Process(target=int)  # so that the server is there
    first.start()
    first.join()
    time.sleep(0.5)
    began = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as executor:
        assert sum(executor.map(abs, range({TASKS}))) == sum(range({TASKS}))
    print(time.monotonic() - began, flush=True)
"""


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Make executors, one after the other, once the server that forks for them is there; then run the script."""
    contender.open()
    context: Any = contender.context()
    _up(context, 1)
    come_to_rest(contender)
    for _ in range(size.samples):
        for workers in _WORKERS:
            record.add("executor up", _up(context, workers), "s", tasks=workers)
            pause(contender)
    record.add("a process for each task", _a_process_for_each(contender.name), "s", tasks=_TASKS)


def _up(context: Any, workers: int) -> float:
    """Return the seconds until all workers of a new executor have met."""
    began = monotonic()
    barrier = context.Barrier(workers)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=work.expect, initargs=(barrier,)) as executor:
        assert len(set(executor.map(work.meet, range(workers)))) == workers  # noqa: S101 - or it measures something else
        return monotonic() - began


def _a_process_for_each(name: str) -> float:
    """Return the seconds that a script has for its tasks, which has nothing preloaded, as most scripts."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(_SCRIPT.replace("{TASKS}", str(_TASKS)))
        done = subprocess.run([sys.executable, str(script), name], stdout=subprocess.PIPE, text=True, check=True)
        return float(done.stdout)


SCENARIO = Scenario(
    "executors",
    "executors of N workers until all of them have met, and a process for each of 100 tasks of a script",
    measure,
    ("context", "forkserver", "spawn"),
    full=Size(rounds=5, samples=10),
    quick=Size(rounds=1, samples=3),
    limit=300.0,
)
