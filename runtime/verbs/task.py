"""Task: the handle of a task, for programs whose threads wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tasks.talk import SteerReceipt
from ..tasks.views import TaskView
from . import steps
from .callbacks import check_callback
from .driving import drive
from .handle import TaskHandle, check_kind
from .streams import LIMIT, EventStream, Stream, events_of

__all__ = ["Task"]


class Task(TaskHandle):
    """A task, for programs that block. Every member may be used from any thread."""

    __slots__ = ()

    def view(self) -> TaskView:
        """Return the task as it is now, with its output; see `BlockingVerbs.view`.

        Raises:
            UnknownTaskError: it has ended and was read, and is forgotten by now.
        """
        return drive(self._way, steps.view(self.id, self._way.past, closely=True))

    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002 - the name that users read
        """Wait until the task has ended, and return its result.

        Args:
            timeout: seconds to wait at most; None: without end.
            type: what to make of the result: a dataclass, msgspec struct, pydantic model, TypedDict, or an annotation
                of these; None leaves it plain data.

        Raises:
            TaskFailed: it has failed.
            TaskStopped: it was stopped.
            TimeoutError: it has not ended in time; it goes on.
            NotOfTypeError: the result is not of that type.
            UnknownTaskError: it was read by other means, and is forgotten by now.
            TypeError: no data can become that type, or the timeout is no number; nothing is waited for then.
        """
        check_kind(type)
        return self._result(drive(self._way, steps.ended(self.id, timeout, self.end)), type)

    def output(self) -> str:
        """Return what the task has said so far; raises as `view`."""
        return drive(self._way, steps.view(self.id, self._way.past)).output

    def follow(self) -> Stream[str]:
        """Return what the task says, from the first that is kept to its end: pieces of text, as they come.

        Also of a task that has ended. Of what was not kept, a line says how many bytes are left out.

        Raises:
            UnknownTaskError: it has ended and was read, and is forgotten by now.
        """
        return Stream(self._way.speech(self.id), f"the output of {self.id}")

    def events(self, *, since: str | None = None, limit: int = LIMIT) -> EventStream:
        """Return a stream of the task's events, to its `TaskEnded`; see `BlockingVerbs.events`."""
        return EventStream(*events_of(self._way, [self], since, limit))

    def resume(self, message: str | None = None) -> Task:
        """Continue the task, which has ended, as a new one; see `BlockingVerbs.resume`."""
        accepted = drive(self._way, steps.resume(self._way, self.id, message))
        return Task(accepted.task_id, accepted.agent, self._way)

    def stop(self) -> TaskView:
        """Stop the task and all that it has started; return when all of it is gone.

        That is within the grace period and a second. A task that has ended is returned as it is.
        """
        return drive(self._way, steps.stop([self.id]))[0]

    def steer(self, message: str) -> SteerReceipt:
        """Say something to the task; see `BlockingVerbs.steer`."""
        return drive(self._way, steps.steer(self.id, message))

    def add_done_callback(self, function: Callable[[Task], object]) -> None:
        """Have a function called with this handle when the task has ended; soon, if it has.

        It is called in a thread of the runtime's, one callback after the other. One that raises is logged. The result
        still is to be read.

        Raises:
            TypeError: it is a coroutine function.
        """
        check_callback(function)
        self._have_called(function, self._way.call_back)
