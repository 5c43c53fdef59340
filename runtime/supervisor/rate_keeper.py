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

from ...actors import Timer
from ..models.rate_pace import RatePace
from ..tasks.gateway import ReplyTo
from ..tasks.messages import AwaitRate, RateTurn
from .doing import end_pause
from .messages import RateDue
from .task import Task

__all__ = ["RateKeeper"]

_MOST_MODELS: Final = 100
"""Models whose pace is kept. The one that was refused longest ago is forgotten for another."""

_MOST_MODELS_EACH: Final = 8
"""As `_MOST_MODELS`, of those that one caller was the first to name: it pushes out its own, and not those of others."""

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
        let_go: when the last task was let go.
        owner: id of who was the first to name it.
        timer: lets the next one go; None if none is running.
    """

    owner: str
    pace: RatePace = field(default_factory=RatePace)
    waiting: dict[str, tuple[ReplyTo, Task | None]] = field(default_factory=dict)
    let_go: dict[str, float] = field(default_factory=dict)
    timer: Timer | None = None


class RateKeeper:
    """See the module.

    Args:
        later: sends the supervisor a message after that many seconds.
    """

    def __init__(self, later: Callable[[float, RateDue], Timer]) -> None:
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
        server = _shared(request.server, task)
        queue = self._queue(server, caller)
        let_go = queue.let_go.pop(caller, None)
        if request.refused:
            # In this order, as what is not a number is greater than nothing.
            after = None if request.after is None else min(_LONGEST_AFTER, request.after)
            queue.pace.refuse(now, after, let_go)
        elif not queue.waiting and now - queue.pace.refused > _CALM:
            reply_to.set(RateTurn())
            return
        if (before := queue.waiting.pop(caller, None)) is not None:
            before[0].set(RateTurn())
        queue.waiting[caller] = reply_to, task
        if task is not None:
            task.rate_wait = request.model, now
        self._advance(server, queue, now)

    def due(self, server: str) -> None:
        """Let go who may go now; `RateDue` came."""
        queue = self._queues.get(server)
        if queue is not None:
            queue.timer = None
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
                end_pause(task)
            reply_to.set(RateTurn())
        if queue.waiting and queue.timer is None:
            queue.timer = self._later(max(0.0, queue.pace.next_time() - now), RateDue(server))

    def _queue(self, server: str, caller: str) -> _Queue:
        queue = self._queues.get(server)
        if queue is None:
            own = [name for name, known in self._queues.items() if known.owner == caller]
            if len(own) >= _MOST_MODELS_EACH:
                self._drop(own)
            elif len(self._queues) >= _MOST_MODELS:
                self._drop(list(self._queues))
            queue = self._queues[server] = _Queue(caller)
        return queue

    def _drop(self, servers: list[str]) -> None:
        """Forget that one of these servers which has refused longest ago; who waits for it may go."""
        dropped = self._queues.pop(min(servers, key=lambda name: self._queues[name].pace.refused))
        if dropped.timer is not None:
            dropped.timer.cancel()
        for reply_to, task in dropped.waiting.values():
            if task is not None:
                end_pause(task)
            reply_to.set(RateTurn())


def _shared(server: str, task: Task | None) -> str:
    """Return what a server is known by: one that is not seen to be a model's of the caller's is its agent's alone."""
    if task is None:
        return server
    # A name may hold variables that are known in the task's process only.
    if any("${" in model.name or server.endswith(f" {model.name}"[:200]) for model in task.setup.agent.models):
        return server
    return f"{task.agent}: {server}"
