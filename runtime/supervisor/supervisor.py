"""Task supervisor: the life of a task, from its acceptance over its attempts to its end.

A pykka actor. Everything else (the tool layer in the host, the tool layer in a task's process, the host program) asks
it by message. It never waits: what takes time comes back to it as a message.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pykka

from ...actors import Child, ProcessExit, ProcessSystem, ReplyAddress, Supervisor, Timer
from ..errors import RunError, RuntimeClosedError
from ..runs import schema
from ..runs.conversation import delete_conversation
from ..runs.journal import Journal
from ..tasks.events import TaskRestarting
from ..tasks.gateway import Call, Caller, Close, ReplyTo
from ..tasks.group_request import MapAgent
from ..tasks.messages import Failed, Finished, ResumeTask, RunTask, StartRequest, TaskReport, TaskRequest
from ..tasks.nodes import DrainNode, ListNodes, NodeRequest
from ..tasks.past import ResumePast
from ..tasks.talk import TalkRequest
from ..tasks.views import Status
from ..tasks.watching import WatchTasks
from ..team.config import Team
from ..text import encodable
from .attempt import Attempt
from .briefing import Briefings
from .conversations import Conversations
from .course import Course
from .ending import follow_up, judge_attempt
from .ends import Ends
from .events import EventHub
from .limits import LimitKeeper
from .messages import (
    Conversation,
    DeadlinePassed,
    MendSampler,
    Reached,
    Recorded,
    RestartDue,
    TalkDue,
)
from .nodes import NodeAnswers
from .outcome import Outcome, how_stopped
from .questions import People
from .registry import TaskRegistry
from .reports import Reports
from .restarting import Restarts
from .resuming import Resumer
from .starting import Starter
from .talk import Talk
from .task import Stop, Task
from .waiting import Answers, Heard, take_calls

if TYPE_CHECKING:
    from ...actors.regular_files import Folder
    from ..place.base import Place
    from ..team.key_variables import Keys

__all__ = ["TaskSupervisor"]

_MOST_REQUEST: Final = 1024 * 1024
"""Bytes of a request of a task; the text of a task that it starts is nearly all of it."""


class TaskSupervisor(Supervisor):
    """See the module. It runs in a thread of its own in the host.

    Args:
        system: where processes come from.
        team: the agents; its settings are in force.
        place: where tasks run.
        journal: takes what happens.
        hub: takes the events.
        registry: for the tasks; empty.
        outputs: folder of what tasks say.
        keys: the team's key variables.
        working_directory: of tasks; empty: the host's current directory when they start.
        people: the persons whom the host can ask.
        course: keeps how the tasks go.
    """

    report_decoder = msgspec.msgpack.Decoder(TaskReport)
    request_decoder = msgspec.msgpack.Decoder(TaskRequest)
    last_reports = (Finished, Failed)
    most_request = _MOST_REQUEST

    _closing: Future[None] | None = None

    def __init__(
        self,
        system: ProcessSystem,
        team: Team,
        place: Place,
        journal: Journal,
        hub: EventHub,
        *,
        registry: TaskRegistry,
        outputs: Folder,
        keys: Keys,
        working_directory: str,
        people: People,
        course: Course,
    ) -> None:
        super().__init__(system)
        self._settings = team.settings
        self._place, self._journal, self._hub = place, journal, hub
        self._registry, self._course, self._nodes = registry, course, NodeAnswers(place)
        self._briefings = Briefings(team, place, outputs, keys=keys, working_directory=working_directory)
        self._by_child: dict[Child, Task] = {}
        self._limits = LimitKeeper(self, place)
        conversations = Conversations(
            journal, self._limits, charge=self.charge, postpone=self.postpone_handled, end_for_limit=self._end_at_once
        )
        self._resumer = Resumer(registry, journal, outputs, self, charge=self.charge)
        self._answers = Answers(registry, journal, self, place=place, stop=self._stop_tree, settings=self._settings)
        self._talk = Talk(
            registry, journal, self, hub, people, limits=self._limits, answers=self._answers, settings=self._settings
        )
        self._reports = Reports(
            answers=self._answers, talk=self._talk, conversations=conversations, hub=hub, course=course
        )
        self._starter = Starter(
            team,
            registry=registry,
            briefings=self._briefings,
            answers=self._answers,
            journal=journal,
            hub=hub,
            limits=self._limits,
            course=course,
            working_directory=working_directory,
            start_attempt=self._start_attempt,
            failed=self._fail,
        )
        self._restarts = Restarts(
            journal, self, change_status=self.change_status, start_attempt=self._start_attempt, failed=self._fail
        )
        self._ends = Ends(
            registry=registry,
            journal=journal,
            hub=hub,
            answers=self._answers,
            place=place,
            mailbox=self,
            course=course,
            stop=self._stop_tasks,
            settle=self._settle,
        )

    def on_receive(self, message: Any) -> Any:
        """Handle one message; runs in the supervisor's thread."""
        match message:
            case Call(request, caller, reply_to):
                self._answer(request, caller, reply_to)
            case TalkDue():
                self._talk.due(message)
            case Recorded(task, outcome):
                self._ends.announce(task, outcome)
                self._talk.ended(task)
            case RestartDue() | Conversation():
                self._restarts.take(message)
            case DeadlinePassed(task):
                self._end_for_limit(task, self._limits.time_reached(task))
            case Reached(task, sentence):
                self._end_at_once(task, sentence)
            case _ if isinstance(message, Heard):
                self._answers.hear(message)
            case Close(done):
                self._close(done)
            case MendSampler():
                self._place.mend()
            case _:
                return super().on_receive(message)
        return None

    def on_stop(self) -> None:
        """End what the supervisor has running in the host, and let nobody wait for an answer that cannot come."""
        self._place.close()
        self._nodes.give_up()
        for task in self._registry.unended_tasks():
            task.let_others_continue()
        error = RuntimeClosedError("The runtime is closed.")
        # Each once: what the journal has just answered is in both of the latter.
        owed = [*self._answers.owed, *self._talk.owed, *self._resumer.give_up(), *take_calls(self.actor_inbox)]
        for reply_to in dict.fromkeys(owed):
            reply_to.set_exception(error)

    def on_failure(self, *_: object) -> None:
        """As `on_stop`."""
        self.on_stop()

    # --- requests ---------------------------------------------------------------------------------------------------

    def child_requested(self, child: Child, request: Any, reply_to: ReplyAddress) -> None:
        """Answer a task that asks."""
        task = self._by_child[child]
        self._answer(request, Caller(task.id, task.agent), reply_to)

    def _answer(
        self, request: TaskRequest | ResumePast | WatchTasks | NodeRequest, caller: Caller, reply_to: ReplyTo
    ) -> None:
        if isinstance(request, ResumePast):
            self._resumer.found(reply_to)
        try:
            if isinstance(request, TalkRequest):
                self._talk.answer(request, caller, reply_to)
                return
            match request:
                case RunTask() | MapAgent() | ResumeTask() | ResumePast():
                    self._begin(request, caller, reply_to)
                case ListNodes() | DrainNode():
                    self._nodes.answer(request, reply_to)
                case _:
                    self._answers.answer(request, caller, reply_to)
        except RunError as error:
            self._talk.refused(request, error)
            # Without the frames of this module, which say nothing to whoever asked, and take longer than to refuse.
            reply_to.set_exception(error.with_traceback(None))
        except Exception as error:  # noqa: BLE001 - out of descriptors, say: whoever asked hears it, the others go on
            reply_to.set_exception(error)

    def _begin(self, request: StartRequest | ResumePast, caller: Caller, reply_to: ReplyTo) -> None:
        if self._closing is not None:
            raise RuntimeClosedError("The runtime is closing and takes no more tasks.")
        match request:
            case RunTask() | MapAgent():
                if isinstance(request, RunTask) and request.has_code and caller.id is None:  # a task sends none
                    self._system.expect_code()
                self._starter.run(request, caller, reply_to)
                if self._registry.queued:
                    self._talk.make_room()
            case ResumeTask():
                self._resumer.find(request, caller, reply_to)
            case ResumePast():
                self._starter.resume(request, caller, reply_to)

    def _start_attempt(self, task: Task) -> None:
        task.attempt = task.progress = None
        task.error = task.traceback = task.error_args = ""
        task.last_sign = time.monotonic()
        child = self.start_child(self._briefings.child(task))
        task.body.begin(child.process)
        task.attempt = Attempt(child)
        self._by_child[child] = task
        if task.body.waits_for:
            self._limits.wait_for_node(task)

    def _stop_tasks(self, tasks: list[Task], *, target: Task | None, by: str = "", ended_owner: str = "") -> None:
        """Send tasks down the stop ladder, last started first; what a task owns falls with it, and says so."""
        for task in reversed(tasks):
            # One whose end is being written down has reached it; noting a stop now would undo that in the journal.
            if task.concluded or task.stop is not None:
                continue
            if is_queued := task.status == "queued":
                self._starter.unqueue(task)
            elif task.running_child is None:
                self.change_status(task, "stopping")
            beside = "" if target is None or task is target else f", together with {target.id}, which had started it"
            task.stop = Stop(time.monotonic(), by + beside, ended_owner)
            if (child := task.running_child) is not None:
                self._ask_to_end(task, child)
            else:
                stopped = how_stopped(task.stop.by, task.stop.ended_owner)
                meanwhile = "was queued" if is_queued else "waited to be started again"
                self._ends.conclude(task, Outcome("stopped", f"{stopped} while it {meanwhile}.", kind="stopped"), None)

    def _ask_to_end(self, task: Task, child: Child) -> None:
        self.change_status(task, "stopping")
        self.stop_child(child)
        # After the stop, by the same way: what one returns who is refused an answer is no answer.
        self._talk.caller_gone(task)

    def _stop_tree(self, tree: list[Task], by: str) -> None:
        self._stop_tasks(tree, target=tree[0], by=by)

    def _close(self, done: Future[None]) -> None:
        self._closing = done  # nothing is queued any more after this, nor is queued again
        self._stop_tasks(self._registry.unended_tasks(), target=None, by="the end of the runtime")
        self._settle()

    def _fail(self, task: Task, reason: str) -> None:
        self._ends.conclude(
            task, Outcome("failed", reason, kind="limit" if task.limit_reached else "not started"), None
        )

    def _settle(self) -> None:
        """All is told of some ends: give slots to others, and see whether that was the last that a close waits for."""
        if self._closing is not None and not self._closing.done() and self._registry.all_ended:
            self._closing.set_result(None)
        self._starter.fill_slots()

    # --- what becomes of children -----------------------------------------------------------------------------------

    def child_ready(self, child: Child) -> None:
        """A task's process has begun."""
        task = self._by_child[child]
        self._limits.placed(task)
        if task.status == "starting":
            self.change_status(task, "running")
        if task.body.node:
            self._journal.write_in_time(
                schema.note_node(task.id, task.body.node, encodable(task.body.present_folder()))
            )
        self._course.ready(task)
        self._limits.watch(task, child)
        self._talk.ready(task)

    def child_output(self, child: Child, data: bytes) -> None:
        """Keep what a task says. Runs in the I/O thread."""
        task = self._registry.get(child.spec.args[0].id)
        assert task is not None, child  # noqa: S101 - it is forgotten after its end only
        task.last_sign = time.monotonic()
        kept = self._limits.cut_output(task, child, data)
        task.output.write(kept)
        self._hub.output(task.id, task.output, kept)

    def child_reported(self, child: Child, report: TaskReport) -> None:
        """Take note of what a task's loop does."""
        task, attempt = self._at_work(child)
        for over, limit_reached in self._reports.take(task, attempt, child, report):
            self._end_for_limit(over, limit_reached)

    def _end_for_limit(self, task: Task, sentence: str, *, at_once: bool = False) -> None:
        """End a task that has reached a limit: by the stop ladder, or at once where it could do harm meanwhile.

        Args:
            task: the task.
            sentence: which limit it has reached; empty: none, as its time was not measured.
            at_once: see above.
        """
        if not sentence or task.concluded or task.limit_reached:
            return
        task.limit_reached = sentence
        if (child := task.running_child) is None:
            self._fail(task, sentence)
        elif at_once:
            child.process.kill()
        else:
            self._ask_to_end(task, child)

    def _end_at_once(self, task: Task, sentence: str) -> None:
        self._end_for_limit(task, sentence, at_once=True)

    def child_ended(self, child: Child, end: ProcessExit) -> None:
        """Decide how an attempt ended, and whether there will be another."""
        task, attempt = self._at_work(child)
        del self._by_child[child]
        attempt.is_over = True
        self._limits.forget(task)
        self._answers.caller_gone(task.id)
        self._talk.caller_gone(task)
        outcome = judge_attempt(task, attempt, end, grace=self._settings.stop_grace)
        outcome, delay = follow_up(task, outcome, is_closing=self._closing is not None)
        self._course.attempt_over(task, attempt, outcome, again=delay is not None)
        if delay is None:
            self._ends.conclude(task, outcome, end)
            return
        self.change_status(task, "restarting", outcome.reason)
        task.reason = outcome.reason
        if outcome.status == "completed":  # a permanent one begins anew
            task.message_count, task.answered = 0, ""
            self._journal.write(delete_conversation(task.id))
        self._hub.tell(lambda: TaskRestarting(self._answers.view(task, output=False), delay))
        self.tell_later(delay, RestartDue(task))

    def _at_work(self, child: Child) -> tuple[Task, Attempt]:
        task = self._by_child[child]
        assert task.attempt is not None, task.id  # noqa: S101 - its child is there
        return task, task.attempt

    def change_status(self, task: Task, status: Status, reason: str = "") -> None:
        """Note a task's new status. In the supervisor's thread."""
        task.status = status
        statements = schema.note_status(task.id, status, reason, task.attempts)
        if status in {"running", "waiting"}:  # that it has started is known, and nothing is decided by this
            self._journal.write_in_time(statements)
        else:
            self._journal.write(statements)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """See `Mailbox`."""
        return self._system.call_later(delay, callback)

    def tell_for(self, task: Task | None, message: object) -> None:
        """See `Mailbox`."""
        child = task.running_child if task is not None else None
        if child is not None:
            self.tell_in_turn(child, message)
            return
        with contextlib.suppress(pykka.ActorDeadError):  # it has stopped, and has nothing to do any more
            self.actor_ref.tell(message)
