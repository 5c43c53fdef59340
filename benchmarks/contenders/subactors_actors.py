"""The actor layer of subactors alone: `ProcessActor` and `ProcessSystem`, without journal, tasks or teams."""

from __future__ import annotations

import inspect
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final

from subactors.actors import ActorProcess, ProcessActor, ProcessExit, ProcessLimits, ProcessSystem

from .. import work
from .base import Contender, Task

__all__ = ["Actors", "ActorsStandby"]

_STANDBY_PARAMETER: Final = "standby"
"""The parameter of `ProcessSystem` for how many processes stand by."""

_MEMORY_LIMIT: Final = work.LEAK // 2


class WorkActor(ProcessActor):
    """Does a piece of work as soon as it is there, and stops; idle work leaves it waiting in its mailbox."""

    def __init__(self, work_name: str, argument: str) -> None:
        super().__init__()
        self._work = work_name, argument

    def on_start(self) -> None:
        """Work, on the main thread of the process."""
        name, argument = self._work
        if name in {"idle", "echo"}:
            import openai  # noqa: PLC0415 - preloaded

            del openai
            self.supervisor.emit(str(os.getpid()))
        else:
            work.run(name, self.supervisor.emit, argument)
            self.stop()

    def on_receive(self, message: Any) -> Any:
        """Answer a message with itself."""
        return message


class _Task:
    """A piece of work, and the listener of its process; what the listener hears comes in the I/O thread."""

    def __init__(self) -> None:
        self.process: ActorProcess | None = None
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._how = ""

    def process_ready(self, process: ActorProcess) -> None:
        """Nothing to do."""

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        del process
        self._said.put(data.decode())

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """The work reports nothing."""

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """The work asks nothing."""

    def process_finished(self, process: ActorProcess) -> None:
        """The exit follows."""

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        del process
        self._how = "" if end.normal else str(end)
        self._ended.set()

    def first_message(self, timeout: float = 60.0) -> str:
        try:
            return self._said.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError("has said nothing") from None

    def outcome(self, timeout: float = 60.0) -> str:
        if not self._ended.wait(timeout):
            raise TimeoutError("still runs")
        return self._how

    def stop(self) -> None:
        assert self.process is not None  # noqa: S101 - set when it was started
        self.process.stop()
        if not self._ended.wait(2.0):
            self.process.kill()
            self.outcome()


class Actors(Contender):
    """`ProcessActor`, with `openai` preloaded in the zygote."""

    name = "actors"
    title = "subactors, actor layer"
    most_tasks_quick = 500
    standby: ClassVar[int] = 0

    def open(self, tasks: int = 1) -> None:
        """Make a process system and have it start one actor, so that all imports are done."""
        del tasks
        known = _STANDBY_PARAMETER in inspect.signature(ProcessSystem).parameters
        more: dict[str, Any] = {_STANDBY_PARAMETER: self.standby} if known else {}
        self._system = ProcessSystem(preload=["openai", __name__], **more)
        self.start("speak").outcome()

    def close(self) -> None:
        """End all."""
        self._system.close(grace=0.0)

    def start(self, name: str, argument: str = "") -> Task:
        """Spawn an actor that does the work."""
        task = _Task()
        limits = ProcessLimits(data_bytes=_MEMORY_LIMIT) if name == "leak" else None
        task.process = self._system.spawn(WorkActor, (name, argument), listener=task, limits=limits)
        return task

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Ask an actor, the ordinary way."""
        task = _Task()
        process = self._system.spawn(WorkActor, ("echo", ""), listener=task)
        reference = process.ready.result()

        def ask(message: bytes) -> bytes:
            answer: Any = reference.ask(message)
            return bytes(answer)

        return ask


class ActorsStandby(Actors):
    """The same, with processes forked ahead."""

    name = "actors-standby"
    title = "subactors, actor layer, standing by"
    standby = 4

    @classmethod
    def missing(cls) -> str:
        """Only where the parameter exists."""
        known = _STANDBY_PARAMETER in inspect.signature(ProcessSystem).parameters
        return "" if known else f"this version's ProcessSystem has no {_STANDBY_PARAMETER!r}"
