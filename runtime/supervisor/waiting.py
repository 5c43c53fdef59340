"""Waiting: answers requests about tasks, at once or when the tasks that they wait for have ended.

Nothing here waits. A request whose answer is not there yet is kept with its address, and the supervisor goes on.
Used in the supervisor's thread only, but `let_end`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import msgspec

from ..errors import RunError, TaskEndedError, UnknownTaskError
from ..runs import schema
from ..runs.journal import Journal
from ..tasks.gateway import Abandon, Acknowledge, Call, Caller, Forget, ReplyTo
from ..tasks.messages import AwaitRate, ListTasks, Noted, StopTasks, TaskAccepted, ViewTask, WaitTasks
from ..tasks.news import TakeNews
from ..tasks.turns import AskTurn, AwaitWritten, Written
from ..tasks.views import TaskList, TaskView
from ..tasks.watching import WatchTasks
from ..team.config import Settings
from .budget_views import budget_in_use, budget_of
from .budgets import Budgets
from .messages import LookedAt, Mailbox, NewsDue, RateDue, Waiter, WaitTimedOut, WatchDue
from .notices import Notices
from .registry import TaskRegistry
from .silence import SilenceKeeper
from .task import Task
from .waiters import Waiters

if TYPE_CHECKING:
    from pykka._actor import ActorInbox

    from ..place.base import Place
    from .rate_keeper import RateKeeper
    from .watchers import Watchers

__all__ = ["Answers", "Heard", "take_calls"]

Heard: TypeAlias = Abandon | Acknowledge | Forget | WaitTimedOut | NewsDue | RateDue | LookedAt | WatchDue
"""What `Answers` takes note of, beside requests."""

_MOST_WAITS: Final = 1000
_MOST_WAITED: Final = 20_000
"""Requests of one task that may wait for an answer at a time, and the tasks that all of them may wait for."""

_MOST_OUTPUT: Final = 1_000_000
"""Bytes of output in an answer to a task, that of all tasks in it together."""


class Answers:
    """Answers what is asked about tasks; see the module.

    Args:
        registry: the tasks.
        journal: is told which ends have been read.
        mailbox: the supervisor's.
        place: where tasks run; knows what they use.
        stop: sends a task and those that it owns down the stop ladder, and says who asked.
        settings: those in force; answers name how many tasks may run, and be queued.

    Attributes:
        budgets: what tasks may use.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        journal: Journal,
        mailbox: Mailbox,
        *,
        place: Place,
        stop: Callable[[list[Task], str], None],
        settings: Settings,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._mailbox = mailbox
        self._where, self._latest, self._look_back = place, place.latest, place.look_back
        self.budgets = Budgets(registry)
        self._stop = stop
        self._settings = settings
        self._waiters = Waiters(registry.get)
        self.notices = Notices(registry, mailbox)
        self._rates: RateKeeper | None = None
        self._watchers: Watchers | None = None
        self._silences = SilenceKeeper(place, mailbox, self._answer_view)

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        owed = [waiter.reply_to for waiter in self._waiters.all] + self._silences.waiting + self.budgets.waiting
        owed += self.notices.owed_answers + (self._watchers.owed if self._watchers is not None else [])
        return owed if self._rates is None else owed + self._rates.waiting

    def answer(
        self,
        request: ListTasks
        | ViewTask
        | WaitTasks
        | StopTasks
        | TakeNews
        | AwaitRate
        | AskTurn
        | AwaitWritten
        | WatchTasks,
        caller: Caller,
        reply_to: ReplyTo,
    ) -> None:
        """Answer a request, or keep it.

        Raises:
            RunError: it is refused.
        """
        match request:
            case ListTasks():
                reply_to.set(self._list(self._entries(caller, request.only)))
            case ViewTask():
                self._view(request, caller, reply_to)
            case WaitTasks():
                self._wait(request, caller, reply_to)
            case StopTasks():
                self._take_stop(request, caller, reply_to)
            case TakeNews():
                self.notices.take(request, caller, reply_to)
            case AwaitRate() | AskTurn():
                self._await_turn(request, caller, reply_to)
            case AwaitWritten():
                self._journal.write((), lambda: reply_to.set(Written()))
            case WatchTasks():
                self._watch(request, caller, reply_to)
            case _:
                assert_never(request)

    def _view(self, request: ViewTask, caller: Caller, reply_to: ReplyTo) -> None:
        try:
            task = self._registry.find(request.task_id, caller)
        except UnknownTaskError as error:
            continued = self._registry.continued_elsewhere(caller.id)
            if not continued:
                raise
            missing = error.with_traceback(None)
            self._look_back(
                request.task_id,
                continued,
                self._output_limit(caller, request.limit),
                lambda view: reply_to.set_exception(missing) if view is None else reply_to.set(view),
            )
            return
        if not (request.closely and task.silent_for and self._silences.ask(task, request, caller, reply_to)):
            self._answer_view(request, caller, reply_to)

    def _answer_view(self, request: ViewTask, caller: Caller, reply_to: ReplyTo) -> None:
        try:
            task = self._registry.find(request.task_id, caller)
            if not request.peek:
                self._note_read(task, caller.id)
            view = self.view(task, limit=self._output_limit(caller, request.limit))
            silence = self._silences.silence(task) if request.closely else None
            reply_to.set(view if silence is None else msgspec.structs.replace(view, silence=silence))
        except Exception as error:  # noqa: BLE001 - of one that has waited: forgotten meanwhile, or out of descriptors
            reply_to.set_exception(error)

    def accepted(self, task: Task) -> TaskAccepted:
        """Return the answer to whoever has started a task."""
        is_shared = task.key is not None and not task.is_over
        agent = task.agent if task.continues else ""
        return TaskAccepted(task.id, self._place(task), is_shared, budget_of(task), agent)

    def view(self, task: Task, *, output: bool = True, limit: int | None = None) -> TaskView:
        """Return a task as it is now, with the last sample of what it uses; see `Task.view`."""
        view = task.view(vitals=self._latest(task.id), output=output, limit=limit, queue_place=self._place(task))
        budget = budget_in_use(task)
        return view if budget is None else msgspec.structs.replace(view, budget=budget)

    def end(self, waiter: Waiter, *, is_heard: bool = True) -> None:
        """Answer a waiter with those of its tasks that have ended, unless it has been answered, or nobody hears it."""
        if not self._waiters.remove(waiter):
            return
        if waiter.timer is not None:
            waiter.timer.cancel()  # it would keep the answer, output and all, until it is due
        if not is_heard:
            return
        over = [task for task in waiter.tasks if task.is_over]
        if not waiter.peek:
            for task in over:
                self._note_read(task, waiter.caller)
        try:
            waiter.reply_to.set(self._list([self.view(task, limit=waiter.limit) for task in over]))
        except Exception as error:  # noqa: BLE001 - out of descriptors, say: whoever waits hears it, the others go on
            waiter.reply_to.set_exception(error)

    def hear(self, message: Heard) -> None:
        """Take note of what a caller in the host has seen, or waits for no more, of what is due, and of looks."""
        match message:
            case WaitTimedOut():
                self.end(message.waiter)
            case NewsDue() | RateDue() | WatchDue():
                self._due(message)
            case Acknowledge(task_ids, caller):
                for task in filter(None, map(self._registry.get, task_ids)):  # others were read in another way
                    self._note_read(task, caller)
            case Abandon(caller, task_ids, why):
                for task in reversed(self._registry.abandon(caller, task_ids)):
                    self._stop([task, *self._registry.unended_tasks(task.id)], why)
            case Forget(reply_to):
                self._forget(reply_to)
            case LookedAt():
                self._silences.looked(message)
            case _:
                assert_never(message)

    def _forget(self, reply_to: ReplyTo) -> None:
        self.notices.forget(reply_to)
        if self._watchers is not None:
            self._watchers.forget(reply_to)
        waiter = self._waiters.with_address(reply_to)
        if waiter is not None:
            self.end(waiter, is_heard=False)

    def _due(self, message: NewsDue | RateDue | WatchDue) -> None:
        match message:
            case NewsDue(caller, has_other):
                (self.notices.nudge if has_other else self.notices.due)(caller)
                self.budgets.look_at(caller)
            case RateDue(server) if self._rates is not None:
                self._rates.due(server)
            case WatchDue() if self._watchers is not None:
                self._watchers.due()
            case _:
                pass

    def note(self, noted: Noted, task: Task) -> None:
        """Take note of the same of a task."""
        caller, registry = Caller(task.id, task.agent), self._registry
        for seen in filter(None, map(registry.get, noted.seen)):
            if registry.may_see(caller, seen):
                self._note_read(seen, task.id)
        for number in noted.dropped:
            waiter = self._waiters.with_number(caller.id, number)
            if waiter is not None:
                self.end(waiter, is_heard=False)

    def task_ended(self, task: Task) -> None:
        """Have those answered who have waited for this task only."""
        self.notices.ended(task)
        for waiter in self._waiters.ended(task):
            self.let_end(waiter)

    def caller_gone(self, task_id: str) -> None:
        """Forget what a task has asked: its process has ended."""
        self.budgets.forget(task_id)
        if self._rates is not None:
            self._rates.forget(task_id)
        self._silences.forget(task_id)
        self.notices.caller_gone(task_id)
        for waiter in self._waiters.of(task_id):
            self.end(waiter, is_heard=False)

    def asked(self, task: Task) -> None:
        """Have those answered who wait for a question of a task, too."""
        self.notices.asked(task.parent)
        self.budgets.look_at(task.parent)
        for waiter in self._waiters.for_task(task):
            if waiter.is_due:
                self.let_end(waiter)

    def is_waited_for(self, task: Task) -> bool:
        """Tell whether the owner of a task waits for its end, and for nothing that it asks."""
        waiters = self._waiters.for_task(task)
        return any(waiter.caller == task.parent and not waiter.until_asked for waiter in waiters)

    def let_end(self, waiter: Waiter) -> None:
        """Have a waiter answered: one of a task when that has its turn, so that many hold up nobody. In any thread."""
        self._mailbox.tell_for(self._registry.get(waiter.caller), WaitTimedOut(waiter))

    def _entries(self, caller: Caller, only: list[str] | None) -> list[TaskView]:
        places = self._registry.queue.places() if self._registry.queued else {}
        return [
            # Of thousands, most have ended and stay as they are: they cost one look each.
            known
            if (known := task.last_entry) is not None and not known.workdir and task.is_over
            else task.entry(self._latest(task.id), places.get(task.id, 0))
            for task in self._registry.visible(caller, only)
            if not self._is_item(task, caller)
        ]

    def _is_item(self, task: Task, caller: Caller) -> bool:
        """Whether a task stands for an item of a group, which is listed in its place; not for people."""
        if caller.id is None or task.parent is None or task.parent == caller.id:
            return False
        parent = self._registry.get(task.parent)
        return parent is not None and parent.group is not None

    def _wait(self, request: WaitTasks, caller: Caller, reply_to: ReplyTo) -> None:
        tasks = self._found(request, caller)
        self._check_patience(caller, len(tasks))
        limit = self._output_limit(caller, request.limit, len(tasks))
        waiter = Waiter(tasks, request.mode, reply_to, caller.id, limit, request.peek, request.number)
        waiter.until_asked, waiter.known = request.until_asked, frozenset(request.known)
        self._waiters.add(waiter)
        if waiter.is_due:
            self.end(waiter)
        elif request.timeout is not None:
            waiter.timer = self._mailbox.call_later(max(0.0, request.timeout), lambda: self.let_end(waiter))

    def _found(self, request: WaitTasks | StopTasks, caller: Caller) -> list[Task]:
        """Return the tasks that a request names, each once; raises UnknownTaskError."""
        ids = dict.fromkeys(request.task_ids)
        if request.known_only:
            ids = {task_id: None for task_id in ids if self._registry.get(task_id) is not None}
        return [self._registry.find(task_id, caller) for task_id in ids]

    def _take_stop(self, request: StopTasks, caller: Caller, reply_to: ReplyTo) -> None:
        targets = self._found(request, caller)
        for task in targets:
            if task.is_over and request.refuse_ended:
                raise TaskEndedError(f"Task {task.id} has ended already: {task.status}. View it to read what it left.")
        trees = [[task, *self._registry.unended_tasks(task.id)] for task in targets]
        stopped = list(dict.fromkeys(task for tree in trees for task in tree))
        self._check_patience(caller, len(stopped))
        for tree in reversed(trees):
            self._stop(tree, str(caller))
        limit = self._output_limit(caller, request.limit, len(stopped))
        waiter = Waiter(stopped, "all", reply_to, caller.id, limit, request.peek)
        self._waiters.add(waiter)
        if waiter.is_due:
            self.end(waiter)

    def _check_patience(self, caller: Caller, tasks: int) -> None:
        """Refuse a request that would wait for tasks if its caller, a task, has too many that do."""
        if self._registry.get(caller.id) is None:
            return  # the host is trusted
        waits, waited_for = self._waiters.counts_of(caller.id)
        if waits >= _MOST_WAITS:
            raise RunError(f"{_MOST_WAITS:,} requests of this task wait for an answer already. Wait for some of them.")
        if waited_for + tasks > _MOST_WAITED:
            raise RunError(
                f"The requests of this task that wait for an answer would wait for {waited_for + tasks:,} tasks in "
                f"all, and {_MOST_WAITED:,} is the limit. Wait for some of them, or name fewer tasks."
            )

    def _await_turn(self, request: AwaitRate | AskTurn, caller: Caller, reply_to: ReplyTo) -> None:
        if isinstance(request, AskTurn):
            self.budgets.ask(self._registry.get(caller.id), request, reply_to)
            return
        if self._rates is None:
            from .rate_keeper import RateKeeper  # noqa: PLC0415 - few runs meet a rate limit

            self._rates = RateKeeper(self._mailbox.tell_later)
        self._rates.ask(request, caller.id or "", self._registry.get(caller.id), reply_to)

    def _watch(self, request: WatchTasks, caller: Caller, reply_to: ReplyTo) -> None:
        if self._watchers is None:
            from .watchers import Watchers  # noqa: PLC0415 - nobody watches most runs

            most = self._settings.max_running
            self._watchers = Watchers(self._registry, self._mailbox, place=self._where, max_running=most)
        self._watchers.watch(request, caller, reply_to)

    def _place(self, task: Task) -> int:
        return self._registry.queue.place(task) if task.status == "queued" else 0

    def _note_read(self, task: Task, caller: str | None) -> None:
        if not task.is_over:
            return
        was_owed = task.parent == caller and self.notices.told(task)
        if self._registry.note_read(task) or was_owed:
            self._journal.write_in_time(schema.mark_read(task.id, told=task.parent == caller))

    def _list(self, views: list[TaskView]) -> TaskList:
        return TaskList(
            tasks=views,
            running=self._registry.running,
            max_running=self._settings.max_running,
            queued=self._registry.queued,
            max_queued=self._settings.max_queued,
        )

    def _output_limit(self, caller: Caller, wanted: int | None, tasks: int = 1) -> int | None:
        """Return how many bytes of each task's output are in an answer: one to a task has no more than some in all."""
        if self._registry.get(caller.id) is None:
            return wanted
        most = max(1, _MOST_OUTPUT // max(1, tasks))
        return most if wanted is None else min(wanted, most)


def take_calls(inbox: ActorInbox) -> list[ReplyTo]:
    """Take the requests out of a mailbox, and return where their answers go."""
    envelopes = []
    while not inbox.empty():
        envelopes.append(inbox.get())
    for envelope in envelopes:
        if not isinstance(envelope.message, Call):
            inbox.put(envelope)
    return [envelope.message.reply_to for envelope in envelopes if isinstance(envelope.message, Call)]
