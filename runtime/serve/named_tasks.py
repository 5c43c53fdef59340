"""Named tasks: a way to the supervisor by which a caller sees some of its tasks only, those that it has named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ..errors import UnknownTaskError
from ..tasks.messages import ListTasks, Request

if TYPE_CHECKING:
    from ..tasks.gateway import Gateway
    from ..tasks.views import TaskView

__all__ = ["NamedTasks"]

Reply = TypeVar("Reply")

_FORGOTTEN: Final = "There is no such task here, or it is forgotten by now."


class NamedTasks:
    """A gateway; see the module.

    Args:
        gateway: the caller's.
        is_named: whether a task is one of them.
    """

    def __init__(self, gateway: Gateway, is_named: Callable[[TaskView], bool]) -> None:
        self._gateway = gateway
        self._is_named = is_named

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        """See `Gateway`. Lists have the named tasks only, and no error names others."""
        asked = self._gateway.ask(request)
        shown: Future[Reply] = Future()
        shown.add_done_callback(lambda shown: asked.cancel() if shown.cancelled() else None)
        asked.add_done_callback(functools.partial(self._show, shown, is_list=isinstance(request, ListTasks)))
        return shown

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Gateway`."""
        self._gateway.acknowledge(task_ids)

    def _show(self, shown: Future[Any], asked: Future[Any], *, is_list: bool) -> None:
        if not shown.set_running_or_notify_cancel():
            return
        error = asked.exception()
        if error is not None:
            shown.set_exception(UnknownTaskError(_FORGOTTEN) if isinstance(error, UnknownTaskError) else error)
            return
        reply = asked.result()
        shown.set_result(
            msgspec.structs.replace(reply, tasks=[*filter(self._is_named, reply.tasks)]) if is_list else reply
        )
