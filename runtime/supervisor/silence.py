"""Silence keeper: views of silent tasks wait here for a close look at them, which takes a moment.

The supervisor goes on meanwhile. A look is shared by all who wait for it, and holds for a second; the stack is taken
once in a silence. Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from ..place.base import Look, Place
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.messages import ViewTask
from ..tasks.views import Silence, ToolInUse
from .messages import LookedAt, Mailbox
from .task import Task

__all__ = ["SilenceKeeper"]

_PATIENCE: Final = 1.0
"""Seconds for which a view waits for a look at most: that may hang where a process of the task does."""

_FRESH: Final = 1.0
"""Seconds for which a look holds."""

_MOST_WAITING: Final = 100
"""Views of one task that wait for a look; beyond, they are answered without."""

_Waiting: TypeAlias = list[tuple[ViewTask, Caller, ReplyTo]]


class _Seen:
    """What is known of one task.

    Attributes:
        silent_since: the sign of life after which the silence began.
        stack: of the main thread, in this silence.
        stack_at: when it was taken.
        dump_at: where in its log it is to be, once it was asked for; None before.
        is_refused: whether its process cannot be asked for it.
        stack_missing: why there is none.
        look: the latest.
        looked_at: when that was seen; monotonic, as all times here.
        waiting: the views that wait for the next.
    """

    def __init__(self, silent_since: float) -> None:
        self.silent_since = silent_since
        self.stack = ""
        self.stack_at = 0.0
        self.dump_at: int | None = None
        self.is_refused = False
        self.stack_missing = ""
        self.look: Look | None = None
        self.looked_at = float("-inf")
        self.waiting: _Waiting = []


class SilenceKeeper:
    """See the module.

    Args:
        place: looks.
        mailbox: the supervisor's.
        answer: answers a view.
    """

    def __init__(self, place: Place, mailbox: Mailbox, answer: Callable[[ViewTask, Caller, ReplyTo], None]) -> None:
        self._place = place
        self._mailbox = mailbox
        self._answer = answer
        self._seen: dict[str, _Seen] = {}

    @property
    def waiting(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [reply_to for seen in self._seen.values() for _, _, reply_to in seen.waiting]

    def ask(self, task: Task, request: ViewTask, caller: Caller, reply_to: ReplyTo) -> bool:
        """Have a view wait for a look at its task; False if there is nothing to wait for, and it is to be answered."""
        if not task.silent_for:
            return False
        seen = self._seen.get(task.id)
        if seen is None or seen.silent_since != task.last_sign:
            waiting = seen.waiting if seen is not None else []
            seen = self._seen[task.id] = _Seen(task.last_sign)
            seen.waiting = waiting
        if time.monotonic() - seen.looked_at < _FRESH or len(seen.waiting) >= _MOST_WAITING:
            return False
        seen.waiting.append((request, caller, reply_to))
        if len(seen.waiting) == 1:
            self._begin(task, seen)
        return True

    def silence(self, task: Task) -> Silence | None:
        """Return what is known of a silent task; None if it is not silent, or nobody has looked."""
        seen = self._seen.get(task.id)
        if seen is None or not task.silent_for or seen.silent_since != task.last_sign:
            return None
        now = time.monotonic()
        tools = task.attempt.tools.values() if task.attempt is not None else ()
        look = seen.look
        missing = [seen.stack_missing, look.missing if look is not None else "It did not show itself within a second."]
        return Silence(
            tools=tuple(ToolInUse(call.name, now - call.since) for call in sorted(tools, key=lambda call: call.since)),
            stack=seen.stack,
            stack_age=now - seen.stack_at if seen.stack else 0.0,
            processes=look.processes if look is not None else (),
            missing=" ".join(dict.fromkeys(filter(None, missing))),
        )

    def looked(self, message: LookedAt) -> None:
        """Answer who has waited for a look, which has come, or does not come in time."""
        seen = self._seen.get(message.task.id)
        if seen is None or seen.silent_since != message.silent_since:
            return
        look = message.look
        if look is not None:
            seen.look = look
            seen.looked_at = float("-inf") if look.is_put_off else time.monotonic()
            if message.with_stack and not look.is_put_off:
                seen.stack, seen.stack_at = look.stack, seen.looked_at
                seen.stack_missing, seen.dump_at = "" if look.stack else look.missing, look.dump_at
                seen.is_refused = look.dump_at is None
        self._let_go(seen)

    def forget(self, task_id: str) -> None:
        """Forget a task whose process has ended; who waits is answered."""
        seen = self._seen.pop(task_id, None)
        if seen is not None:
            self._let_go(seen)

    def _begin(self, task: Task, seen: _Seen) -> None:
        with_stack, since = not seen.stack and not seen.is_refused, seen.silent_since
        timer = self._mailbox.tell_later(_PATIENCE, LookedAt(task, since))

        def done(look: Look) -> None:
            timer.cancel()
            self._mailbox.tell_for(task, LookedAt(task, since, look, with_stack))

        self._place.look_closely(task.body, done, with_stack=with_stack, dump_at=seen.dump_at)

    def _let_go(self, seen: _Seen) -> None:
        waiting, seen.waiting = seen.waiting, []
        for request, caller, reply_to in waiting:
            self._answer(request, caller, reply_to)
