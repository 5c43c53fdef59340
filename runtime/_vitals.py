"""The vitals sampler: a thread that looks at the process trees of running tasks now and then.

It never costs more than a small share of a core: the more there is to look at, the longer it rests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ._views import Vitals

__all__ = ["VitalsSampler"]

_INTERVAL: Final = 1.0
_LARGEST_SHARE: Final = 0.005
"""Of one core."""


class VitalsSampler:
    """Samples what tasks use; `latest` may be called from any thread.

    Args:
        running: returns the process id of each running task, by the task's id; called in the sampler's thread.
    """

    def __init__(self, running: Callable[[], Mapping[str, int]]) -> None:
        self._running = running
        self._latest: dict[str, Vitals] = {}
        self._before: dict[str, tuple[float, float]] = {}
        self._peaks: dict[str, int] = {}
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self, task_id: str) -> Vitals | None:
        """Return the last sample of a task; None if there is none yet."""
        return self._latest.get(task_id)

    def take_peak(self, task_id: str) -> int:
        """Return the largest memory sampled of a task that has ended, in bytes, and forget it; 0 if it had none."""
        return self._peaks.pop(task_id, 0)

    def task_started(self) -> None:
        """Begin to sample, if that has not begun or has come to rest."""
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="subactors-vitals", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        # Here, as the first sample would take so long with it that the second came many seconds later.
        import psutil  # noqa: F401, PLC0415 - see `_sample_tree`

        while not self._closed.is_set():
            started = time.monotonic()
            running = self._running()
            if not running:
                self._latest, self._before = {}, {}
                # Cleared before the look, so that a task that starts in between is not slept through.
                self._wanted.clear()
                if not self._running():
                    self._wanted.wait()
                continue
            self._sample(running)
            took = time.monotonic() - started
            self._closed.wait(max(_INTERVAL, took / _LARGEST_SHARE))

    def _sample(self, running: Mapping[str, int]) -> None:
        latest: dict[str, Vitals] = {}
        before: dict[str, tuple[float, float]] = {}
        for task_id, pid in running.items():
            sample = _sample_tree(pid)
            if sample is None:
                continue
            now = time.monotonic()
            cpu_seconds, memory, processes = sample
            percent = None
            if task_id in self._before:
                then, cpu_then = self._before[task_id]
                percent = max(0.0, 100 * (cpu_seconds - cpu_then) / (now - then))
            before[task_id] = now, cpu_seconds
            self._peaks[task_id] = max(memory, self._peaks.get(task_id, 0))
            latest[task_id] = Vitals(
                cpu_percent=percent, cpu_seconds=cpu_seconds, memory_bytes=memory, processes=processes
            )
        self._latest, self._before = latest, before


def _sample_tree(root: int) -> tuple[float, int, int] | None:
    """Return CPU seconds, unique set size in bytes and number of processes of a tree; None if it is gone."""
    import psutil  # noqa: PLC0415 - importing it costs more than a host that never samples should pay

    cpu_seconds, memory, processes = 0.0, 0, 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                cpu_seconds += times.user + times.system + times.children_user + times.children_system
                memory += process.memory_full_info().uss
            processes += 1
            # psutil finds children by looking at every process of the machine; the kernel keeps them by thread.
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting.extend(int(child) for child in children.read_text().split())
        except (psutil.Error, OSError):
            continue  # ended meanwhile
    return (cpu_seconds, memory, processes) if processes else None
