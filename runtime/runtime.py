"""Runtime: the product as a library whose methods block.

It is thin: a `Host` does the work, and lives and ends with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

from ..actors.interrupts import result_of
from .errors import UnknownTaskError
from .host import Host
from .supervisor.events import EventStream
from .tasks.messages import ListTasks, Request, RunTask, StopTask, ViewTask, WaitTasks
from .tasks.views import TaskView
from .team.config import Team
from .text import encodable

if TYPE_CHECKING:
    from ..actors.fence import FenceOffer
    from .orchestrator import OrchestratorTools

__all__ = ["Runtime"]

Reply = TypeVar("Reply")

TaskViews: TypeAlias = list[TaskView]
"""Has a name, as `list` is a method in what follows."""


class Runtime:
    """Runs the agents of one team, each task in a process of its own.

    Every method may be called from any thread of the process that made the runtime; a process forked from it must make
    its own. Use it as a context manager, or call `close`. A runtime that is dropped without either is closed when the
    interpreter exits; one whose host is killed leaves no process behind.

    Args:
        team: a checked team.
        state_dir: folder in which this run gets a folder of its own, for the journal and for what tasks say; made with
            mode 0700 if missing. None is `$SUBACTORS_STATE_DIR`, or else `subactors` in the user's state folder.
        working_dir: where tasks work, and orchestrators of this process; None: the current directory of this process
            when they start.
        settings: fields of `Settings`, such as `max_running=50`, that win over the team file's.

    Raises:
        StateError: the state folder cannot be used.
        TypeError: a setting that does not exist, or has the wrong type.
        ValueError: a setting is out of its range, or `working_dir` is not a folder.
        UnsupportedPlatformError: not on this operating system.
    """

    def __init__(
        self,
        team: Team,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        self._host = Host(team, state_dir=state_dir, working_dir=working_dir, for_many=True, **settings)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Self:
        """Make a runtime for a team file.

        Raises:
            TeamFileError: the file cannot be used; it has every problem of it, with line and key.
        """
        from .teamfile.load import load_team  # noqa: PLC0415 - YAML is needed for files only

        return cls(load_team(path), state_dir=state_dir, working_dir=working_dir, **settings)

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Self:
        """Make a runtime for a team that is given as what a team file holds; raises as `from_file` does."""
        from .teamfile.load import team_from_mapping  # noqa: PLC0415 - as above

        return cls(team_from_mapping(mapping), state_dir=state_dir, working_dir=working_dir, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def team(self) -> Team:
        """The team, with the settings that are in force."""
        return self._host.team

    @property
    def fence(self) -> FenceOffer:
        """The fence that this kernel offers between tasks and this process; not for those with `privileges: keep`."""
        from ..actors.fence import offer  # noqa: PLC0415 - for hosts that ask

        return offer()

    def run(self, agent: str, task: str, *, expected_output: str | None = None) -> str:
        """Start a task and return its id at once, while its process is still starting.

        Raises:
            UnknownAgentError: the team has no such agent.
            EmptyTaskError: there is nothing to do.
            CapacityError: as many tasks run, or wait to be read, as may.
            RequirementError: the agent, or one it may start, needs something this machine lacks.
            RuntimeClosedError: the runtime is closed.
            TypeError: an argument is not a string.
        """
        return self._ask(RunTask(agent, _fit(task), _fit(expected_output))).task_id

    def list(self) -> TaskViews:
        """Return all tasks, oldest first; of their output only the end."""
        return self._ask(ListTasks()).tasks

    def view(self, task_id: str) -> TaskView:
        """Return one task, with its output: of this run, or of an earlier one in the same state folder.

        Raises:
            UnknownTaskError: there is no such task.
        """
        try:
            return self._ask(ViewTask(task_id))
        except UnknownTaskError:
            from .control.other_hosts import past_view  # noqa: PLC0415 - for hosts that look back

            past = past_view(self._host.state_folder, task_id)
            if past is None:
                raise
            return past

    def wait(
        self,
        task_ids: Sequence[str] | None = None,
        *,
        mode: Literal["all", "any"] = "all",
        timeout: float | None = None,
    ) -> TaskViews:
        """Wait until all, or any, of some tasks have ended, and return those that have, in the order given.

        Args:
            task_ids: which; None is all there are now.
            mode: wait for all of them, or for any.
            timeout: seconds to wait at most; then fewer are returned.

        Raises:
            UnknownTaskError: one of them is unknown.
        """
        if mode not in {"all", "any"}:
            raise ValueError(f"mode is {mode!r}; it must be 'all' or 'any'.")
        if isinstance(task_ids, str):
            raise TypeError("wait takes a list of task ids, not one id: wait([task_id]).")
        ids = [view.id for view in self.list()] if task_ids is None else list(task_ids)
        if not ids:
            return []
        return self._ask(WaitTasks(ids, mode, timeout)).tasks

    def stop(self, task_id: str) -> TaskView:
        """Stop a task and all that it has started; return when all of it is gone.

        That is within the grace period and a second. A task that has ended is returned as it is.

        Raises:
            UnknownTaskError: there is no such task.
        """
        return self._ask(StopTask(task_id)).tasks[0]

    def history(self) -> TaskViews:
        """Return the tasks of earlier runs in the same state folder, oldest first; `view` has their output and result.

        What a host that died left unfinished is failed, with that reason. A run is kept for a week, and for as long as
        one of its results has not been read: `view` of a task is what reads it.

        Raises:
            StateError: the state folder cannot be read.
        """
        from .control.other_hosts import tasks_of  # noqa: PLC0415 - for hosts that look back

        self._host.check_usable()
        tasks = tasks_of(self._host.state_folder).tasks
        return [task.view for task in tasks if task.host_pid is None]

    def events(self) -> EventStream:
        """Return a stream of what happens from now on: started, output, tool calls, ended. Each event has its `time`.

        Within a task, tool calls arrive in order, output arrives in order, and both precede its end. Their order
        relative to each other is not guaranteed.

        Iterating blocks until something happens, and ends when the stream or the runtime is closed.
        """
        return self._host.events()

    def toolset(self, agent: str) -> OrchestratorTools:
        """Return the tools of an agent, as its model would see them, for a loop of the host's own.

        Each call makes a new orchestrator: it sees and stops the tasks that it started, and no others.

        Raises:
            UnknownAgentError: the team has no such agent.
            ToolsetError: one of its MCP servers cannot be used.
        """
        from .orchestrator import open_tools  # noqa: PLC0415 - brings asyncio and the toolsets

        return open_tools(self._host, agent)

    def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything. Bounded; may be repeated.

        An interrupt (`KeyboardInterrupt`) ends the wait: what still runs is killed.
        """
        self._host.close()

    def _ask(self, request: Request[Reply]) -> Reply:
        return result_of(self._host.ask(request))


def _fit(text: Any) -> Any:
    """Make text that a program gives fit to be sent; what is not text is refused later."""
    return encodable(text) if isinstance(text, str) else text
