"""The cases of CPython's `test_concurrent_futures` that say what any executor does, on the executor of a runtime."""

from __future__ import annotations

import atexit
import importlib
from typing import Any

from subactors.runtime import Runtime, TaskExecutor

_SUITE = "test.test_concurrent_futures"

suite: Any = importlib.import_module(_SUITE)
if hasattr(suite, "__path__"):
    util, executor, wait, as_completed, shutdown = (
        importlib.import_module(f"{_SUITE}.{name}")
        for name in ("util", "executor", "test_wait", "test_as_completed", "test_shutdown")
    )
else:
    util = executor = wait = as_completed = shutdown = suite

runtime = Runtime(max_running=8, max_tasks=10_000)
# Its threads are there before a case counts any.
list(runtime.executor().map(abs, [1]))
atexit.register(runtime.close)


class Mixin(util.ExecutorMixin):  # type: ignore[misc]  # the suite has no types
    """Makes the executor of each case."""

    @staticmethod
    def executor_type(max_workers: int) -> TaskExecutor:
        """Return an executor of the one runtime."""
        return runtime.executor(max_workers)


class TaskExecutorTest(Mixin, executor.ExecutorTest, util.BaseTestCase):  # type: ignore[misc]
    """What `submit` and `map` do."""


class TaskExecutorWaitTest(Mixin, wait.WaitTests, util.BaseTestCase):  # type: ignore[misc]
    """What `concurrent.futures.wait` does with its futures."""


class TaskExecutorAsCompletedTest(Mixin, as_completed.AsCompletedTests, util.BaseTestCase):  # type: ignore[misc]
    """What `concurrent.futures.as_completed` does with its futures."""


class TaskExecutorShutdownTest(Mixin, shutdown.ExecutorShutdownTest, util.BaseTestCase):  # type: ignore[misc]
    """What `shutdown` does."""
