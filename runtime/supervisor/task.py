"""Task: the supervisor's record of one task.

Fields change in the supervisor's thread only.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ...actors import Child, RestartHistory, Timer
from ..models.base import Usage
from ..runs.output import LAST, OutputFiles
from ..tasks.questions import Question
from ..tasks.spec import AgentSetup, TaskSpec
from ..tasks.talk import Letter
from ..tasks.views import TERMINAL, Progress, Status, TaskView, ToolAtWork, Vitals, iso_time
from ..text import bounded, encodable
from .attempt import Attempt
from .doing import doing, doing_began, only_waits
from .outcome import StopRequest
from .purse import TurnBook

if TYPE_CHECKING:
    from ..place.base import Body
    from ..runs.claims import Claim
    from ..tasks.group_request import Group
    from .purse import Purse

__all__ = ["LetterBook", "Stop", "Task"]

_LIST_TEXT: Final = 10_000
"""Characters of a task's text in a list, head and tail."""


class Stop(NamedTuple):
    """A stop that was asked for.

    Attributes:
        requested: monotonic time at which it was.
        by: who asked, for the reason; empty if nobody did.
        ended_owner: the agent whose end the task is stopped for; empty if somebody asked.
    """

    requested: float
    by: str
    ended_owner: str


@dataclass(eq=False, slots=True)
class LetterBook:
    """What was said to a task while it runs.

    Attributes:
        count: how many letters there have been.
        waiting: those that it has not taken.
        listeners: how many of its threads and coroutines wait for one.
    """

    count: int = 0
    waiting: list[Letter] = field(default_factory=list)
    listeners: int = 0


@dataclass(eq=False, slots=True)
class Task:
    """One task.

    Attributes:
        id: begins with `agent_task_`.
        agent: name of its agent.
        text: what it was asked to do.
        parent: id of who started it; None for the host.
        owners: ids of all who own it: its parent, its parent's parent, and so on.
        chain: the agents from the orchestrator's down to its own.
        setup: its agent's.
        spec: what its process is given.
        output: what it has said.
        body: what it has where it runs.
        purses: what limits its tokens and its cost, its own or of those that it counts for; see `budgets`.
        turns: what is known of its turns, if it has purses.
        limit_exceeded: its own limit on these, as a sentence, when more is used: it fails, and is not ended for that.
        key: the name that whoever started it has given the piece of work; None if none.
        continues: id of the task whose conversation it goes on with; empty if it begins anew.
        claim: keeps others from continuing the same; None if it begins anew.
        item_of: id of the group of which it does an item; None if it does none.
        group: what is remembered of it if it is the group of tasks for many items; else None.
        is_root: whether it is the root of a run of the command line, which takes up none of the room for tasks.
        is_told: whether its start has been told to those who follow events, if anybody did.
        queued_at: when it was queued, in seconds since the epoch; None: it never was, because there was a slot for it.
        started: monotonic time; of one that is queued, when it was.
        started_at: the same, in seconds since the epoch.
        has_slot: whether it takes up one of the slots.
        running_below: how many of the tasks that it owns have slots.
        queued_below: how many of the tasks that it owns are queued.
        waiting_in_branch: how many tasks of the branch whose first it is have slots and own queued ones.
        attempt: the latest, until its end is told; None before the first.
        deadline: due when it has run for as long as it may; None if it may for ever.
        restarts: when it was started again.
        attempts: how many processes it has had; 0 before it has started.
        message_count: how many places its conversation has in the journal.
        conversation_size: how many characters of its conversation have come in, over all attempts.
        limit_reached: the limit that it has reached, as a sentence; empty if none.
        concluded: whether its end has been decided, and is being written down before anybody is told.
        last_sign: monotonic time at which it last said or did anything.
        rate_wait: the model whose rate limit it waits for, and since when (monotonic); None if it waits for none.
        result: its final answer as JSON text; None while there is none, and where it is in a file.
        result_file: the file with its final answer, where that was too large to be sent; else empty.
        answered: what its model said in its last turn without tool calls, as a result: an answer, which is kept back
            while tasks run that it has started. Empty if there is none, and after the end.
        stop: the stop that was asked for; None if none was. It may come between two attempts.
        ended_at: when its end was decided, in seconds since the epoch; None while it is not.
        ran_for: seconds from its start to that; None while it is not.
        usage: of itself, over all attempts.
        total_usage: with that of all tasks that it started, and theirs.
        error: see `TaskView`; of its latest attempt.
        traceback: the user's own part of the traceback of what ended its latest attempt; empty if there is none.
        error_args: see `TaskView`.
        read: whether anybody has seen it ended.
        is_owed: whether whoever started it is still to be told of its end; see `notices`.
        is_forgettable: whether it may be forgotten: it was read, or whoever it was for has ended.
        is_abandoned: whether whoever it was for is gone, so that it may be forgotten as soon as it has ended.
        number: its place among all tasks of the run.
        counted_size: bytes that the registry counts for it.
        progress: how far its latest attempt has come, if it has told.
        questions: what it has asked, and waits to be answered, oldest first.
        waits: since when (monotonic) it waits for tasks, by where the answers go.
        waits_since: monotonic time since which it only waits for answers; None: it does not.
        waited: seconds that it has waited for answers before that, which no limit on its time counts.
        unplaced_since: monotonic time since which it waits for a node; None: it does not.
        unplaced: seconds that it has waited for nodes before that, which no limit on its time counts.
        letters: what was said to it while it runs; None: nothing.
        last_entry: how it stands in lists while it is queued, or since it has ended; made when first wanted.
    """

    id: str
    agent: str
    text: str
    parent: str | None
    owners: tuple[str, ...]
    chain: tuple[str, ...]
    setup: AgentSetup
    spec: TaskSpec
    output: OutputFiles
    body: Body
    purses: tuple[Purse, ...] = ()
    turns: TurnBook = field(default_factory=TurnBook)
    limit_exceeded: str = ""
    key: str | None = None
    continues: str = ""
    claim: Claim | None = None
    item_of: str | None = None
    group: Group | None = None
    is_root: bool = False
    is_told: bool = False
    queued_at: float | None = None
    started: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    has_slot: bool = False
    running_below: int = 0
    queued_below: int = 0
    waiting_in_branch: int = 0
    attempt: Attempt | None = None
    deadline: Timer | None = None
    restarts: RestartHistory = field(default_factory=RestartHistory)
    attempts: int = 1
    message_count: int = 0
    conversation_size: int = 0
    limit_reached: str = ""
    concluded: bool = False
    last_sign: float = field(default_factory=time.monotonic)
    rate_wait: tuple[str, float] | None = None
    status: Status = "starting"
    reason: str = ""
    result: str | None = None
    result_file: str = ""
    answered: str = ""
    usage: Usage = field(default_factory=Usage)
    total_usage: Usage = field(default_factory=Usage)
    vitals: Vitals | None = None
    error: str = ""
    traceback: str = ""
    error_args: str = ""
    stop: Stop | None = None
    ended_at: float | None = None
    ran_for: float | None = None
    read: bool = False
    is_owed: bool = False
    is_forgettable: bool = False
    is_abandoned: bool = False
    number: int = 0
    last_entry: TaskView | None = None
    progress: Progress | None = None
    counted_size: int = 0
    letters: LetterBook | None = None
    questions: tuple[Question, ...] = ()
    waits: dict[object, float] = field(default_factory=dict)
    waits_since: float | None = None
    waited: float = 0.0
    unplaced_since: float | None = None
    unplaced: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL

    @property
    def runtime(self) -> float:
        """Seconds since its start; 0 before it."""
        return time.monotonic() - self.started if self.attempts else 0.0

    @property
    def running_child(self) -> Child | None:
        """Its process; None while it has none."""
        return None if self.attempt is None or self.attempt.is_over else self.attempt.child

    def queue(self) -> None:
        """Make a task that is new one that is queued."""
        self.status = "queued"
        self.queued_at = self.started_at
        self.attempts = 0

    def leave_queue(self, *, starts: bool = True) -> None:
        """Make a task that is queued one that starts now, or is stopped before that."""
        self.status = "starting" if starts else "stopping"
        self.last_entry = None
        if starts:
            self.started, self.started_at = time.monotonic(), time.time()
            self.attempts = 1

    def release(self) -> None:
        """Let go of what only a task needs that has not ended: its process, what that was given, and what it claims."""
        self.attempt = self.deadline = None
        self.answered = ""
        self.let_others_continue()
        spec = self.spec
        if spec.conversation or spec.call or spec.output_schema or (spec.data, spec.expected_output) != (None, None):
            self.spec = msgspec.structs.replace(
                spec, conversation=(), call=b"", data=None, expected_output=None, output_schema=""
            )

    def let_others_continue(self) -> None:
        """Let go of its claim to what it continues."""
        if self.claim is not None:
            self.claim.release()
            self.claim = None

    def kept_size(self) -> int:
        """Return about how many bytes are kept of what it was given and has answered."""
        spec = self.spec
        given = (self.text, self.result, spec.expected_output, spec.data, spec.call, spec.output_schema)
        return sum([sys.getsizeof(kept) for kept in (*given, *spec.conversation) if kept])

    def stop_request(self, grace: float) -> StopRequest | None:
        """Return the stop that is under way; None if there is none.

        Args:
            grace: seconds that it has to end by itself.
        """
        if self.stop is None:
            return None
        return StopRequest(grace, time.monotonic() - self.stop.requested, self.stop.by, self.stop.ended_owner)

    def entry(self, vitals: Vitals | None, queue_place: int = 0) -> TaskView:
        """Return the task as it is now, with the last of its output only: an entry of a list.

        One that is queued or has ended is not looked at again, nor are its files.

        Args:
            vitals: the latest sample; an ended task has its own.
            queue_place: its place in the queue.
        """
        if self.last_entry is not None:
            if self.last_entry.workdir:
                self.last_entry = msgspec.structs.replace(self.last_entry, workdir=self._workdir())
            elif self.last_entry.queue_place != queue_place:
                self.last_entry = msgspec.structs.replace(self.last_entry, queue_place=queue_place)
            return self.last_entry
        entry = self.view(vitals=vitals, output=False, queue_place=queue_place)
        if entry.traceback or entry.error_args or len(self.text) > _LIST_TEXT:
            entry = msgspec.structs.replace(entry, traceback="", error_args="", task=bounded(self.text, _LIST_TEXT))
        if self.is_over or self.status == "queued":
            self.last_entry = entry
        return entry

    def view(
        self, *, vitals: Vitals | None = None, output: bool = True, limit: int | None = None, queue_place: int = 0
    ) -> TaskView:
        """Return the task as it is now. May be called in any thread.

        Args:
            vitals: the latest sample; an ended task has its own.
            output: whether all output is wanted, or only its end.
            limit: bytes of output wanted, head and tail; None is all that is kept.
            queue_place: its place in the queue.
        """
        # With a limit no more is read than is wanted: this is the supervisor's thread, and there may be megabytes.
        text = self.output.text(limit) if output else self.output.last_lines(LAST)
        return TaskView(
            id=self.id,
            agent=self.agent,
            task=self.text,
            status=self.status,
            reason=self.reason,
            error=self.error,
            traceback=self.traceback,
            error_args=self.error_args,
            runtime=self.ran_for if self.ran_for is not None else self.runtime,
            started_at=iso_time(self.started_at) if self.attempts else "",
            queued_at=iso_time(self.queued_at) if self.queued_at is not None else None,
            queue_place=queue_place,
            ended_at=iso_time(self.ended_at) if self.ended_at is not None and self.is_over else None,
            output=text,
            output_size=self.output.size,
            result_json=self.result,
            result_file=self.result_file,
            usage=self.usage,
            total_usage=self.total_usage,
            vitals=self.vitals or vitals,
            parent=self.parent,
            attempts=self.attempts,
            pid=None if self.is_over else self.body.pid,
            node=self.body.node,
            workdir=self._workdir(),
            doing=doing(self) + (f", {time.monotonic() - self.rate_wait[1]:.0f} s so far" if self.rate_wait else ""),
            doing_began_at=iso_time(began) if (began := doing_began(self)) is not None else None,
            tools=self.tools,
            group=self.item_of,
            silent=self.silent_for,
            progress=self.progress,
            continues=self.continues,
            questions=[*self.questions],
        )

    def _workdir(self) -> str:
        # Fit to be sent: whoever asks may be a task, and the state folder may have any name.
        return encodable(self.body.present_folder())

    @property
    def tools(self) -> list[ToolAtWork]:
        """The tools that it is in, the longest first."""
        if self.attempt is None or self.is_over:
            return []
        calls = sorted(self.attempt.tools.values(), key=lambda call: call.began)
        return [ToolAtWork(call.name, iso_time(call.began)) for call in calls]

    @property
    def has_result(self) -> bool:
        """Whether there is a final answer, and it is not None."""
        return bool(self.result_file) or self.result not in {None, "null"}

    @property
    def silent_for(self) -> float:
        """Seconds since its last sign of life; 0 if it is not silent for long, or only waits for what is known."""
        silent = time.monotonic() - self.last_sign
        if self.status != "running" or silent <= self.setup.settings.stall_after or only_waits(self):
            return 0.0
        return silent
