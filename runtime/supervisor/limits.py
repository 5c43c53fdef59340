"""Limits: sees which limit a task has reached: time, output, conversation; and has its process tree watched.

It says so in a sentence; the supervisor ends the task.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ...actors import Child
from ..tasks.wording import size
from .budget_views import longest_still, seconds_left, stood_still, unplaced
from .messages import DeadlinePassed, Mailbox, MendSampler, Reached
from .task import Task

if TYPE_CHECKING:
    from ..place.base import Place

__all__ = ["LimitKeeper"]

_CHECK: Final = 1.0
"""Seconds between looks at whether limits on trees are held, while there are tasks; and at whether a task has got the
node that it waits for."""

_FREE: Final = 256 * 1024
_CHARGE: Final = 2e-8
_CHARGE_EACH: Final = 2e-5
"""Characters that a turn may add to a conversation for nothing; the seconds that are charged for each beyond, and for
each message and turn: the journal's work."""

_MESSAGE_COST: Final = 1000
"""Characters that each message of a conversation counts for on top of its own: a row of the journal."""

_LONGEST_CONVERSATION: Final = 100_000_000
"""Characters of one task's conversation that the journal takes; no model reads a hundredth of it."""


class LimitKeeper:
    """See the module. Used in the supervisor's thread, but where a method says otherwise.

    Args:
        mailbox: the supervisor's; it is told `Reached`, `DeadlinePassed` and `MendSampler`.
        place: where tasks run.
    """

    def __init__(self, mailbox: Mailbox, place: Place) -> None:
        self._mailbox = mailbox
        self._place = place
        self._is_checking = False

    def begin(self, task: Task) -> None:
        """Have its time measured from now on, over all attempts; `DeadlinePassed` comes when it is up."""
        self._measure(task)

    def wait_for_node(self, task: Task) -> None:
        """Have its time stand still until `placed`: its place may have no room for long."""
        task.unplaced_since = time.monotonic()
        self._measure(task)

    def placed(self, task: Task) -> None:
        """Have its time measured, if it has waited for a node."""
        if task.unplaced_since is not None:
            task.unplaced, task.unplaced_since = unplaced(task), None
            self._measure(task)

    def pause(self, task: Task) -> None:
        """Have its time stand still, as far as it may in all: it waits for an answer."""
        if task.waits_since is None:
            task.waits_since = time.monotonic()
            self._measure(task)

    def go_on(self, task: Task) -> None:
        """Have its time measured again."""
        if task.waits_since is not None:
            task.waited, task.waits_since = stood_still(task), None
            self._measure(task)

    def _measure(self, task: Task) -> None:
        """Have `DeadlinePassed` come when its time is up as things are now."""
        left = seconds_left(task)
        if task.deadline is not None:
            task.deadline.cancel()
            task.deadline = None
        if left is None or task.concluded:
            return
        if task.unplaced_since is not None:
            task.deadline = self._mailbox.tell_later(_CHECK, DeadlinePassed(task))
            return
        more = 0.0 if task.waits_since is None else longest_still(task) - stood_still(task)
        task.deadline = self._mailbox.tell_later(left + more, DeadlinePassed(task))

    def watch(self, task: Task, child: Child) -> None:
        """Have the tree of a task's process looked at until `forget`."""
        self._place.watch(
            task.id,
            task.body,
            child.process,
            task.setup.limits,
            lambda sentence: self._end_at_once(task, child, sentence),
        )
        if not self._is_checking:
            self._is_checking = True
            self._mailbox.call_later(_CHECK, self._check)

    def forget(self, task: Task) -> None:
        """Look no more at a task whose process has ended."""
        self._place.forget(task.id)

    def cut_output(self, task: Task, child: Child, data: bytes) -> bytes:
        """Return what a task may still say; if that is not all of it, its process is killed. In the I/O thread."""
        limit = task.setup.limits.output
        if limit is None or task.output.size + len(data) <= limit:
            return data
        self._end_at_once(task, child, f"The limit output of {size(limit)} was reached: it went on saying more.")
        return data[: max(0, limit - task.output.size)]

    def add_messages(self, task: Task, messages: list[str]) -> tuple[float, str]:
        """Count what a conversation has grown by, which could not be one with a model beyond some length.

        Returns:
            seconds to charge the task for it, and the limit that it has reached as a sentence; empty if none.
        """
        added = sum(map(len, messages)) + _MESSAGE_COST * len(messages)
        task.conversation_size += added
        seconds = (1 + len(messages)) * _CHARGE_EACH + max(0, added - _FREE) * _CHARGE
        if task.conversation_size <= _LONGEST_CONVERSATION:
            return seconds, ""
        held = f"{size(_LONGEST_CONVERSATION)} of its conversation are kept, and it went on adding more."
        return seconds, f"No more than {held}"

    def time_reached(self, task: Task) -> str:
        """Return the limit on time as a sentence, where its time is up: `DeadlinePassed` has come.

        It is empty for one that waited for a node: it still does, or its time is measured from now on.
        """
        if task.unplaced_since is not None:
            if task.body.waits_for:
                self._measure(task)
            else:
                self.placed(task)
            return ""
        ran = time.monotonic() - task.started - stood_still(task) - unplaced(task)
        limit = f"The limit wall_clock of {task.setup.limits.wall_clock:g} s was reached: it had run for {ran:.1f} s"
        return f"{limit}." if task.setup.agent.entrypoint is not None else f"{limit}, too short for a last turn."

    def _end_at_once(self, task: Task, child: Child, sentence: str) -> None:
        """End a task's process for a limit that it has reached. In any thread."""
        if not task.limit_reached:
            # In its turn, and before the kill: neither a later answer nor the end may be heard of first.
            self._mailbox.tell_in_turn(child, Reached(task, sentence))
        child.process.kill()  # not in its turn, for which it may have to wait: it could do harm meanwhile

    def _check(self) -> None:
        """See that the looks go on, for as long as there is anything to look at. Runs in the I/O thread."""
        if not self._place.gets_on():
            self._mailbox.tell_for(None, MendSampler())
        self._is_checking = False
        if self._place.is_watching:
            self._is_checking = True
            self._mailbox.call_later(_CHECK, self._check)
