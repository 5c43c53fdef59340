"""`Runtime`: the product as a library.

It puts supervisor, processes and events together and speaks to the host program. It holds
no truth about tasks, it asks the supervisor; it installs no signal handler and writes to no standard stream.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import math
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import msgspec
import pykka

from ..actors import ProcessSystem, check_platform, open_standard_descriptors
from ..actors.interrupts import result_of
from .child.actor import TaskActor
from .child.preload import modules_of, tell_of_failure
from .child.rehearsal import rehearsal
from .control.server import ControlServer
from .errors import RuntimeClosedError, StateError, UnknownTaskError
from .runs.folder import RunFolder, is_live, runs, state_root
from .runs.forks import fork_lock
from .runs.journal import Journal
from .runs.worktree_keeper import WorktreeKeeper
from .supervisor.events import EventHub, EventStream
from .supervisor.supervisor import TaskSupervisor
from .tasks.gateway import Call, Caller, Close, HostGateway, ReplyTo
from .tasks.messages import ListTasks, Request, RunTask, StopTask, TaskRequest, ViewTask, WaitTasks
from .tasks.views import TaskView
from .team.config import MAY_BE_ZERO, Limits, Settings, Team
from .text import encodable

if TYPE_CHECKING:
    from ..actors.fence import FenceOffer
    from .agent.surroundings import Surroundings
    from .orchestrator import OrchestratorTools

__all__ = ["Runtime"]

Reply = TypeVar("Reply")

_ELSEWHERE = "`subactors stop`"
"""Who asks through the control socket, as a reason tells it: nobody else stops tasks there."""

_CLOSE_MARGIN = 5.0
"""Seconds beyond the grace period that closing may take."""


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
        ValueError: a setting is out of its range, or `working_dir` is no folder.
        UnsupportedPlatformError: not on this operating system.
    """

    _for_many = True
    """See `ProcessSystem`: a program that embeds the runtime has some use for it."""

    def __init__(
        self,
        team: Team,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        self._team = msgspec.structs.replace(team, settings=_apply(team.settings, settings))
        self._working_directory = _folder(working_dir)
        self._owner = os.getpid()
        self._closed = False
        self._close_lock = threading.Lock()
        check_platform()
        open_standard_descriptors()
        from .team.key_variables import Keys  # noqa: PLC0415 - for those who have a team; to import this package is cheap

        self._folder = RunFolder.create(state_root(state_dir))
        self._journal = Journal(self._folder.journal, {"host": str(self._owner), "team": team.source})
        self._hub = EventHub()
        self._keys = Keys(self._team)
        self._system = ProcessSystem(
            preload=modules_of(self._team),
            standby=self._team.settings.standby,
            folders=self._team.folders,
            late_preload=self._team.settings.preload,
            preload_failed=tell_of_failure,
            rehearsal=(TaskActor, (rehearsal(self._team),)),
            for_many=self._for_many,
            withheld=self._keys.names,
            fenced=True,
        )
        self._worktrees = WorktreeKeeper()
        self._supervisor = TaskSupervisor.start(
            self._system,
            self._team,
            self._folder,
            self._journal,
            self._hub,
            worktrees=self._worktrees,
            keys=self._keys,
            working_directory=self._working_directory,
        )
        self._host = HostGateway(self._supervisor, Caller())
        self._toolsets: builtins.list[OrchestratorTools] = []
        self._control: ControlServer | None = None
        self._housekeeping = threading.Thread(target=self._keep_house, name="subactors-house", daemon=True)
        atexit.register(self.close)
        try:
            self._system.prepare()
            self._control = ControlServer(self._system.io, self._folder.control, self._answer_elsewhere)
            self._housekeeping.start()
        except BaseException:
            self.close()
            raise

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
        return self._team

    @property
    def fence(self) -> FenceOffer:
        """What the kernel keeps tasks from doing to this process and each other; not those with `privileges: keep`."""
        from ..actors.fence import offer  # noqa: PLC0415 - for hosts that ask

        return offer()

    def run(self, agent: str, task: str, *, expected_output: str | None = None) -> str:
        """Start a task and return its id at once, while its process is still starting.

        Raises:
            UnknownAgentError: the team has no such agent.
            EmptyTaskError: there is nothing to do.
            CapacityError: as many tasks run, or wait to be read, as may.
            RequirementError: the agent, or one that it may start, needs what this machine has not.
            RuntimeClosedError: the runtime is closed.
            TypeError: what should be text is none.
        """
        return self._ask(RunTask(agent, _fit(task), _fit(expected_output))).task_id

    def list(self) -> builtins.list[TaskView]:
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
            past = self._past_view(task_id)
            if past is None:
                raise
            return past

    def wait(
        self,
        task_ids: Sequence[str] | None = None,
        *,
        mode: Literal["all", "any"] = "all",
        timeout: float | None = None,
    ) -> builtins.list[TaskView]:
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

    def history(self) -> builtins.list[TaskView]:
        """Return the tasks of earlier runs in the same state folder, oldest first; `view` has their output and result.

        What a host that died left unfinished is failed, with that reason. A run is kept for a week, and for as long as
        one of its results has not been read: `view` of a task is what reads it.

        Raises:
            StateError: the state folder cannot be read.
        """
        from .control.other_hosts import tasks_of  # noqa: PLC0415 - for hosts that look back

        self._check_usable()
        tasks = tasks_of(self._folder.path.parent).tasks
        return [task.view for task in tasks if task.host_pid is None]

    def events(self) -> EventStream:
        """Return a stream of what happens from now on: started, output, tool calls, ended. Each event has its `time`.

        Of one task, tool calls come in their order, output in its order, and all of both before the end; output takes
        a shorter way than tool calls, so where it comes between them is left open.

        Iterating blocks until something happens, and ends when the stream or the runtime is closed.
        """
        self._check_usable()
        return self._hub.stream()

    def toolset(self, agent: str) -> OrchestratorTools:
        """Return the tools of an agent, as its model would see them, for a loop of the host's own.

        Each call makes a new orchestrator: it sees and stops the tasks that it started, and no others.

        Raises:
            UnknownAgentError: the team has no such agent.
            ToolsetError: one of its MCP servers cannot be used.
        """
        from .orchestrator import open_toolset  # noqa: PLC0415 - brings asyncio and the toolsets

        toolset = open_toolset(self._team, agent, self.surroundings)
        with self._close_lock:
            if self._closed:
                toolset.close()
            self._check_usable()
            self._toolsets = [*(other for other in self._toolsets if not other.closed), toolset]
        return toolset

    def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything. Bounded; may be repeated.

        An interrupt (`KeyboardInterrupt`) ends the wait: what still runs is killed.
        """
        if os.getpid() != self._owner:
            return  # a forked process has no part in it
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self.close)
            # Last in, first out; all of it, even if an interrupt cuts one short.
            with contextlib.ExitStack() as steps:
                steps.callback(self._folder.release)
                steps.callback(self._journal.close)
                steps.callback(self._worktrees.close)
                steps.callback(self._hub.close)
                for toolset in self._toolsets:
                    steps.callback(toolset.close)
                steps.callback(self._stop_supervisor)
                steps.callback(self._system.close, grace=0.0)
                if self._control is not None:
                    steps.callback(self._control.close)
                if self._housekeeping.is_alive():
                    # Not without end: of each of hundreds of runs somebody may hold the journal.
                    steps.callback(self._housekeeping.join, _CLOSE_MARGIN)
                steps.callback(self._worktrees.hurry_up)
                self._end_tasks()

    def _end_tasks(self) -> None:
        """Have the supervisor end all tasks, and wait until they are gone."""
        done: Future[None] = Future()
        # The supervisor may be gone: `pykka.ActorRegistry.stop_all()` in the host stops it, too.
        with contextlib.suppress(TimeoutError, pykka.ActorDeadError):
            self._supervisor.tell(Close(done))
            result_of(done, self._team.settings.stop_grace + _CLOSE_MARGIN)

    def _answer_elsewhere(self, request: TaskRequest, reply_to: ReplyTo) -> None:
        """Hand the supervisor a request of another process of the same user. Runs in the I/O thread."""
        self._supervisor.tell(Call(request, Caller(title=_ELSEWHERE), reply_to))

    def _keep_house(self) -> None:
        """See to runs that ended before: note what their hosts left unfinished, remove what is old and read."""
        with fork_lock:  # a process forked in the middle of an import could never import that module
            from .runs.upkeep import prune, recover  # noqa: PLC0415 - not needed before the first task may start
            from .runs.worktrees import sweep  # noqa: PLC0415 - the same

        with contextlib.suppress(StateError):
            recover(self._folder.path.parent)
            prune(self._folder.path.parent)
            sweep(self._folder.path.parent, self._worktrees.hurry)

    def _stop_supervisor(self) -> None:
        with contextlib.suppress(pykka.Timeout):
            self._supervisor.stop(timeout=_CLOSE_MARGIN)

    # --- for the other faces of the runtime -------------------------------------------------------------------------

    def surroundings(self, agent: str) -> Surroundings:
        """Return what an orchestrator in this process needs to run an agent; for the command line and toolsets."""
        from .agent.surroundings import Surroundings  # noqa: PLC0415 - for hosts that run an agent themselves

        self._check_usable()
        config = self._team.agents[agent]
        return Surroundings(
            gateway=self.gateway(agent),
            sub_agents=[(name, self._team.agents[name].description) for name in config.sub_agents],
            permissions=self._team.permissions,
            settings=self._team.settings,
            working_directory=Path(self._working_directory or Path.cwd()),
            shared_directory=Path(self._working_directory or Path.cwd()),
            environ=os.environ,
            withheld=self._keys.names,
        )

    def gateway(self, agent: str | None) -> HostGateway:
        """Return a new orchestrator's way to the supervisor.

        Args:
            agent: whose sub-agents it may start; None: any agent.
        """
        return HostGateway(self._supervisor, Caller(f"orchestrator_{os.urandom(4).hex()}", agent))

    def _past_view(self, task_id: str) -> TaskView | None:
        """Return a task of an earlier run; None if there is none with that id, or its host lives."""
        from .control.other_hosts import ForeignTask  # noqa: PLC0415 - for hosts that look back

        with contextlib.suppress(StateError):
            for path in reversed(runs(self._folder.path.parent)):
                if is_live(path):
                    continue  # nor is its journal touched: this process may be its host
                with contextlib.suppress(UnknownTaskError, StateError), ForeignTask(path, task_id) as task:
                    return msgspec.structs.replace(task.view_by_journal(), output=task.output.text())
        return None

    def _ask(self, request: Request[Reply], gateway: HostGateway | None = None) -> Reply:
        self._check_usable()
        # What tasks ask was checked when it was decoded; what a program gives may be of any type.
        try:
            checked = msgspec.convert(msgspec.structs.asdict(request), type(request))
        except msgspec.ValidationError as error:
            raise TypeError(f"An argument has the wrong type: {error}.") from None
        return result_of((gateway or self._host).ask(checked))

    def _check_usable(self) -> None:
        if os.getpid() != self._owner:
            raise RuntimeClosedError(
                "This runtime belongs to the process that this one was forked from. Make a new one here."
            )
        if self._closed:
            raise RuntimeClosedError("The runtime is closed.")


def _fit(text: Any) -> Any:
    """Make text that a program gives fit to be sent; what is no text is refused later."""
    return encodable(text) if isinstance(text, str) else text


def _folder(working_dir: str | os.PathLike[str] | None) -> str:
    if working_dir is None:
        return ""
    folder = Path(os.fsdecode(working_dir)).absolute()
    if not folder.is_dir():
        raise ValueError(f"working_dir is {folder}, which is no folder.")
    return str(folder)


def _apply(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    known = [field.name for field in msgspec.structs.fields(Settings)]
    for name in changes:
        if name not in known:
            raise TypeError(f"Runtime has no setting {name!r}; settings are {', '.join(known)}.")
    values = {**msgspec.structs.asdict(settings), **changes}
    values["limits"] = msgspec.to_builtins(values["limits"])
    try:
        changed = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise TypeError(f"A setting of the runtime has the wrong type: {error}.") from None
    for name, value in msgspec.structs.asdict(changed).items():
        if isinstance(value, Limits | tuple):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in MAY_BE_ZERO):
            least = "of at least 0" if name in MAY_BE_ZERO else "above 0"
            raise ValueError(f"The setting {name} is {value}; it must be a finite number {least}.")
    return changed
