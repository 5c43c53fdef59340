"""Way: how verbs reach the supervisor. The host has one; a task has another, for its own subtree."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import RuntimeClosedError
from ..tasks.gateway import Nobody, ReplyTo
from ..tasks.messages import CheckData, Request, RunTask, StopTasks, TaskAccepted
from ..tasks.views import Status, TaskView
from .arguments import NotPickled
from .held import Held

if TYPE_CHECKING:
    from pathlib import Path

    from ..tasks.events import Event
    from ..tasks.past import Past

__all__ = ["Former", "Source", "Verbs", "Way", "stop_unknown", "stop_unseen"]

T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """Where a stream takes its items from; nothing in it waits."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all that came before is taken."""
        ...

    def take(self) -> T_co | None:
        """Return the next item; None if there is none now."""
        ...

    def arm(self, wake: Callable[[], object], /) -> bool:
        """Have a function called, once, in any thread, as soon as there is something to take, or the end has come.

        It must return at once. False if there is something already: then it is not called.
        """
        ...

    def disarm(self) -> None:
        """Have it not called any more."""

    def close(self) -> None:
        """End it. In any thread."""


class Former(Protocol):
    """A task of another run, that is to be continued.

    Attributes:
        past: what is needed for that.
        run: the folder of its run.
    """

    past: Past
    run: Path

    def note_continued(self) -> None:
        """Note with its run that a task goes on with it."""


class Way(Protocol):
    """See the module. Every method may be called from any thread, and returns at once.

    Attributes:
        acknowledges: whether `acknowledge` reaches the supervisor; else what a reply shows counts as read at once.
        sends_code: whether functions may go by value; else only those that are found by their names.
        held: what the program holds of its tasks.
        waits_for_room: whether room that others take may be waited for without end; a task takes some itself.
    """

    acknowledges: bool
    sends_code: bool
    held: Held
    waits_for_room: bool

    @property
    def max_running(self) -> int:
        """How many tasks may run at a time."""
        ...

    def call_back(self, function: Callable[[], object]) -> None:
        """Have a function of the program's called soon, in a thread that it may hold up: one after the other."""

    def settle(self, function: Callable[[], object]) -> None:
        """As `call_back`, but beside others: one that does not return holds up no other."""

    def ask_again(self, function: Callable[[], object]) -> None:
        """Have a function called in a while, which must return at once: what was refused had no room; see `Room`."""

    def data_check(self, request: RunTask) -> CheckData | None:
        """Check the data of a task; return what is to be asked before the task is started, if more is to be known.

        Raises:
            NotOfTypeError: the data is not what the agent's entrypoint takes.
            TypeError: there is none, and the entrypoint cannot be called without.
        """
        ...

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """Send a request; its reply, or an error, goes to the address, in a thread that must not be held up.

        Raises:
            RuntimeClosedError: the runtime is closed, or belongs to another process.
            TypeError: a field of the request has the wrong type.
        """

    def forget(self, reply_to: ReplyTo) -> None:
        """Have a request answered no more: whoever sent it has given up."""

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """Tell which ends have been seen."""

    def status(self, task_id: str) -> Status | None:
        """Return the status of a task; None where only the supervisor knows it, or it is forgotten."""
        ...

    def past(self, task_id: str) -> TaskView | None:
        """Return a task of an earlier run in the same state folder; None if there is none."""
        ...

    def former(self, task_id: str) -> Former | None:
        """Return a task of another run in the same state folder, to be continued; None if there is none.

        Raises:
            RunError: it has not ended.
            StateError: the state folder, or its journal, cannot be read.
        """
        ...

    def events(self, task_ids: Sequence[str] | None, since: str | None, limit: int) -> Source[Event]:
        """Return what becomes of tasks; see `BlockingVerbs.events`.

        Raises:
            UnknownTaskError: one of them is unknown.
            RuntimeClosedError: as `send`.
        """
        ...

    def speech(self, task_id: str) -> Source[str]:
        """Return what a task says, from the first that is kept to its end; raises as `events`."""
        ...


def stop_unknown(way: Way, reply: object) -> None:
    """Stop a task whose id came too late for whoever had it started. In any thread, that of the supervisor too.

    Not one with a key: somebody else may have asked for it, too. With a runtime that is closed all of its tasks end.
    """
    if isinstance(reply, TaskAccepted) and not reply.is_shared:
        stop_unseen(way, [reply.task_id])


def stop_unseen(way: Way, task_ids: Sequence[str]) -> None:
    """Stop tasks whose ends nobody will look at. Returns at once."""
    if sys.is_finalizing():
        return  # a map is dropped with the interpreter, which has closed every runtime
    with contextlib.suppress(RuntimeClosedError):  # then they are ending
        way.send(StopTasks([*task_ids], limit=0), Nobody())


class Verbs(NotPickled):
    """What a program asks of the supervisor, in whatever form.

    Args:
        way: to the supervisor.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
