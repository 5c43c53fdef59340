"""subactors as users have it: `Runtime`, with its journal, supervision, limits and vitals all on."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from time import monotonic
from typing import Any, ClassVar, Final

import msgspec
from subactors.runtime import EventStream, Runtime, Settings, TaskEnded, TaskOutput

from .. import work
from .base import Contender, Task

__all__ = ["STANDBY_SETTING", "Subactors", "SubactorsStandby", "team"]

STANDBY_SETTING: Final = "standby"
"""The setting of `Runtime` for how many processes stand by."""

_STANDBY: Final = 4

_AGENTS: Final = frozenset({"leak", "asks"})
"""Plain work that has an agent of its own, of the same name."""

_MEMORY_LIMIT: Final = f"{work.LEAK // 2_000_000}MB"
"""Of the leaking task, half of what it would take."""


def team(base_url: str = "http://127.0.0.1:9/v1") -> dict[str, Any]:
    """Return the team: an agent for all plain work, one with a limit, one that has tasks, two with a model.

    The model is at `base_url`. That there are agents with a model is what has the zygote import `openai`.
    """
    return {
        "runtime": {"preload": ["benchmarks.work"]},
        "agents": {
            "worker": {"entrypoint": "benchmarks.work:serve"},
            "leak": {"entrypoint": "benchmarks.work:serve", "limits": {"memory": _MEMORY_LIMIT}},
            "asks": {"entrypoint": "benchmarks.work:serve", "sub_agents": ["worker"]},
            "llm": {"model": "answer", "instruction": "Answer."},
            "llm_idle": {"model": "hold", "instruction": "Answer.", "toolsets": [{"type": "think"}]},
        },
        "models": {
            name: {"provider": "openai", "model": name, "base_url": base_url, "token_key": "SUBACTORS_BENCHMARK_KEY"}
            for name in ("answer", "hold")
        },
    }


class _Task:
    def __init__(self, contender: Subactors, task_id: str) -> None:
        self._contender = contender
        self.id = task_id

    def first_message(self, timeout: float = 60.0) -> str:
        del timeout  # the stream of events has none; the program that measures has
        return self._contender.first_output(self.id)

    def outcome(self, timeout: float = 60.0) -> str:
        views = self._contender.runtime.wait([self.id], timeout=timeout)
        if not views:
            raise TimeoutError("still runs")
        return views[0].reason

    def stop(self) -> None:
        self._contender.runtime.stop(self.id)[0]


class Subactors(Contender):
    """The runtime, without processes that stand by."""

    name = "subactors"
    title = "subactors"
    most_tasks_quick = 500
    standby: ClassVar[int] = 0

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._events: EventStream | None = None
        self._said: dict[str, str] = {}

    @property
    def runtime(self) -> Runtime:
        """The open runtime."""
        assert self._runtime is not None, "open() comes first"  # noqa: S101 - a mistake of a scenario
        return self._runtime

    def open(self, tasks: int = 1, *, base_url: str = "http://127.0.0.1:9/v1", **settings: Any) -> None:
        """Make a runtime, and have it run one task, so that all imports are done.

        Its state folder is the environment's, which the runner sets for each host.
        """
        if STANDBY_SETTING in _settings():
            settings.setdefault(STANDBY_SETTING, self.standby)
        room = {"max_running": tasks + 2, "max_tasks": max(tasks * 2, 1000), **settings}
        self._runtime = Runtime.from_mapping(team(base_url), **room)
        self.wait_all([self.start("speak")])

    def close(self) -> None:
        """Close the runtime."""
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    def listen(self) -> None:
        """Begin to follow events; before that `first_message` knows nothing."""
        if self._events is None:
            self._events = self.runtime.events()

    def start(self, name: str, argument: str = "") -> Task:
        """Run a task."""
        if name in {"llm", "llm_idle"}:
            return _Task(self, self.runtime.run(name, "Answer.").id)
        return _Task(self, self.start_id(name, argument))

    def start_id(self, name: str, argument: str = "") -> str:
        """Run a plain task, and return its id."""
        return self.runtime.run(name if name in _AGENTS else "worker", f"{name} {argument}").id

    def wait_all(self, tasks: Sequence[Task], timeout: float = 300.0) -> None:
        """Wait with one call."""
        ids = [task.id for task in tasks if isinstance(task, _Task)]
        views = self.runtime.wait(ids, timeout=timeout)
        failed = [view.reason for view in views if view.status != "completed"]
        if failed or len(views) < len(ids):
            raise RuntimeError(f"{len(ids) - len(views)} of {len(ids)} tasks did not end; failed: {failed[:3]}")

    def map(self, count: int, chunksize: int) -> None:
        """Map, as users do."""
        if list(self.runtime.map(work.give_back, range(count), chunksize=chunksize)) != list(range(count)):
            raise RuntimeError("The results are not those of the function.")

    def first_output(self, task_id: str) -> str:
        """Follow the events up to the first thing that a task says."""
        if task_id in self._said:
            return self._said.pop(task_id)
        assert self._events is not None, "listen() comes first"  # noqa: S101 - a mistake of a scenario
        for event in self._events:
            if isinstance(event, TaskOutput):
                if event.task_id == task_id:
                    return event.text
                self._said.setdefault(event.task_id, event.text)
            elif isinstance(event, TaskEnded) and event.task.id == task_id:
                raise RuntimeError(f"The task ended without a word: {event}")
        raise RuntimeError("The runtime was closed.")

    def stream(self, pieces: int) -> float:
        """Into the journal's files: the bound is set so that all of it is kept."""
        return self.output(pieces, len(work.PIECE))

    def output(self, pieces: int, length: int) -> float:
        """As `stream`."""
        task = self.runtime.run("worker", f"stream {pieces} {length}")
        took = -float(task.result()) + monotonic()  # no view yet: that reads all of it back
        view = task.view()
        if view.output_size != pieces * length:
            raise RuntimeError(f"{view.output_size} bytes arrived: {view.status} {view.reason}")
        return took

    def kill(self) -> float:
        """Kill an idle task's process, which is on this machine wherever the host thinks that it is."""
        task_id = self.start_id("idle")
        pid = int(self.first_output(task_id))
        began = monotonic()
        os.kill(pid, signal.SIGKILL)
        (view,) = self.runtime.wait([task_id])
        took = monotonic() - began
        if "SIGKILL" not in view.reason:
            raise RuntimeError(f"A killed task ended otherwise: {view.reason}")
        return took


class SubactorsStandby(Subactors):
    """The runtime, with a few processes forked ahead."""

    name = "subactors-standby"
    title = "subactors, processes standing by"
    standby = _STANDBY

    @classmethod
    def missing(cls) -> str:
        """Only where the setting exists."""
        return "" if STANDBY_SETTING in _settings() else f"this version has no setting {STANDBY_SETTING!r}"


def _settings() -> list[str]:
    return [field.name for field in msgspec.structs.fields(Settings)]
