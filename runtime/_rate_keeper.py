"""Rate keeper: lets the tasks of a host take turns at a model whose rate limit they have met.

Tasks know nothing of each other, so without it they would all come back in the same moment. It belongs to the
supervisor and runs in its thread only. It never waits: a request is kept, and answered when its turn has come. A task
that never met a limit never asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ._internal_messages import RateDue
from ._messages import AwaitRate, RateTurn
from ._rate_pace import RatePace
from ._supervisor_messages import ReplyTo
from ._task import Task

__all__ = ["RateKeeper"]

_MOST_MODELS: Final = 100
"""Models whose pace is kept. The one that was refused longest ago is forgotten for another."""

_LONGEST_AFTER: Final = 3600.0
"""Seconds that a task may say its server has asked for."""

_CALM: Final = 120.0
"""Seconds without a refusal after which requests go at once again."""


@dataclass(eq=False)
class _Queue:
    """The tasks that wait for one model, first come first.

    Attributes:
        pace: when the next one may go.
        waiting: where the answers go, by the id of who waits.
        let_go: when whoever was let go last time was let go.
        is_timed: whether a timer is running.
    """

    pace: RatePace = field(default_factory=RatePace)
    waiting: dict[str, tuple[ReplyTo, Task | None]] = field(default_factory=dict)
    let_go: dict[str, float] = field(default_factory=dict)
    is_timed: bool = False


class RateKeeper:
    """See the module.

    Args:
        later: sends the supervisor a message after so many seconds.
    """

    def __init__(self, later: Callable[[float, RateDue], object]) -> None:
        self._later = later
        self._queues: dict[str, _Queue] = {}

    @property
    def waiting(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [reply_to for queue in self._queues.values() for reply_to, _ in queue.waiting.values()]

    def ask(self, request: AwaitRate, caller: str, task: Task | None, reply_to: ReplyTo) -> None:
        """Answer when the caller may send its next request.

        Args:
            request: what it asks.
            caller: its id; of several requests of one caller only the last is kept.
            task: the caller, if it is a task: it is noted there that it waits.
            reply_to: where the answer goes.
        """
        now = time.monotonic()
        queue = self._queue(request.server)
        let_go = queue.let_go.pop(caller, None)
        if request.refused:
            after = None if request.after is None else min(request.after, _LONGEST_AFTER)
            queue.pace.refuse(now, after, let_go)
        elif not queue.waiting and now - queue.pace.refused > _CALM:
            reply_to.set(RateTurn())
            return
        if (before := queue.waiting.pop(caller, None)) is not None:
            before[0].set(RateTurn())
        queue.waiting[caller] = reply_to, task
        if task is not None:
            task.rate_wait = request.model, now
        self._advance(request.server, queue, now)

    def due(self, server: str) -> None:
        """Let go who may go now; `RateDue` came."""
        queue = self._queues.get(server)
        if queue is not None:
            queue.is_timed = False
            self._advance(server, queue, time.monotonic())

    def forget(self, caller: str) -> None:
        """Forget a task whose process has ended."""
        for queue in self._queues.values():
            queue.let_go.pop(caller, None)
            if (entry := queue.waiting.pop(caller, None)) is not None and entry[1] is not None:
                entry[1].rate_wait = None

    def _advance(self, server: str, queue: _Queue, now: float) -> None:
        while queue.waiting and queue.pace.next_time() <= now:
            caller = next(iter(queue.waiting))
            reply_to, task = queue.waiting.pop(caller)
            queue.pace.let_go(now)
            queue.let_go[caller] = now
            if task is not None:
                task.rate_wait = None
            reply_to.set(RateTurn())
        if queue.waiting and not queue.is_timed:
            queue.is_timed = True
            self._later(max(0.0, queue.pace.next_time() - now), RateDue(server))

    def _queue(self, server: str) -> _Queue:
        queue = self._queues.get(server)
        if queue is None:
            if len(self._queues) >= _MOST_MODELS:
                longest_ago = min(self._queues, key=lambda name: self._queues[name].pace.refused)
                for reply_to, _ in self._queues.pop(longest_ago).waiting.values():
                    reply_to.set(RateTurn())
            queue = self._queues[server] = _Queue()
        return queue
