"""Starting: takes in new tasks, starts or queues them, and gives slots that have become free to queued ones.

Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import ReplyAddress
from ..errors import RunError
from ..runs.journal import Journal
from ..tasks.events import TaskQueued, TaskStarted
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.group_request import MapAgent
from ..tasks.messages import AS_USUAL, RunTask
from ..tasks.past import ResumePast, check_resumable, text_of
from ..team.config import Team
from ..text import one_line
from . import record
from .admission import admit, take_next
from .briefing import Briefings
from .course import Course
from .events import EventHub
from .groups import group_task
from .limits import LimitKeeper
from .outcome import Outcome
from .registry import TaskRegistry
from .task import Task
from .waiting import Answers

if TYPE_CHECKING:
    from ..place.base import Body
    from ..runs.claims import Claim

__all__ = ["Starter"]

_GIVE_WAY: Final = 1e-6
"""Seconds for which the interpreter is left to whoever was answered. The kernel makes some 55 µs of it, in which one
wakes up; a mere `sched_yield` is over before that."""


class Starter:
    """See the module.

    Args:
        team: the agents; its settings are in force.
        registry: the tasks.
        briefings: makes tasks.
        answers: tells what they are.
        journal: is told of them before anybody else.
        hub: takes the events.
        limits: measures their time.
        course: of the tasks.
        working_directory: of tasks; empty: the host's current directory when they start.
        start_attempt: starts a process of a task.
        failed: is called with a task that cannot be started, and with the reason.
    """

    def __init__(
        self,
        team: Team,
        *,
        registry: TaskRegistry,
        briefings: Briefings,
        answers: Answers,
        journal: Journal,
        hub: EventHub,
        limits: LimitKeeper,
        course: Course,
        working_directory: str,
        start_attempt: Callable[[Task], None],
        failed: Callable[[Task, str], None],
    ) -> None:
        self._team = team
        self._registry = registry
        self._briefings = briefings
        self._answers = answers
        self._journal = journal
        self._hub = hub
        self._limits = limits
        self._course = course
        self._working_directory = working_directory
        self._start_attempt = start_attempt
        self._failed = failed

    def resume(self, request: ResumePast, caller: Caller, reply_to: ReplyTo) -> None:
        """Start a task that continues another, or queue it; as `run`.

        Raises:
            RunError: it is refused; somebody may be continuing that already.
            StateError: others cannot be told that it is continued.
        """
        from ..runs.claims import Claim  # noqa: PLC0415 - few tasks are continued

        past, message = request.past, request.message
        check_resumable(past, message)
        options = msgspec.structs.replace(past.options or AS_USUAL, key=None)
        run = RunTask(past.agent, text_of(past, message), past.expected_output, options=options)
        claim = Claim.take(Path(request.run), past.id)
        try:
            self.run(run, caller, reply_to, (request, claim))
        except BaseException:
            claim.release()
            raise
        former = self._registry.get(past.id)
        if former is not None:
            for task in [former, *self._registry.visible(Caller(former.id))]:
                self._registry.note_read(task)

    def run(
        self,
        request: RunTask | MapAgent,
        caller: Caller,
        reply_to: ReplyTo,
        continued: tuple[ResumePast, Claim] | None = None,
    ) -> None:
        """Start a task, or queue it; the answer is given when the journal has it.

        Args:
            request: what to start.
            caller: who asks.
            reply_to: where the answer goes.
            continued: the task that it continues, and the claim to it; None: it begins anew.

        Raises:
            RunError: it is refused.
        """
        parent = self._registry.get(caller.id)
        team, registry, folder = self._team, self._registry, self._working_directory
        if isinstance(request, MapAgent):
            request = group_task(request, caller, parent, team=team, registry=registry, working_directory=folder)
        if request.options.key is not None:
            earlier = self._registry.with_key(caller.id, request.options.key)
            if earlier is not None:
                _check_same_work(earlier, request)
                reply_to.set(self._answers.accepted(earlier))
                return
        request = self._in_its_place(request, near := self._near(request.options.near, caller))
        admission = admit(request, caller, parent, team=team, registry=registry, working_directory=folder)
        past = continued and continued[0]
        task = self._briefings.task(request, caller, parent, admission.chain, past, near=near)
        if continued is not None:
            task.claim = continued[1]
            task.claim.name(task.id)
        task.item_of = parent.id if parent is not None and parent.group is not None else None
        own = None if request.call else self._team.agents[request.agent].limits
        self._answers.budgets.open(task, parent, asked=request.options.limits, own=own)
        if not admission.has_slot:
            task.queue()
        # Noted before its process is asked for: the I/O thread may have output of it before `start_child` returns.
        self._registry.add(task)
        if not admission.has_slot and (following := self._take_next()) is not task:
            self._course.accepted(task, request, caller)
            try:
                with self._hub.lock:  # whoever hears of it and opens a stream finds this told
                    self._accept(task, request, reply_to)
                    self._hub.tell(lambda: TaskQueued(self._answers.view(task, output=False)))
            finally:
                self._fill(following)
            self._answers.budgets.look_again()  # some may wait for whoever waits for this one now
            return
        if task.status == "queued":
            task.leave_queue()
        task.queued_at = None
        self._course.accepted(task, request, caller)
        # Whoever asked hears of the task first: what its process needs is made while the caller goes on.
        self._accept(task, request, reply_to)
        _give_way(reply_to)
        self._start(task)

    def _near(self, task_id: str | None, caller: Caller) -> Body | None:
        """Return what a task has near which another is to run; raises UnknownTaskError for one of somebody else."""
        own = self._registry.get(caller.id)
        if task_id is None:
            return None
        return own.body if own is not None and task_id == own.id else self._registry.find(task_id, caller).body

    def _in_its_place(self, request: RunTask, near: Body | None) -> RunTask:
        """Return a request with the place of what it is to be near, where nothing else names one for it."""
        if near is None or not near.place_name:
            return request
        agent = self._team.agents.get(request.agent) if not request.call else None
        if request.options.place is not None or self._team.settings.place or (agent is not None and agent.place):
            return request
        options = msgspec.structs.replace(request.options, place=near.place_name)
        return msgspec.structs.replace(request, options=options)

    def fill_slots(self) -> None:
        """Start queued tasks for as long as there are slots for them."""
        self._fill(self._take_next())

    def unqueue(self, task: Task) -> None:
        """Take a task out of the queue that is about to be stopped."""
        self._registry.leave_queue(task)
        task.leave_queue(starts=False)

    def _fill(self, task: Task | None) -> None:
        while task is not None:
            self._start_queued(task)
            task = self._take_next()

    def _take_next(self) -> Task | None:
        return take_next(settings=self._team.settings, registry=self._registry)

    def _accept(self, task: Task, request: RunTask, reply_to: ReplyTo) -> None:
        try:
            accepted = self._answers.accepted(task)
            self._journal.write(record.accepted(task, request), lambda: reply_to.set(accepted))
        except BaseException:
            self._registry.remove(task)
            self._course.ended(task, Outcome("failed", "It could not be accepted.", kind="not started"))
            self._answers.budgets.close(task)
            raise

    def _start_queued(self, task: Task) -> None:
        task.leave_queue()
        self._course.started(task)
        if limit := self._answers.budgets.used_up(task):
            task.attempts = 0
            task.limit_reached = limit
            self._failed(task, limit)
            return
        # With somebody to tell: then it is mostly written in this thread, which is cheaper than to wake another.
        self._journal.write(record.started(task), _tell_nobody)
        self._start(task)

    def _start(self, task: Task) -> None:
        # Told before the process is asked for: from then on the I/O thread may tell of output.
        with self._hub.lock:  # whoever opens a stream finds the start either told, or still to come
            task.is_told = True
            self._hub.tell(lambda: TaskStarted(self._answers.view(task, output=False)))
        try:
            self._start_attempt(task)
        except Exception as error:  # noqa: BLE001 - out of descriptors, say; the task ends for it, nobody else
            task.attempts = 0
            self._failed(task, f"It could not be started: {error}")
            return
        self._limits.begin(task)


def _give_way(reply_to: ReplyTo) -> None:
    """Let whoever was answered have the interpreter."""
    if not isinstance(reply_to, ReplyAddress):  # that of a task, which is in another process
        # It is about to wake up, and would wait for the interpreter until the task is started.
        time.sleep(_GIVE_WAY)


def _check_same_work(earlier: Task, request: RunTask) -> None:
    """Refuse a key that is another piece of work's; arguments may differ, as a retry may have other times in them."""
    # Its call is let go of when it ends.
    was_function, is_function = earlier.setup.agent.entrypoint == "", bool(request.call)
    if earlier.agent != request.agent or was_function != is_function:
        raise RunError(
            f"The key {one_line(request.options.key or '', 100)!r} is that of {earlier.id}, a task of "
            f"{_what_runs(earlier.agent, is_function=was_function)}; it cannot be that of one of "
            f"{_what_runs(request.agent, is_function=is_function)}, too. Give other work another key."
        )


def _what_runs(name: str, *, is_function: bool) -> str:
    return f"the function {name}" if is_function else f"agent {name!r}"


def _tell_nobody() -> None:
    pass
