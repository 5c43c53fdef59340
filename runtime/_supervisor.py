"""The task supervisor: the one place that knows which tasks there are, whose they are, and how they stand.

A pykka actor. Everything else (the tool layer in the host, the tool layer in a task's process, the host program) asks
it by message. It never waits: requests that take time (`WaitTasks`, `StopTask`) are kept and answered when what they
wait for has happened.
"""

from __future__ import annotations

import secrets
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec

from ..actors import ActorProcess, Child, ChildSpec, ProcessExit, ProcessSystem, ReplyAddress, Supervisor, Timer
from ._errors import (
    CapacityError,
    DelegationError,
    EmptyTaskError,
    RunError,
    RuntimeClosedError,
    TaskEndedError,
    UnknownAgentError,
    UnknownTaskError,
)
from ._events import EventHub, TaskCalledTool, TaskEnded, TaskGotToolAnswer, TaskStarted
from ._last_words import last_words
from ._messages import (
    Finished,
    ListTasks,
    RunTask,
    StopTask,
    TaskReport,
    TaskRequest,
    TaskSpec,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    ViewTask,
    WaitTasks,
)
from ._messages import TaskStarted as TaskStartedReply
from ._outcome import StopRequest, judge
from ._output import OutputBuffer
from ._supervisor_messages import Call, Caller, Close, ReplyTo
from ._task import Task
from ._task_actor import TaskActor
from ._team import Team
from ._views import TaskList, TaskView, Vitals
from ._vitals import VitalsSampler

__all__ = ["TaskSupervisor"]

_LOG_TAIL: Final = 16_384
"""Bytes at the end of a process's standard error in which the reason for a crash is looked for."""


@dataclass(eq=False)
class _Waiter:
    """A `WaitTasks` that is not answered yet."""

    tasks: list[Task]
    mode: str
    reply_to: ReplyTo
    timer: Timer | None = None
    answered: bool = False


@dataclass(eq=False)
class _StopWaiter:
    """A `StopTask` that is not answered yet: the task, and what it owned that was alive."""

    stopped: list[Task]
    limit: int | None
    reply_to: ReplyTo


@dataclass(frozen=True)
class _WaitOver:
    """A timer to the supervisor: answer a `WaitTasks` with what there is."""

    waiter: _Waiter


@dataclass
class _Registry:
    """The tasks, oldest first, and who waits for them."""

    tasks: dict[str, Task] = field(default_factory=dict)
    by_child: dict[Child, Task] = field(default_factory=dict)
    waiters: list[_Waiter] = field(default_factory=list)
    stop_waiters: list[_StopWaiter] = field(default_factory=list)
    closing: Future[None] | None = None


class TaskSupervisor(Supervisor):
    """See the module. It runs in a thread of its own in the host.

    Args:
        system: where processes come from.
        team: the agents; its settings are in force.
        folder: where the tasks' log files go.
        hub: takes the events.
    """

    report_decoder = msgspec.msgpack.Decoder(TaskReport)
    request_decoder = msgspec.msgpack.Decoder(TaskRequest)

    def __init__(self, system: ProcessSystem, team: Team, folder: Path, hub: EventHub) -> None:
        super().__init__(system)
        self._team = team
        self._settings = team.settings
        self._folder = folder
        self._hub = hub
        self._registry = _Registry()
        self._alive: dict[str, ActorProcess] = {}
        self._sampler = VitalsSampler(self._process_ids)

    def on_receive(self, message: Any) -> Any:
        """Handle one message; runs in the supervisor's thread."""
        match message:
            case Call(request, caller, reply_to):
                self._answer(request, caller, reply_to)
            case _WaitOver(waiter):
                self._end_wait(waiter)
            case Close(done):
                self._close(done)
            case _:
                return super().on_receive(message)
        return None

    def on_stop(self) -> None:
        """End what the supervisor has running in the host, and let nobody wait for an answer that cannot come."""
        self._sampler.close()
        error = RuntimeClosedError("The runtime is closed.")
        waiting = [waiter.reply_to for waiter in self._registry.waiters]
        waiting += [waiter.reply_to for waiter in self._registry.stop_waiters]
        others = []
        while not self.actor_inbox.empty():
            envelope = self.actor_inbox.get()
            if isinstance(envelope.message, Call):
                waiting.append(envelope.message.reply_to)
            else:
                others.append(envelope)
        for envelope in others:
            self.actor_inbox.put(envelope)
        for reply_to in waiting:
            reply_to.set_exception(error)

    def on_failure(self, *_: object) -> None:
        """As `on_stop`."""
        self.on_stop()

    # --- requests ---------------------------------------------------------------------------------------------------

    def child_requested(self, child: Child, request: Any, reply_to: ReplyAddress) -> None:
        """Answer a task that asks."""
        task = self._registry.by_child[child]
        self._answer(request, Caller(task.id, task.agent), reply_to)

    def _answer(self, request: TaskRequest, caller: Caller, reply_to: ReplyTo) -> None:
        try:
            match request:
                case RunTask():
                    reply_to.set(TaskStartedReply(self._run(request, caller).id))
                case ListTasks():
                    reply_to.set(self._task_list([self._view(task, output=False) for task in self._visible(caller)]))
                case ViewTask(task_id, limit):
                    task = self._find(task_id, caller)
                    task.read = task.read or task.is_over
                    reply_to.set(self._view(task, limit=limit))
                case WaitTasks():
                    self._wait(request, caller, reply_to)
                case StopTask():
                    self._take_stop(request, caller, reply_to)
                case _:
                    assert_never(request)
        except Exception as error:  # noqa: BLE001 - out of descriptors, say: whoever asked hears it, the others go on
            reply_to.set_exception(error)

    def _run(self, request: RunTask, caller: Caller) -> Task:
        parent = self._registry.tasks.get(caller.id) if caller.id is not None else None
        chain = self._check_run(request, caller, parent)
        self._make_room()
        task_id = f"agent_task_{secrets.token_hex(4)}"
        task = Task(
            id=task_id,
            agent=request.agent,
            text=request.task,
            parent=caller.id,
            owners=(*parent.owners, parent.id) if parent is not None else tuple(filter(None, [caller.id])),
            chain=chain,
            output=OutputBuffer(self._settings.max_output),
            log=self._folder / f"{task_id}.log",
        )
        agent = self._team.agents[request.agent]
        spec = TaskSpec(
            id=task_id,
            agent=agent,
            task=request.task,
            expected_output=request.expected_output,
            sub_agents=tuple((name, self._team.agents[name].description) for name in agent.sub_agents),
            deny=self._team.deny,
            settings=self._settings,
        )
        # Noted before its process is asked for: the I/O thread may have output of it before `start_child` returns.
        self._registry.tasks[task_id] = task
        try:
            task.child = self.start_child(
                ChildSpec(TaskActor, (spec,), grace=self._settings.stop_grace, capture=str(task.log))
            )
        except BaseException:
            del self._registry.tasks[task_id]
            raise
        self._registry.by_child[task.child] = task
        self._hub.publish(TaskStarted(self._view(task, output=False)))
        return task

    def _check_run(self, request: RunTask, caller: Caller, parent: Task | None) -> tuple[str, ...]:
        """Refuse what must not run; return the chain of agents that the new task would end."""
        if self._registry.closing is not None:
            raise RuntimeClosedError("The runtime is closing and takes no more tasks.")
        allowed = list(self._team.agents) if caller.agent is None else self._team.agents[caller.agent].sub_agents
        if request.agent not in allowed:
            whose = "the team" if caller.agent is None else f"the sub_agents of {caller.agent!r}"
            raise UnknownAgentError(
                f"There is no agent {request.agent!r} in {whose}. Available: {', '.join(allowed) or 'none'}."
            )
        if not request.task.strip():
            raise EmptyTaskError("The task is empty. Say what the agent is to do, with all it needs to know.")
        above = parent.chain if parent is not None else tuple(filter(None, [caller.agent]))
        chain = (*above, request.agent)
        if request.agent in above:
            raise DelegationError(
                f"{request.agent!r} is already at work further up: {' → '.join(chain)}. "
                "Choose an agent that is not in this chain, or do the work yourself."
            )
        if len(chain) > self._settings.max_depth:
            raise DelegationError(
                f"The chain of agents would be {len(chain)} deep, and {self._settings.max_depth} is the limit: "
                f"{' → '.join(chain)}. Do the work yourself."
            )
        if parent is not None and parent.status != "running":
            raise RunError(f"Task {parent.id} is {parent.status} and cannot start others.")
        running = self._running()
        if running >= self._settings.max_running:
            raise CapacityError(
                f"{running} tasks are running, and {self._settings.max_running} is the limit. "
                "Wait until one ends, or stop one."
            )
        return chain

    def _make_room(self) -> None:
        """Forget the oldest task whose end has been seen, if there are as many as may be remembered."""
        tasks = self._registry.tasks
        while len(tasks) >= self._settings.max_tasks:
            oldest = next((task for task in tasks.values() if task.is_over and task.read), None)
            if oldest is None:
                unread = sum(task.is_over for task in tasks.values())
                raise CapacityError(
                    f"{len(tasks)} tasks are remembered, which is the limit: {len(tasks) - unread} are running, and "
                    f"{unread} have ended whose results nobody has read. View one of those, or stop one that runs."
                )
            del tasks[oldest.id]
            oldest.log.unlink(missing_ok=True)

    def _wait(self, request: WaitTasks, caller: Caller, reply_to: ReplyTo) -> None:
        # The same task twice is one task.
        tasks = list({task_id: self._find(task_id, caller) for task_id in request.task_ids}.values())
        waiter = _Waiter(tasks, request.mode, reply_to)
        self._registry.waiters.append(waiter)
        self._check_wait(waiter)
        if not waiter.answered and request.timeout is not None:
            waiter.timer = self.tell_later(max(0.0, request.timeout), _WaitOver(waiter))

    def _check_wait(self, waiter: _Waiter) -> None:
        over = [task.is_over for task in waiter.tasks]
        if all(over) or (waiter.mode == "any" and any(over)):
            self._end_wait(waiter)

    def _end_wait(self, waiter: _Waiter) -> None:
        if waiter.answered:
            return
        waiter.answered = True
        if waiter.timer is not None:
            waiter.timer.cancel()  # it would keep the answer, output and all, until it is due
        self._registry.waiters.remove(waiter)
        over = [task for task in waiter.tasks if task.is_over]
        for task in over:
            task.read = True
        waiter.reply_to.set(self._task_list([self._view(task) for task in over]))

    def _take_stop(self, request: StopTask, caller: Caller, reply_to: ReplyTo) -> None:
        task = self._find(request.task_id, caller)
        if task.is_over and request.refuse_ended:
            raise TaskEndedError(f"Task {task.id} has ended already: {task.status}. View it to read what it left.")
        owned = [other for other in self._registry.tasks.values() if task.id in other.owners and not other.is_over]
        stopped = [task, *owned]
        self._stop_tasks(stopped, target=task)
        self._registry.stop_waiters.append(_StopWaiter(stopped, request.limit, reply_to))
        self._check_stops()

    def _stop_tasks(self, tasks: list[Task], *, target: Task | None, by: str = "") -> None:
        """Send tasks down the stop ladder, last started first; what a task owns falls with it, and says so."""
        for task in reversed(tasks):
            if task.is_over or task.stop_requested is not None:
                continue
            task.status = "stopping"
            task.stop_requested = time.monotonic()
            task.stop_by = by if target is None or task is target else f"the stop of {target.id}, which started it"
            self.stop_child(task.child)

    def _check_stops(self) -> None:
        for waiter in list(self._registry.stop_waiters):
            if all(task.is_over for task in waiter.stopped):
                self._registry.stop_waiters.remove(waiter)
                for task in waiter.stopped:
                    task.read = True
                waiter.reply_to.set(self._task_list([self._view(task, limit=waiter.limit) for task in waiter.stopped]))

    def _close(self, done: Future[None]) -> None:
        self._registry.closing = done
        self._stop_tasks(list(self._registry.tasks.values()), target=None, by="the end of the runtime")
        self._check_closed()

    def _check_closed(self) -> None:
        closing = self._registry.closing
        if closing is not None and not closing.done() and not self._running():
            closing.set_result(None)

    # --- what becomes of children -----------------------------------------------------------------------------------

    def child_ready(self, child: Child) -> None:
        """A task's process has begun."""
        task = self._registry.by_child[child]
        if task.status == "starting":
            task.status = "running"
        self._alive[task.id] = child.process
        self._sampler.task_started()

    def child_output(self, child: Child, data: bytes) -> None:
        """Keep what a task says. Runs in the I/O thread."""
        spec: TaskSpec = child.spec.args[0]
        task = self._registry.tasks[spec.id]
        task.output.write(data)
        self._hub.output(task.id, task.output)

    def child_reported(self, child: Child, report: TaskReport) -> None:
        """Take note of what a task's loop does."""
        task = self._registry.by_child[child]
        match report:
            case ToolCalled(_, name, arguments):
                self._hub.publish(TaskCalledTool(task.id, name, arguments))
            case ToolAnswered(_, name, text, is_error):
                self._hub.publish(TaskGotToolAnswer(task.id, name, text, is_error))
            case TurnEnded(usage):
                task.usage += usage
            case Finished():
                task.finished = task.finished or report
            case _:
                assert_never(report)

    def child_ended(self, child: Child, end: ProcessExit) -> None:
        """Decide a task's terminal status, publish it, and let go of what it owned."""
        task = self._registry.by_child.pop(child)
        self._alive.pop(task.id, None)
        task.ended = time.monotonic()
        stop = None
        if task.stop_requested is not None:
            stop = StopRequest(self._settings.stop_grace, task.ended - task.stop_requested, task.stop_by)
        outcome = judge(end, finished=task.finished, stop=stop, log=last_words(task.log_tail(_LOG_TAIL)))
        task.result = task.finished.result if task.finished is not None else None
        task.vitals = Vitals(
            cpu_seconds=end.user_seconds + end.system_seconds, memory_bytes=self._sampler.take_peak(task.id)
        )
        task.reason = outcome.reason
        task.status = outcome.status
        self._hub.publish(TaskEnded(self._view(task, output=False)))
        orphans = [other for other in self._registry.tasks.values() if task.id in other.owners]
        self._stop_tasks(orphans, target=None, by=f"the end of {task.id}, which started it")
        for waiter in list(self._registry.waiters):
            if task in waiter.tasks:
                self._check_wait(waiter)
        self._check_stops()
        self._check_closed()

    # --- looking ----------------------------------------------------------------------------------------------------

    def _find(self, task_id: str, caller: Caller) -> Task:
        task = self._registry.tasks.get(task_id)
        if task is None or not self._may_see(caller, task):
            known = ", ".join(task.id for task in self._visible(caller))
            raise UnknownTaskError(
                f"There is no task {task_id!r} here. "
                + (f"Known tasks: {known}." if known else "No task has been started yet.")
            )
        return task

    def _visible(self, caller: Caller) -> list[Task]:
        return [task for task in self._registry.tasks.values() if self._may_see(caller, task)]

    @staticmethod
    def _may_see(caller: Caller, task: Task) -> bool:
        return caller.id is None or caller.id in task.owners

    def _process_ids(self) -> dict[str, int]:
        """Return the processes of running tasks. Runs in the sampler's thread; copying a dict is one step."""
        return {task_id: process.pid for task_id, process in dict(self._alive).items() if process.pid is not None}

    def _running(self) -> int:
        return sum(not task.is_over for task in self._registry.tasks.values())

    def _task_list(self, views: list[TaskView]) -> TaskList:
        return TaskList(tasks=views, running=self._running(), max_running=self._settings.max_running)

    def _view(self, task: Task, *, output: bool = True, limit: int | None = None) -> TaskView:
        return task.view(vitals=self._sampler.latest(task.id), output=output, limit=limit)
