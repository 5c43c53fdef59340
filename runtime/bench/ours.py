"""Ours: the work as tasks of a `Runtime`, as a program has them that embeds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

from ..models.base import RATE_WAIT
from ..runs.reader import JournalReader
from ..runtime import Runtime
from ..tasks.events import TaskOutput
from ..tasks.views import TaskView
from ..team.config import NO_TEAM
from ..team.references import resolve
from ..teamfile.load import load_team
from ..verbs.streams import EventStream
from ..verbs.task import Task
from .work import FanOut, Span, Work

__all__ = ["Ours"]

Moment: TypeAlias = tuple[float, float | None, float | None]
Moments: TypeAlias = Mapping[str, Moment]


class _Runtime(Runtime):
    """A runtime whose journal is looked into: it has the moments of each task to the microsecond."""

    def be_ready(self) -> None:
        """Do what is done once for all tasks, as the first would, and let earlier runs be seen to."""
        self.submit(abs, -1).result()
        self._host.housekeeping.join()

    def moments(self) -> Moments:
        """Return by id when each task had its slot, was at work, and ended, in seconds since the epoch."""
        with JournalReader(self._host.folder.journal, live=True) as reader:
            return reader.moments()


class Ours:
    """See the module.

    Args:
        work: what is done.

    Raises:
        SubactorsError: it cannot be done here.
    """

    def __init__(self, work: Work) -> None:
        team = load_team(work.team) if work.team else NO_TEAM
        settings: dict[str, Any] = {
            "max_queued": max(team.settings.max_queued, work.most),
            "max_running": work.concurrency,
        }
        self._start = _starter(work)
        if not work.team:
            settings["preload"] = (work.function.partition(":")[0],)
        self._runtime = _Runtime(team, state_dir=work.state_dir, working_dir=work.working_dir, **settings)
        self._runtime.be_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runtime.close()

    def fan_out(self, tasks: int) -> FanOut:
        """Do the work as many times, all at once."""
        runtime = self._runtime
        with runtime.events() as events:
            said: dict[str, float] = {}
            listener = threading.Thread(target=_listen, args=(events, said), daemon=True)
            listener.start()
            began, epoch = time.monotonic(), time.time()
            started: list[tuple[Task, float]] = []
            for _ in range(tasks):
                asked = time.monotonic() - began
                started.append((self._start(runtime), asked))
            views = runtime.wait([task for task, _ in started])
            wall = time.monotonic() - began
        listener.join()
        moments = runtime.moments()
        spans = [
            _span(view, moments[view.id], asked=asked, epoch=epoch, said=_since(began, said.get(view.id)))
            for view, (_, asked) in zip(views, started, strict=True)
        ]
        return FanOut(
            wall=wall,
            spans=spans,
            input_tokens=sum(view.total_usage.input_tokens for view in views),
            output_tokens=sum(view.total_usage.output_tokens for view in views),
            cost=sum(view.total_usage.cost for view in views),
            rate_limits=sum(map(_rate_limits, views)),
        )


def _starter(work: Work) -> Callable[[Runtime], Task]:
    if work.team:
        return lambda runtime: runtime.run(work.agent, work.task)
    function = resolve(work.function, what="The function")
    return lambda runtime: runtime.submit(function, *work.args)


def _listen(events: EventStream, said: dict[str, float]) -> None:
    """Note when the first output of each task comes."""
    for event in events:
        if isinstance(event, TaskOutput):
            said.setdefault(event.task_id, time.monotonic())


def _span(view: TaskView, moment: Moment, *, asked: float, epoch: float, said: float | None) -> Span:
    slot, running, ended = moment
    # Its output may be heard before the supervisor has seen that it is at work.
    heard = [since for since in (_since(epoch, running), said) if since is not None]
    return Span(
        slot=asked if view.queued_at is None else max(asked, slot - epoch),
        began=min(heard, default=None),
        said=said,
        ended=(time.time() if ended is None else ended) - epoch,
        failure="" if view.status == "completed" else view.reason,
    )


def _since(began: float, moment: float | None) -> float | None:
    return None if moment is None else moment - began


def _rate_limits(view: TaskView) -> int:
    """Return how often a task was refused for a rate limit: each refusal that it waited for is a line of its output."""
    return view.output.count(f"[{RATE_WAIT}") + (view.error == "RateLimitError")
