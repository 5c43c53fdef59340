"""Looker: the thread that looks at trees and logs for `sampler`, at each in turn, and at limited ones often.

The less there is to look at, the less it rests. Whatever goes wrong in a look costs that look only.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from ..runs.log_times import note_size
from ..runs.output import bound_log
from ..tasks.views import Vitals
from ..tasks.wording import size
from ..team.config import Limits
from .proc import ProcReader
from .ring import Ring
from .trees import Machine, Tree, TreeUse

__all__ = ["Board", "Looker", "Watch", "Work", "is_limited", "say"]

logger = logging.getLogger("subactors.runtime")

_INTERVAL: Final = 1.0
"""Seconds between rounds of looks at all tasks, at least."""

_FIRST_LOOK: Final = 0.2
"""Seconds from the first task to the first look at one."""

_LIMITED_INTERVAL: Final = 0.1
"""Seconds between looks at tasks whose limits are held by looking, unless one grows so fast that it is there before."""

_SHORTEST: Final = 0.01
"""Seconds between looks at a task that grows fast, at least."""

_LONGEST: Final = 2.0
"""Seconds between looks at a limited task, at most, however long they take and however many there are."""

_AGAIN: Final = 0.005
"""Seconds until a tree that uses too much is looked at again: a process that is just being started shows all of its
parent's memory as its own, for a millisecond or so (`vfork`)."""

_LOG_INTERVAL: Final = 0.25
"""Seconds between looks at the sizes of logs, at least."""

_LOG_REST: Final = 1.0
"""Seconds between looks at the sizes of logs, at most: to cut one that grows fast takes long, and longer the later."""

_SHARE: Final = 0.004
_WATCHED_SHARE: Final = 0.02
_LOG_SHARE: Final = 0.002
_LIMITED_SHARE: Final = 0.1
"""Of one core, at most, for looks at trees, at logs, and for all looks that hold limits: after each there is a rest
that makes up for it. The second is for looks at trees while somebody watches."""

_WATCHED: Final = 2.0
"""Seconds for which somebody who has looked at all tasks watches them."""

Work: TypeAlias = tuple[str, str]
"""What the thread is at: "log" and a file, or "tree" and a task's id."""


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
        return is_limited(self.limits)


class Board:
    """Board: shared by the sampler and its threads; any thread may use it.

    Attributes:
        running: see `VitalsSampler`.
        reader: reads `/proc`.
        stuck: what looks hang at, and how many do.
        trouble: why no task can be looked at; empty if they can.
        rings: the latest samples of each task.
        failed: why a task could not be looked at the last time, by its id.
        watched_at: when somebody watched all tasks for the last time.
    """

    def __init__(self, running: Callable[[], Mapping[str, Watch]]) -> None:
        self.running = running
        self.reader = ProcReader()
        self.latest: dict[str, Vitals] = {}
        self.peaks: dict[str, int] = {}
        self.rings: dict[str, Ring] = {}
        self.closed = threading.Event()
        self.started = threading.Event()
        self.wanted = threading.Event()
        self.stuck: Counter[Work] = Counter()
        self.trouble = ""
        self.failed: dict[str, str] = {}
        self.watched_at = float("-inf")


class _Seen(msgspec.Struct):
    """Memory of a task from look to look; times are as `time.monotonic` has them.

    Attributes:
        cpu: when its CPU time was last taken for its share of a core, and what it was.
        bound: when it was last found what it uses no more than, and that.
        exact: the bound when its memory was last measured; 0 if it was not.
        pause: seconds until it is to be looked at for its limits again.
        due: when that is.
    """

    tree: Tree
    cpu: tuple[float, float] | None = None
    bound: tuple[float, int] = (0.0, 0)
    exact: int = 0
    pause: float = _LIMITED_INTERVAL
    due: float = 0.0


class Looker(threading.Thread):
    """The thread.

    Attributes:
        step: grows with each piece of work.
        doing: what it is at; None while it rests.
        given_up: what it hung at so long that another has taken its place; None while it has not.
    """

    def __init__(self, board: Board) -> None:
        super().__init__(name="subactors-vitals", daemon=True)
        self._board = board
        self._machine = Machine(board.reader)
        self._seen: dict[str, _Seen] = {}
        self._logs: dict[str, tuple[float, int]] = {}  # what was last noted of each
        self.step = 0
        self.doing: Work | None = None
        self.given_up: Work | None = None

    @property
    def _is_over(self) -> bool:
        return self.given_up is not None or self._board.closed.is_set()

    def run(self) -> None:
        """Look at tasks until the end."""
        board = self._board
        try:
            # A short task alone does not pay for a look. A limited one cannot wait.
            board.wanted.wait(_FIRST_LOOK)
            while not self._is_over:
                # Cleared before the look, so that a task that starts in between is not slept through, nor is the end.
                board.started.clear()
                try:
                    if board.running():
                        self._work()
                    else:
                        board.latest, board.rings, self._seen = {}, {}, {}
                        if not board.closed.is_set():
                            board.started.wait()
                except Exception as error:  # noqa: BLE001 - whatever it is, limits are to be held
                    say("Looks at tasks failed (%r), and go on.", error)
                    board.closed.wait(_LIMITED_INTERVAL)
        finally:
            if self.given_up is not None:
                board.stuck[self.given_up] -= 1

    def _work(self) -> None:
        """Look at tasks until none runs: at each in its turn, with rests between, and at those that are limited often.

        Not at all at once: with hundreds of tasks that is a third of a second of computing, when they have just begun.
        """
        board = self._board
        waiting: deque[str] = deque()
        next_round = next_look = next_logs = 0.0
        while not self._is_over:
            board.wanted.clear()
            running = board.running()
            if not running or self._is_over:
                return
            now = time.monotonic()
            if not waiting and now >= next_round:
                self._forget_all_but(running)
                waiting.extend(running)
                next_round = now + _INTERVAL
            while waiting and waiting[0] not in running:
                waiting.popleft()  # with hundreds that have ended, a rest for each would be as many looks at all others
            if waiting and now >= next_look:
                began = time.thread_time()  # on a machine that is busy with other things, looks take longer, not more
                self._try_to_look(waiting.popleft(), running, shows=True)
                is_watched = time.monotonic() - board.watched_at < _WATCHED
                share = _WATCHED_SHARE if is_watched else _SHARE
                next_look = time.monotonic() + (time.thread_time() - began) / share
            next_limited = self._look_at_limited(running)
            if now >= next_logs:
                began = time.monotonic()
                self._bound_logs(running)
                rested = min(_rested(began, _LOG_SHARE), time.monotonic() + _LOG_REST)
                next_logs = max(now + _LOG_INTERVAL, rested)
            due = min(next_logs, next_look if waiting else next_round, next_limited)
            board.wanted.wait(max(0.0, due - time.monotonic()))

    def _forget_all_but(self, running: Mapping[str, Watch]) -> None:
        board = self._board
        board.latest = {task_id: vitals for task_id, vitals in board.latest.items() if task_id in running}
        board.rings = {task_id: ring for task_id, ring in board.rings.items() if task_id in running}
        board.failed = {task_id: fault for task_id, fault in board.failed.items() if task_id in running}
        self._seen = {task_id: seen for task_id, seen in self._seen.items() if task_id in running}

    def _bound_logs(self, running: Mapping[str, Watch]) -> None:
        """Keep logs from growing too long, and note which have grown."""
        self._logs = {task_id: self._logs[task_id] for task_id in running if task_id in self._logs}
        for task_id, watch in running.items():
            if self._is_over:
                return
            work = ("log", watch.log)
            if self._board.stuck[work] <= 0:
                with self._at(work), contextlib.suppress(OSError):
                    length = bound_log(watch.log)
                    self._logs[task_id] = note_size(watch.log, length, self._logs.get(task_id, (0.0, 0)))

    def _look_at_limited(self, running: Mapping[str, Watch]) -> float:
        """Look at those limited tasks that are due; return when the next one is."""
        limited = [task_id for task_id, watch in running.items() if watch.is_limited]
        for task_id in limited:
            if self._is_over:
                break
            seen = self._seen.get(task_id)
            if seen is not None and time.monotonic() < seen.due:
                continue
            began = time.thread_time()
            self._try_to_look(task_id, running, shows=False)
            cost = (time.thread_time() - began) * len(limited) / _LIMITED_SHARE
            seen = self._seen.get(task_id)
            if seen is not None:
                seen.due = time.monotonic() + min(_LONGEST, max(cost, seen.pause))
        now = time.monotonic()
        dues = [seen.due if (seen := self._seen.get(task_id)) else now + _LIMITED_INTERVAL for task_id in limited]
        return min(dues, default=float("inf"))

    def _try_to_look(self, task_id: str, running: Mapping[str, Watch], *, shows: bool) -> None:
        """Look at a task; if that cannot be done it is said, and tried again the next time."""
        board = self._board
        watch = running.get(task_id)
        work = ("tree", task_id)
        if watch is None:
            return
        if board.stuck[work] > 1:  # also without waiting for locks it hung
            board.failed[task_id] = "a look at it hangs"
            return
        try:
            with self._at(work):
                self._look_at(task_id, watch, shows=shows)
        except Exception as error:  # noqa: BLE001 - costs this look, whatever it is
            if self._is_over:
                return
            fault = str(error) or type(error).__name__
            if task_id not in board.failed:
                say("Task %s cannot be looked at, and its limits not be held for now: %s", task_id, fault)
            board.failed[task_id] = fault
        else:
            if not self._is_over and board.failed.pop(task_id, ""):
                say("Task %s can be looked at again.", task_id)

    @contextlib.contextmanager
    def _at(self, work: Work) -> Iterator[None]:
        self.step += 1
        self.doing = work
        try:
            yield
        finally:
            self.doing = None

    def _look_at(self, task_id: str, watch: Watch, *, shows: bool) -> None:
        """Sample a task, if it still has a process.

        Args:
            task_id: its id.
            watch: what is known of it.
            shows: whether the sample is to be shown, or else to hold limits.
        """
        pid = watch.pid()
        if pid is None:
            return
        seen = self._seen.setdefault(task_id, _Seen(Tree(self._machine)))
        seen.tree.waits = self._board.stuck["tree", task_id] <= 0
        limit = watch.limits.memory
        exact_from = (
            0.0 if shows or not seen.exact else float("inf") if limit is None else min(limit, seen.exact * 4) / 2
        )
        use = seen.tree.look(pid, exact_from)
        if (
            use is not None
            and use.memory is not None
            and limit is not None
            and use.memory > limit
            and use.processes > 1
        ):
            time.sleep(_AGAIN)
            use = seen.tree.look(pid, exact_from)
        if use is None or self._is_over:
            return
        if limit is not None:
            now = time.monotonic(), use.bound
            seen.pause, seen.bound = _pause(limit, seen.bound, now), now
        vitals = self._vitals(task_id, seen, use, shows=shows)
        self._board.latest[task_id] = vitals
        if shows:
            ring = self._board.rings.setdefault(task_id, Ring())
            ring.add(time.time(), vitals.cpu_percent or 0.0, vitals.memory_bytes)
        sentence = _reached(watch.limits, vitals)
        if sentence:
            watch.reached(sentence)

    def _vitals(self, task_id: str, seen: _Seen, use: TreeUse, *, shows: bool) -> Vitals:
        now = time.monotonic()
        before = self._board.latest.get(task_id, Vitals())
        percent = before.cpu_percent
        if shows or seen.cpu is None:
            if seen.cpu is not None:
                then, cpu_then = seen.cpu
                percent = max(0.0, 100 * (use.cpu_seconds - cpu_then) / (now - then))
            seen.cpu = now, use.cpu_seconds
        memory = before.memory_bytes if use.memory is None else use.memory
        if use.memory is not None:
            seen.exact = max(1, use.bound)
        self._board.peaks[task_id] = max(memory, self._board.peaks.get(task_id, 0))
        return Vitals(
            cpu_percent=percent,
            cpu_seconds=use.cpu_seconds,
            memory_bytes=memory,
            processes=use.processes,
            note=f"Not seen: {use.unseen}." if use.unseen else "",
        )


def _pause(limit: int, before: tuple[float, int], now: tuple[float, int]) -> float:
    """Return how long to rest before a tree is looked at again: shorter where it may reach its limit by then."""
    grown, elapsed = now[1] - before[1], now[0] - before[0]
    if grown <= 0 or not before[0]:
        return _LIMITED_INTERVAL
    return min(_LIMITED_INTERVAL, max(_SHORTEST, (limit - now[1]) / (2 * grown) * elapsed))


def _rested(began: float, share: float) -> float:
    """Return when work that has been done since a time, and is now over, has taken no more than its share."""
    now = time.monotonic()
    return now + (now - began) / share


def is_limited(limits: Limits) -> bool:
    """Whether a limit is held by looking."""
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


def say(text: str, *values: object) -> None:
    """Log a line, if that can be done."""
    with contextlib.suppress(Exception):
        logger.warning(text, *values)
