"""What a test hears of an actor's process in the host: from its listener, or from a supervisor."""

from __future__ import annotations

import contextlib
import functools
import queue
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import pykka
from speaking_actors import Answering, Counting, Question, Saying
from subactors.actors import (
    ActorProcess,
    Child,
    ChildSpec,
    ProcessActor,
    ProcessExit,
    ProcessSystem,
    ReplyAddress,
    StartChild,
    StopChild,
    Supervisor,
)

__all__ = [
    "PATIENCE",
    "Heard",
    "Listener",
    "RecordingSupervisor",
    "Started",
    "Supervision",
    "pid_of",
    "proxy",
    "supervision",
]

PATIENCE = 30.0
"""Seconds to wait for something that must come."""


class Heard(NamedTuple):
    """One event: of whom, and what came with it."""

    who: ActorProcess
    event: str
    what: Any = None


class Listener:
    """Takes down what it is told; everything arrives in the I/O thread.

    Attributes:
        reference: to the actor, once its process is ready.
    """

    reference: pykka.ActorRef[Any]

    def __init__(self) -> None:
        self.heard: queue.Queue[Heard] = queue.Queue()

    def process_ready(self, process: ActorProcess) -> None:
        self.reference = process.actor.actor_ref
        self.heard.put(Heard(process, "ready"))

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        self.heard.put(Heard(process, "output", data))

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        self.heard.put(Heard(process, "report", body))
        process.handled()

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        self.heard.put(Heard(process, "request", (request_id, body)))
        process.handled()

    def process_finished(self, process: ActorProcess) -> None:
        self.heard.put(Heard(process, "finished"))

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        self.heard.put(Heard(process, "ended", end))

    def wait_for(self, event: str) -> Any:
        """Return what came with the next such event; others are passed over."""
        return _wait_for(self.heard, event)


class Started:
    """An actor that was started without a supervisor, and everything that is heard of its process."""

    def __init__(
        self,
        system: ProcessSystem,
        actor_class: type[ProcessActor],
        *args: Any,
        capture: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.listener = Listener()
        self.process = system.spawn(actor_class, args, listener=self.listener, capture=capture, environ=environ)
        self.process.ready.result(PATIENCE)
        self.reference = self.listener.reference

    @functools.cached_property
    def proxy(self) -> Any:
        """A proxy of the actor; raises ActorDeadError if it is dead by now."""
        return self.reference.proxy()

    def wait_for_end(self) -> ProcessExit:
        """Return how the process ended, once it has."""
        end: ProcessExit = self.listener.wait_for("ended")
        return end


class RecordingSupervisor(Supervisor):
    """Takes down what becomes of its children, and answers their questions as the test wants it."""

    report_decoder = msgspec.msgpack.Decoder(Saying | Counting)
    request_decoder = msgspec.msgpack.Decoder(Question)

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__(system)
        self.heard: queue.Queue[Heard] = queue.Queue()

    def child_ready(self, child: Child) -> None:
        self.heard.put(Heard(child.process, "ready"))

    def child_output(self, child: Child, data: bytes) -> None:
        self.heard.put(Heard(child.process, "output", data))

    def child_reported(self, child: Child, report: Any) -> None:
        self.heard.put(Heard(child.process, "report", report))

    def child_requested(self, child: Child, request: Any, reply_to: ReplyAddress) -> None:
        self.heard.put(Heard(child.process, "request", (request, reply_to)))
        if request.text.startswith("echo "):
            reply_to.set(Answering(request.text.removeprefix("echo ")))

    def child_ended(self, child: Child, end: ProcessExit) -> None:
        self.heard.put(Heard(child.process, "ended", end))


class Supervision:
    """A running supervisor, as a test sees it."""

    def __init__(self, supervisor_class: type[RecordingSupervisor], system: ProcessSystem) -> None:
        self.reference = supervisor_class.start(system)
        supervisor = self.reference._actor_weakref()
        assert supervisor is not None
        self.heard = supervisor.heard

    def start(self, actor_class: type[ProcessActor], *args: Any, **spec: Any) -> Child:
        """Have a child started; the keywords are those of `ChildSpec`."""
        child: Child = self.reference.ask(
            StartChild(ChildSpec(actor_class, args, **spec)), block=True, timeout=PATIENCE
        )
        return child

    def start_and_wait(self, actor_class: type[ProcessActor], *args: Any, **spec: Any) -> Child:
        """Have a child started and wait until it is ready."""
        child = self.start(actor_class, *args, **spec)
        child.process.ready.result(PATIENCE)
        return child

    def stop(self, child: Child) -> None:
        """Have a child stopped; returns before it is."""
        self.reference.ask(StopChild(child), timeout=PATIENCE)

    def wait_for(self, event: str) -> Any:
        """Return what came with the next such event; others are passed over."""
        return _wait_for(self.heard, event)

    def wait_for_end(self) -> ProcessExit:
        """Return how the next child to end has ended."""
        end: ProcessExit = self.wait_for("ended")
        return end


@contextlib.contextmanager
def supervision(
    system: ProcessSystem, supervisor_class: type[RecordingSupervisor] = RecordingSupervisor
) -> Iterator[Supervision]:
    """Have a supervisor, for as long as the block runs. What it has started, the test has to end."""
    supervision = Supervision(supervisor_class, system)
    yield supervision
    supervision.reference.stop()


def proxy(child: Child) -> Any:
    """Return a proxy of a child that is ready."""
    child.process.ready.result(PATIENCE)
    return child.process.actor.actor_ref.proxy()


def pid_of(child: Child) -> int:
    """Return the process id of a child that is ready."""
    pid = child.process.pid
    assert pid is not None
    return pid


def _wait_for(heard: queue.Queue[Heard], event: str) -> Any:
    while True:
        happened = heard.get(timeout=PATIENCE)
        if happened.event == event:
            return happened.what
