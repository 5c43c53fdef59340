"""Ray: an actor for each task, on a cluster of this machine that the host starts."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from .. import work
from ..processes import wait_gone
from .base import Contender, Task

__all__ = ["Ray"]

_AHEAD: Final = 64
"""Pieces that a generator may have made ahead of who takes them."""

_SOON: Final = 1.0
"""Seconds from which on an actor that is to hang does, so that it can answer before."""


class _Worker:
    """The actor. Its answers are its only words, so work that says something and stays is two calls here."""

    def __init__(self) -> None:
        import openai  # noqa: PLC0415 - Ray cannot preload it

        del openai

    def work(self, name: str, argument: str) -> str:
        """Do it, and return the first thing that it says, or its result."""
        said: list[str] = []
        if name in {"idle", "refuse"}:
            return str(os.getpid())
        if name == "parent":
            work.start_children()
            if argument == "hang":
                threading.Timer(_SOON, work.hang_in_c).start()
            return str(os.getpid())
        result = work.run(name, said.append, argument)
        return said[0] if said else result

    def echo(self, message: bytes) -> bytes:
        """Answer a message with itself."""
        return message

    def stream(self, pieces: int, length: int) -> Iterator[object]:
        """Say when that began, and so many pieces."""
        yield time.monotonic()
        for _ in range(pieces):
            yield "x" * length

    def where(self) -> int:
        """Return the id of its process."""
        return os.getpid()


class _Task:
    def __init__(self, ray: Any, actor: Any, answer: Any) -> None:
        self._ray = ray
        self.actor = actor
        self.answer = answer

    def first_message(self, timeout: float = 120.0) -> str:
        return str(self._ray.get(self.answer, timeout=timeout))

    def outcome(self, timeout: float = 120.0) -> str:
        try:
            self._ray.get(self.answer, timeout=timeout)
        except self._ray.exceptions.GetTimeoutError:
            raise TimeoutError("still runs") from None
        except Exception as error:  # noqa: BLE001 - whatever Ray says is its answer
            return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        return ""

    def stop(self) -> None:
        pid = None
        with contextlib.suppress(ValueError, self._ray.exceptions.RayError):  # it hangs, or is dead already
            pid = int(self.first_message(1.0))
        self._ray.kill(self.actor)
        if pid is not None:
            wait_gone(pid)


class Ray(Contender):
    """Ray actors that reserve no CPU, so that as many run as are asked for."""

    name = "ray"
    title = "Ray actors"
    distribution = "ray"
    most_tasks = 100
    most_tasks_quick = 10
    slow = True
    lead = 5.0

    def open(self, tasks: int = 1) -> None:
        """Start the cluster."""
        del tasks
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._ray: Any = importlib.import_module("ray")
        self._ray.init(
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=tempfile.gettempdir(),
            logging_level="ERROR",
        )
        self._worker = self._ray.remote(num_cpus=0)(_Worker)
        self._tasks: list[_Task] = []

    def close(self) -> None:
        """End the cluster."""
        self._ray.shutdown()

    def start(self, name: str, argument: str = "") -> Task:
        """Make an actor and call it."""
        actor = self._worker.remote()
        return self._keep(_Task(self._ray, actor, actor.work.remote(name, argument)))

    def wait_all(self, tasks: Sequence[Task], timeout: float = 300.0) -> None:
        """Wait for all at once."""
        answers = [task.answer for task in tasks if isinstance(task, _Task)]
        self._ray.get(answers, timeout=timeout)

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Call an actor's method."""
        actor = self._worker.remote()
        self._ray.get(actor.echo.remote(b""))

        def ask(message: bytes) -> bytes:
            answer: bytes = self._ray.get(actor.echo.remote(message))
            return answer

        return ask

    def output(self, pieces: int, length: int) -> float:
        """Take what a generator of an actor yields, which is bound in how far it may be ahead."""
        actor = self._worker.remote()
        self._ray.get(actor.where.remote())
        said = actor.stream.options(num_returns="streaming", _generator_backpressure_num_objects=_AHEAD)
        first, *arrived = (self._ray.get(piece) for piece in said.remote(pieces, length))
        began: float = first
        if len(arrived) != pieces:
            raise RuntimeError(f"{len(arrived)} of {pieces} pieces arrived.")
        return time.monotonic() - began

    def kill(self) -> float:
        """Kill an actor's process, and wait until a call of it is refused."""
        actor = self._worker.remote()
        pid = self._ray.get(actor.where.remote())
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while True:
            try:
                self._ray.get(actor.where.remote())
            except self._ray.exceptions.RayError:
                return time.monotonic() - began

    def _keep(self, task: _Task) -> _Task:
        self._tasks.append(task)  # an actor that nobody refers to is ended
        return task
