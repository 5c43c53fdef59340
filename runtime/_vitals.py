"""The vitals sampler: a thread that looks at the process trees of running tasks, and at their logs, now and then.

It never costs more than a small share of a core: the more there is to look at, the longer it rests.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from ._forks import unforked
from ._output import bound_log
from ._report import size
from ._team import Limits
from ._views import Vitals

__all__ = ["VitalsSampler", "Watch"]

_INTERVAL: Final = 1.0
"""Seconds between rounds of looks at all tasks, at least."""

_FIRST_LOOK: Final = 0.2
"""Seconds from the first task to the first look at one."""

_LIMITED_INTERVAL: Final = 0.1
"""Seconds between looks at tasks whose limits are held by looking."""

_LOG_INTERVAL: Final = 0.25
"""Seconds between looks at the sizes of logs, at least."""

_LOG_REST: Final = 1.0
"""Seconds between looks at the sizes of logs, at most: to cut one that grows fast takes long, and longer the later."""

_SHARE: Final = 0.004
_LOG_SHARE: Final = 0.002
"""Of one core, at most, for looks at trees and for looks at logs: after each there is a rest that makes up for it."""


class Watch(msgspec.Struct, frozen=True):
    """A task to look at.

    Attributes:
        pid: returns the id of its process, None while it has none; called in the sampler's thread.
        log: file that its processes write to; it is kept from growing too long.
        limits: what its tree may use; one with such limits is looked at more often.
        reached: is called with a sentence, in the sampler's thread, each time that a limit is found reached.
    """

    pid: Callable[[], int | None]
    log: str
    limits: Limits
    reached: Callable[[str], None]

    @property
    def is_limited(self) -> bool:
        """Whether a limit is held by looking."""
        return _is_limited(self.limits)


class VitalsSampler:
    """Samples what tasks use; `latest` may be called from any thread.

    Args:
        running: returns the running tasks by their id; called in the sampler's thread.
    """

    def __init__(self, running: Callable[[], Mapping[str, Watch]]) -> None:
        self._running = running
        self._latest: dict[str, Vitals] = {}
        self._before: dict[str, tuple[float, float]] = {}
        self._peaks: dict[str, int] = {}
        self._closed = threading.Event()
        self._started = threading.Event()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self, task_id: str) -> Vitals | None:
        """Return the last sample of a task; None if there is none yet."""
        return self._latest.get(task_id)

    def take_peak(self, task_id: str) -> int:
        """Return the largest memory sampled of a task that has ended, in bytes, and forget it; 0 if it had none."""
        return self._peaks.pop(task_id, 0)

    def task_started(self, limits: Limits) -> None:
        """Begin to sample, if that has not begun or has come to rest; a limited task is looked at soon.

        Others are not: a look goes through all tasks, and hundreds may start in one second.
        """
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="subactors-vitals", daemon=True)
            self._thread.start()
        self._started.set()
        if _is_limited(limits):
            self._wanted.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        self._started.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        # A short task alone does not pay for psutil, whose import takes as long as a start. A limited one cannot wait.
        self._wanted.wait(_FIRST_LOOK)
        if self._closed.is_set():
            return
        # Here, as the first sample would take so long with it that the second came many seconds later.
        with unforked:  # a process forked in the middle of it could never import psutil
            import psutil  # noqa: F401, PLC0415 - see `_sample_tree`

        while True:
            # Cleared before the look, so that a task that starts in between is not slept through, nor is the end.
            self._started.clear()
            if self._closed.is_set():
                return
            if self._running():
                self._work()
            else:
                self._latest, self._before = {}, {}
                self._started.wait()

    def _work(self) -> None:
        """Look at tasks until none runs: at each in its turn, with rests between, and at those that are limited often.

        Not at all at once: with hundreds of tasks that is a third of a second of computing, when they have just begun.
        """
        waiting: deque[str] = deque()
        next_round = next_look = next_limited = next_logs = 0.0
        while True:
            if self._wanted.is_set():
                next_limited = 0.0
            self._wanted.clear()
            running = self._running()
            if not running or self._closed.is_set():
                return
            now = time.monotonic()
            if not waiting and now >= next_round:
                self._forget_all_but(running)
                waiting.extend(running)
                next_round = now + _INTERVAL
            if waiting and now >= next_look:
                self._look_at(waiting.popleft(), running)
                next_look = _rested(now, _SHARE)
            limited = [task_id for task_id, watch in running.items() if watch.is_limited]
            if limited and now >= next_limited:
                for task_id in limited:
                    self._look_at(task_id, running)
                next_limited = now + _LIMITED_INTERVAL
            if now >= next_logs:
                began = time.monotonic()
                for watch in running.values():
                    bound_log(watch.log)
                rested = min(_rested(began, _LOG_SHARE), time.monotonic() + _LOG_REST)
                next_logs = max(now + _LOG_INTERVAL, rested)
            due = min(next_logs, next_look if waiting else next_round, *([next_limited] if limited else []))
            self._wanted.wait(max(0.0, due - time.monotonic()))

    def _forget_all_but(self, running: Mapping[str, Watch]) -> None:
        self._latest = {task_id: vitals for task_id, vitals in self._latest.items() if task_id in running}
        self._before = {task_id: entry for task_id, entry in self._before.items() if task_id in running}

    def _look_at(self, task_id: str, running: Mapping[str, Watch]) -> None:
        """Sample a task, if it still runs and has a process."""
        watch = running.get(task_id)
        pid = watch.pid() if watch is not None else None
        sample = _sample_tree(pid) if pid is not None else None
        if watch is None or sample is None:
            return
        now = time.monotonic()
        cpu_seconds, memory, processes = sample
        percent = None
        if task_id in self._before:
            then, cpu_then = self._before[task_id]
            percent = max(0.0, 100 * (cpu_seconds - cpu_then) / (now - then))
        self._before[task_id] = now, cpu_seconds
        self._peaks[task_id] = max(memory, self._peaks.get(task_id, 0))
        vitals = Vitals(cpu_percent=percent, cpu_seconds=cpu_seconds, memory_bytes=memory, processes=processes)
        self._latest[task_id] = vitals
        sentence = _reached(watch.limits, vitals)
        if sentence:
            watch.reached(sentence)


def _rested(began: float, share: float) -> float:
    """Return when work that has been done since a time, and is now over, has taken no more than its share."""
    now = time.monotonic()
    return now + (now - began) / share


def _is_limited(limits: Limits) -> bool:
    return limits.memory is not None or limits.processes is not None or limits.cpu is not None


def _reached(limits: Limits, vitals: Vitals) -> str:
    """Return the limit that a tree has reached, as a sentence; empty if none."""
    if limits.memory is not None and vitals.memory_bytes > limits.memory:
        return f"The limit memory of {size(limits.memory)} was reached: its tree used {size(vitals.memory_bytes)}."
    if limits.processes is not None and vitals.processes > limits.processes:
        return f"The limit processes of {limits.processes} was reached: its tree had {vitals.processes}."
    if limits.cpu is not None and vitals.cpu_seconds > limits.cpu:
        return (
            f"The limit cpu of {limits.cpu:g} s was reached: its tree had used {vitals.cpu_seconds:.1f} s of CPU time."
        )
    return ""


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
