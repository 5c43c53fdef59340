"""Runs whose host is the test's own process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from subactors.actors.host.io import IOThread
from subactors.runtime import NodeView, RunError, TaskEndedError, TaskList, TaskView, UnknownTaskError
from subactors.runtime.control.server import ControlRequest, ControlServer
from subactors.runtime.control.wire import Face
from subactors.runtime.runs.folder import RunFolder
from subactors.runtime.runs.journal import Journal
from subactors.runtime.runs.output import OutputFiles
from subactors.runtime.tasks.gateway import ReplyTo
from subactors.runtime.tasks.messages import ListTasks, StopTasks, ViewTask
from subactors.runtime.tasks.nodes import DrainNode, ListNodes, NodeList

PATIENCE = 30.0

UNFINISHED = {"status": "running", "runtime": None, "result": None, "was_read": 0}

FIRST = "agent_task_00000001"

SECOND = "agent_task_00000002"


class LiveRun:
    """A run whose host is this process, with a supervisor that knows the tasks that the test gives it."""

    def __init__(self, root: Path, *views: TaskView) -> None:
        self.views = {view.id: view for view in views}
        self.stopped: list[str] = []
        self.nodes: dict[str, NodeView] = {}
        self.drained: list[tuple[str, bool]] = []
        self.folder = RunFolder.create(root)
        self.journal = Journal(self.folder.journal, {})
        self.outputs: dict[str, OutputFiles] = {}
        self._io = IOThread("io-under-test")
        self._server = ControlServer(self._io, self.folder.control, self._answer)

    def close(self) -> None:
        self._server.close()
        self._io.close()
        self.journal.close()
        for output in self.outputs.values():
            output.close()
        self.folder.release()

    def say(self, task_id: str, data: bytes) -> None:
        if task_id not in self.outputs:
            self.outputs[task_id] = OutputFiles(self.folder.output, task_id, 1000)
        self.outputs[task_id].write(data)

    def _answer(self, request: ControlRequest, reply_to: ReplyTo, _face: Face) -> None:
        match request:
            case ListTasks():
                reply_to.set(TaskList(tasks=list(self.views.values()), running=1, max_running=20))
            case ViewTask(task_id):
                reply_to.set(self._find(task_id))
            case StopTasks([task_id]):
                if self._find(task_id).ended:
                    raise TaskEndedError(f"Task {task_id} has ended already: completed.")
                self.stopped.append(task_id)
                ended = TaskView(id=task_id, agent="worker", task="", status="stopped", reason="Stopped at once.")
                owned = TaskView(id=SECOND, agent="helper", task="", status="stopped", reason="With it.")
                reply_to.set(TaskList(tasks=[ended, owned], running=0, max_running=20))
            case ListNodes():
                reply_to.set(NodeList([*self.nodes.values()]))
            case DrainNode(name, stop):
                self.drained.append((name, stop))
                if name not in self.nodes:
                    raise RunError(f"There is no node {name!r} of place lab now.")
                self.nodes[name] = msgspec.structs.replace(self.nodes[name], state="draining")
                reply_to.set(NodeList([self.nodes[name]]))
            case _:
                raise AssertionError(request)

    def _find(self, task_id: str) -> TaskView:
        if task_id not in self.views:
            raise UnknownTaskError(f"There is no task {task_id}.")
        return self.views[task_id]


@contextlib.contextmanager
def live_run(root: Path, *views: TaskView) -> Iterator[LiveRun]:
    run = LiveRun(root, *views)
    try:
        yield run
    finally:
        run.close()


def running(task_id: str, **more: object) -> TaskView:
    fields = {"agent": "worker", "task": "hard work", "status": "running", "runtime": 61.0, "pid": 4711}
    fields |= {"started_at": "2026-01-31T12:00:00.123Z", **more}
    return TaskView(id=task_id, **fields)  # type: ignore[arg-type]
