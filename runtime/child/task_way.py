"""Task's way: how the verbs reach the supervisor from inside a task's process. It sees the task's own subtree only."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import msgspec

from ...actors import ForkedError, SupervisorRef
from ..errors import RunError, RuntimeClosedError, UnknownTaskError
from ..tasks.gateway import ReplyTo, TaskGateway
from ..tasks.messages import Noted, Request, RunTask, ViewTask, WaitTasks, checked
from ..tasks.views import Status, TaskView
from ..verbs.callbacks import MOST_SETTLING, Callbacks
from ..verbs.held import Held
from ..verbs.room import Room
from .current import refuse_endless_import

__all__ = ["TaskWay"]

_NO_EVENTS: Final = (
    "Only the host program follows events. Inside a task, `wait`, `view` and `output` tell how its tasks get on."
)


class TaskWay:
    """See the module, and `Way`. Replies come in the mailbox thread of the process.

    Args:
        supervisor: the task's.
        max_running: see `Way`.
    """

    acknowledges = True
    sends_code = False
    waits_for_room = False

    def __init__(self, supervisor: SupervisorRef, max_running: int) -> None:
        self._supervisor = supervisor
        self._gateway = TaskGateway(supervisor)
        self._callbacks = Callbacks()
        self._settling = Callbacks(MOST_SETTLING)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waits: dict[ReplyTo, int] = {}
        self.max_running = max_running
        self.held = Held()
        self._room = Room(self.settle)

    def ask_again(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._room.ask_again(function)

    def data_check(self, request: RunTask) -> None:
        """See `Way`: the process of the task that is started finds out."""
        del request

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """See `Way`."""
        request = checked(request)
        if isinstance(request, RunTask) and request.call:
            refuse_endless_import(functools.partial(_modules_of, request.call))
        try:
            if isinstance(request, WaitTasks):
                request, reply_to = self._numbered(request, reply_to)
            self._gateway.send(request, reply_to)
        except ForkedError:
            raise RuntimeClosedError("This process was forked from a task's, and cannot start tasks itself.") from None

    def forget(self, reply_to: ReplyTo) -> None:
        """See `Way`. A task may have a thousand waits; those that nobody waits for must not be among them."""
        with self._lock:
            number = self._waits.pop(reply_to, None)
        if number is not None:
            self._tell(Noted(dropped=[number]))

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Way`."""
        self._tell(Noted(seen=[*task_ids]))

    def status(self, task_id: str) -> Status | None:
        """See `Way`. Asks the host, which takes a millisecond; not in the mailbox thread."""
        try:
            return self._gateway.ask(ViewTask(task_id, limit=0, peek=True)).result().status
        except UnknownTaskError:
            return None

    def past(self, task_id: str) -> TaskView | None:
        """See `Way`: a task knows its own run only."""
        del task_id
        return None

    def former(self, task_id: str) -> None:
        """See `Way`: as `past`."""
        del task_id

    def call_back(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._callbacks.call(function)

    def settle(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._settling.call(function)

    def events(self, task_ids: Sequence[str] | None, since: str | None, limit: int) -> NoReturn:
        """See `Way`: events do not reach tasks."""
        del task_ids, since, limit
        raise RunError(_NO_EVENTS)

    def speech(self, task_id: str) -> NoReturn:
        """See `Way`: nor does what other tasks say, as it comes."""
        del task_id
        raise RunError(_NO_EVENTS)

    def close(self) -> None:
        """Have the callbacks called that are due; bounded. In the main thread, when the function has returned."""
        self._settling.close()
        self._callbacks.close()

    def _numbered(self, wait: WaitTasks, reply_to: ReplyTo) -> tuple[WaitTasks, _Answered]:
        number = next(self._numbers)
        with self._lock:
            self._waits[reply_to] = number
        return msgspec.structs.replace(wait, number=number), _Answered(reply_to, self._is_answered)

    def _is_answered(self, reply_to: ReplyTo) -> None:
        with self._lock:
            self._waits.pop(reply_to, None)

    def _tell(self, noted: Noted) -> None:
        with contextlib.suppress(ForkedError):
            self._supervisor.tell(noted)


def _modules_of(call: bytes) -> list[str]:
    from ..tasks.calls import modules_of_call  # noqa: PLC0415 - few tasks submit functions

    return modules_of_call(call)


class _Answered:
    """Address of the answer to a wait, which then is none any more; see `ReplyTo`."""

    def __init__(self, reply_to: ReplyTo, note: Callable[[ReplyTo], None]) -> None:
        self._reply_to = reply_to
        self._note = note

    def set(self, value: Any) -> None:
        """Hand it over."""
        self._note(self._reply_to)
        self._reply_to.set(value)

    def set_exception(self, error: BaseException) -> None:
        """Hand the error over."""
        self._note(self._reply_to)
        self._reply_to.set_exception(error)
