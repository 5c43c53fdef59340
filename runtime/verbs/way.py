"""Way: how verbs reach the supervisor. The host has one; a task has another, for its own subtree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..tasks.gateway import ReplyTo
from ..tasks.messages import Request
from ..tasks.views import Status, TaskView

__all__ = ["Way"]


class Way(Protocol):
    """See the module. Every method may be called from any thread, and returns at once.

    Attributes:
        acknowledges: whether `acknowledge` reaches the supervisor; else what a reply shows counts as read at once.
    """

    acknowledges: bool

    @property
    def max_running(self) -> int:
        """How many tasks may run at a time."""
        ...

    def call_back(self, function: Callable[[], object]) -> None:
        """Have a function of the program's called soon, in a thread that it may hold up."""

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
