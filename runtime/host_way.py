"""Host's way: how the verbs of the host program reach the supervisor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .child.current import refuse_endless_import
from .errors import UnknownTaskError
from .host import Host
from .tasks.gateway import Caller, HostGateway, ReplyTo
from .tasks.messages import CheckData, Request, RunTask, StopTasks, ViewTask, WaitTasks, checked
from .tasks.views import Status, TaskView
from .text import one_line
from .verbs.held import Held
from .verbs.room import Room

if TYPE_CHECKING:
    from .control.former import FormerTask
    from .data_check import DataChecks
    from .supervisor.reader import Reader, Speech
    from .supervisor.remembered import AboutEnded
    from .supervisor.task import Task

__all__ = ["HostWay"]


class HostWay:
    """The host program's way to the supervisor; see `Way`."""

    acknowledges = True
    sends_code = True
    waits_for_room = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self.held = Held()
        self._room = Room(self.settle)
        self._gateway = HostGateway(host.supervisor, Caller())

    @property
    def max_running(self) -> int:
        """See `Way`."""
        return self._host.team.settings.max_running

    def call_back(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._host.callbacks.call(function)

    def settle(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._host.settling.call(function)

    def ask_again(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._room.ask_again(function)

    def data_check(self, request: RunTask) -> CheckData | None:
        """See `Way`."""
        if request.call or not self._host.team.has_entrypoints:
            return None
        checked(request)
        return self._data_checks.wanted(request.agent, request.data)

    @functools.cached_property
    def _data_checks(self) -> DataChecks:
        from .data_check import DataChecks  # noqa: PLC0415 - for programs that have entrypoints

        return DataChecks(self._host.system, self._host.team, self.settle)

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """See `Way`. When the host is closed, its tasks can still be waited for, and looked at."""
        if isinstance(request, WaitTasks | ViewTask | StopTasks) and self._host.is_closed:
            self._send_closed(request, reply_to)
            return
        self._host.check_usable()
        if isinstance(request, CheckData):
            self._data_checks.check(request, reply_to)
            return
        if isinstance(request, RunTask):
            refuse_endless_import(functools.partial(self._modules_of, request))
        self._gateway.send(checked(request), reply_to)

    def _send_closed(self, request: AboutEnded, reply_to: ReplyTo) -> None:
        from .supervisor.remembered import RememberedIfClosed, answer_remembered  # noqa: PLC0415 - for hosts that end

        checked(request)
        if self._host.supervisor.is_alive():
            self._gateway.send(request, RememberedIfClosed(reply_to, self._host.registry, request))
        else:
            answer_remembered(self._host.registry, request, reply_to)

    def _modules_of(self, request: RunTask) -> list[str]:
        """Return the names of the modules whose code a task would import."""
        from .tasks.calls import modules_of_call  # noqa: PLC0415 - few tasks have a host of their own
        from .team.functions import module_named  # noqa: PLC0415 - as above

        if request.call:
            return modules_of_call(request.call)
        agent = self._host.team.agents.get(request.agent)
        if agent is None:
            return []
        given = [] if agent.entrypoint is None else [agent.entrypoint]
        given += [function for toolset in agent.toolsets for function in toolset.options.get("functions", ())]
        models = [model.name.partition(":")[0] for model in agent.models if model.is_function]
        return [*map(module_named, given), *models]

    def forget(self, reply_to: ReplyTo) -> None:
        """See `Way`."""
        self._gateway.forget(reply_to)

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Way`."""
        self._gateway.acknowledge(task_ids)

    def status(self, task_id: str) -> Status | None:
        """See `Way`."""
        task = self._host.registry.get(task_id)
        return None if task is None else task.status

    def events(self, task_ids: Sequence[str] | None, since: str | None, limit: int) -> Reader:
        """See `Way`."""
        self._host.check_usable()
        tasks = None if task_ids is None else [self._remembered(task_id) for task_id in dict.fromkeys(task_ids)]
        return self._host.hub.open(tasks, since, limit)

    def speech(self, task_id: str) -> Speech:
        """See `Way`."""
        from .supervisor.reader import Speech  # noqa: PLC0415 - to import the package is cheap

        self._host.check_usable()
        task = self._remembered(task_id)
        return Speech(self._host.hub.follow(task), task.output)

    def _remembered(self, task_id: str) -> Task:
        task = self._host.registry.get(task_id)
        if task is None:
            raise UnknownTaskError(f"There is no task {one_line(task_id, 50)!r} here, or it is forgotten by now.")
        return task

    def former(self, task_id: str) -> FormerTask | None:
        """See `Way`."""
        from .control.former import former_task  # noqa: PLC0415 - for programs that continue tasks

        return former_task(self._host.state_folder, task_id)

    def past(self, task_id: str) -> TaskView | None:
        """See `Way`."""
        from .control.other_hosts import past_view  # noqa: PLC0415 - for hosts that look back

        return past_view(self._host.state_folder, task_id)
