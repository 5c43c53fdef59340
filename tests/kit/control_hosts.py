"""A host with a control socket, in the test's own process."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
from subactors.actors.host.io import IOThread
from subactors.runtime import TaskList, TaskView, UnknownTaskError
from subactors.runtime.control.client import ControlClient
from subactors.runtime.control.server import ControlRequest, ControlServer
from subactors.runtime.control.wire import Face, address
from subactors.runtime.tasks.gateway import ReplyTo
from subactors.runtime.tasks.messages import ListTasks, ViewTask

PATIENCE = 10.0

VIEW = TaskView(id="agent_task_1", agent="worker", task="work", status="running")

TASKS = TaskList(tasks=[VIEW], running=1, max_running=20)


class Host:
    """A control server, and what it was asked; it answers what can be answered at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.io = IOThread("io-under-test")
        self.asked: queue.Queue[tuple[ControlRequest, ReplyTo]] = queue.Queue()
        self.forgotten: queue.Queue[ReplyTo] = queue.Queue()
        self.answer: Callable[[ControlRequest, ReplyTo], None] = self._answer
        self.server = ControlServer(self.io, self.path, self._hand_over, self.forgotten.put)

    def close(self) -> None:
        self.server.close()
        self.io.close()

    def connect(self) -> ControlClient:
        return ControlClient(self.path, PATIENCE)

    def connect_raw(self) -> socket.socket:
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(PATIENCE)
        with address(self.path) as name:
            raw.connect(name)
        return raw

    def connections(self) -> int:
        """How many there are, as the I/O thread sees it when all that was before has happened."""
        counted: queue.Queue[int] = queue.Queue()
        self.io.call(lambda: counted.put(len(self.server._connections)))
        return counted.get(timeout=PATIENCE)

    def is_well(self) -> bool:
        with self.connect() as client:
            return bool(client.ask(ListTasks(), PATIENCE) == TASKS)

    def _hand_over(self, request: ControlRequest, reply_to: ReplyTo, _face: Face) -> None:
        self.answer(request, reply_to)

    def _answer(self, request: ControlRequest, reply_to: ReplyTo) -> None:
        self.asked.put((request, reply_to))
        match request:
            case ListTasks():
                reply_to.set(TASKS)
            case ViewTask("agent_task_1"):
                reply_to.set(VIEW)
            case ViewTask("large"):
                reply_to.set(msgspec.structs.replace(VIEW, output="x" * 10_000_000))
            case ViewTask():
                reply_to.set_exception(UnknownTaskError("There is no such task."))
            case _:
                pass  # the test answers
