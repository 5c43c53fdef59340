"""Host: everything that runs the tasks of one team in this process: built, owned and closed here.

It knows no task: the supervisor does, and `ask` is the way to it. It installs no signal handler and writes to no
standard stream.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import pykka

from ..actors import ProcessSystem, check_platform, open_standard_descriptors
from ..actors.interrupts import result_of
from .child.preload import tell_of_failure
from .child.system_arguments import arguments_of_system
from .errors import RuntimeClosedError, StateError
from .people import OnQuestion, People, asks_program
from .runs.folder import RunFolder, state_root
from .runs.forks import fork_lock
from .runs.journal import Journal
from .tasks.gateway import Call, Caller, Close, Forget, HostGateway, ReplyTo
from .tasks.messages import Request, checked
from .tasks.questions import AnswerQuestion
from .tasks.talk import SteerTask
from .tasks.views import Ids
from .team.config import Team
from .verbs.callbacks import MOST_SETTLING, Callbacks

if TYPE_CHECKING:
    from .agent.surroundings import Surroundings
    from .control.server import ControlRequest, ControlServer
    from .control.wire import Face
    from .nodes.places import Places
    from .tasks.views import TaskView
    from .telemetry.telemetry import Telemetry
    from .verbs.streams import EventStream

__all__ = ["Closable", "Host"]

Reply = TypeVar("Reply")

_STOPS: Final[dict[Face, str]] = {
    "command line": "`subactors stop`",
    "dashboard": "a person at `subactors dashboard`",
    "top": "a person at `subactors top`",
}
"""Who asks through the control socket, as a reason tells it."""

_SAYS: Final[dict[Face, str]] = {
    "command line": "a person at the command line",
    "dashboard": "a person at the dashboard",
    "top": "a person at `subactors top`",
}
"""Who says something to a task through the control socket, as the task is told."""

_CLOSE_MARGIN: Final = 5.0
"""Seconds beyond the grace period that closing may take."""


class Closable(Protocol):
    """Something that needs the host, and is closed with it."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed before."""
        ...

    def close(self) -> None:
        """Close it; may be repeated."""
        ...


class Host:
    """Runs the tasks of one team; see `Runtime` for the arguments, for what is raised, and for how it ends.

    Every method may be called from any thread of the process that made the host.

    Args:
        for_many: see `ProcessSystem`; a program that embeds the runtime has some use for it, unless `standby` is 0.
        telemetry: makes spans; closed with the host. None: the program's SDK of OpenTelemetry does, if there is one.

    Attributes:
        team: the team, with the settings that are in force.
        folder: the run's folder.
        journal: of this run.
        hub: of what becomes of tasks.
        system: starts the processes.
        worktrees: the git worktrees of tasks.
        registry: the tasks that are remembered; only the supervisor changes it.
        supervisor: reference to the task supervisor.
        callbacks: calls functions of the program's, one after the other.
        settling: settles the futures of executors.
        housekeeping: the thread that sees to earlier runs.
    """

    def __init__(
        self,
        team: Team,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        for_many: bool = True,
        on_question: OnQuestion | None = None,
        telemetry: Telemetry | None = None,
        **settings: Any,
    ) -> None:
        from .teamfile.in_force import with_settings  # noqa: PLC0415 - to import this package is cheap

        self.team = with_settings(team, settings)
        if self.team.settings.places:
            from .nodes.finding import require  # noqa: PLC0415 - most teams have one machine

            require(self.team.settings.places)
        self._working_directory = _folder(working_dir)
        asker = None if on_question is None else asks_program(on_question)
        self._owner, self._closed = os.getpid(), False
        self._orchestrator_ids = Ids("orchestrator_")
        self._close_lock = threading.Lock()
        self._adopting = threading.Lock()
        check_platform()
        open_standard_descriptors()
        from .team.key_variables import Keys  # noqa: PLC0415 - for those who have a team; to import this package is cheap

        self.folder = RunFolder.create(state_root(state_dir))
        from .runs.facts import Facts  # noqa: PLC0415 - to import this package is cheap

        facts = Facts.of_this_process(team.source, self._working_directory)
        self.journal = Journal(self.folder.journal, facts._asdict())
        self._keys = Keys(self.team)
        arguments = arguments_of_system(self.team, self._keys.names, for_many=for_many)
        self.system = ProcessSystem(**arguments, folders=self.team.folders, preload_failed=tell_of_failure)
        self.callbacks = Callbacks()
        self.settling = Callbacks(max(MOST_SETTLING, self.team.settings.max_running))
        self.people = People(self.ask)
        if asker is not None:
            self.people.attach(asker, "")
        self._start_supervisor(telemetry, arguments)
        self._adopted: list[Closable] = []
        self._control: ControlServer | None = None
        self.housekeeping = threading.Thread(target=self._keep_house, name="subactors-house", daemon=True)
        atexit.register(self.close)
        try:
            self.system.prepare()
            with fork_lock:  # as below
                from .control.server import ControlServer  # noqa: PLC0415 - to import this package is cheap

            self._control = ControlServer(self.system.io, self.folder.control, self._answer_elsewhere, self._forget)
            self.housekeeping.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state_folder(self) -> Path:
        """The folder that this run's is in, beside those of other runs."""
        return self.folder.path.parent

    def ask(self, request: Request[Reply], caller: Caller = Caller()) -> Future[Reply]:  # noqa: B008 - frozen
        """Ask the supervisor; the future holds its reply, or raises a SubactorsError.

        Args:
            request: what is asked.
            caller: on whose behalf; without one, on the host program's.

        Raises:
            RuntimeClosedError: the host is closed, or belongs to another process.
            TypeError: a field of the request has the wrong type.
        """
        self.check_usable()
        return HostGateway(self.supervisor, caller).ask(checked(request))

    def gateway(self, agent: str | None) -> HostGateway:
        """Return a new orchestrator's way to the supervisor.

        Args:
            agent: whose sub-agents it may start; None: any agent.
        """
        return HostGateway(self.supervisor, Caller(self._orchestrator_ids.new(), agent))

    def surroundings(self, agent: str) -> Surroundings:
        """Return what a new orchestrator in this process needs to run an agent of the team."""
        from .agent.surroundings import Surroundings  # noqa: PLC0415 - for hosts that run an agent themselves

        self.check_usable()
        config = self.team.agents[agent]
        folder = Path(self._working_directory or Path.cwd())
        return Surroundings(
            gateway=self.gateway(agent),
            sub_agents=[(name, self.team.agents[name].description) for name in config.sub_agents],
            permissions=self.team.permissions,
            settings=self.team.settings,
            working_directory=folder,
            shared_directory=folder,
            environ=os.environ,
            withheld=self._keys.names,
            is_asked=self.team.is_asked(agent),
        )

    def events(self) -> EventStream:
        """Return a stream of what happens from now on."""
        from .verbs.streams import EventStream  # noqa: PLC0415 - for hosts that look on

        self.check_usable()
        return EventStream(self.hub.open(), "all tasks")

    def history(self) -> list[TaskView]:
        """Return the tasks of earlier runs; see `Runtime.history`. Reads their journals."""
        from .control.other_hosts import tasks_of  # noqa: PLC0415 - for hosts that look back

        self.check_usable()
        return [task.view for task in tasks_of(self.state_folder).tasks if task.host_pid is None]

    def adopt(self, other: Closable) -> None:
        """Close something with the host; if that is closed already, at once.

        Raises:
            RuntimeClosedError: it is.
        """
        with self._adopting:
            if self._closed:
                other.close()
            self.check_usable()
            self._adopted = [*(other for other in self._adopted if not other.closed), other]

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or closes now, and by this process."""
        return self._closed and os.getpid() == self._owner

    def check_usable(self) -> None:
        """Raise RuntimeClosedError if the host is closed, or belongs to the process that this one was forked from."""
        if os.getpid() != self._owner:
            raise RuntimeClosedError(
                "This runtime belongs to the process that this one was forked from. Make a new one here."
            )
        if self._closed:
            raise RuntimeClosedError("The runtime is closed.")

    def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything; see `Runtime.close`."""
        if os.getpid() != self._owner:
            return  # a forked process has no part in it
        # A callback that is called while somebody closes would wait for whoever waits for it.
        if not self._close_lock.acquire(blocking=not (self.callbacks.are_here or self.settling.are_here)):
            return
        try:
            with self._adopting:
                if self._closed:
                    return
                self._closed = True
            atexit.unregister(self.close)
            # Last in, first out; all of it, even if an interrupt cuts one short.
            with contextlib.ExitStack() as steps:
                steps.callback(self.folder.release)
                steps.callback(self.journal.close)
                steps.callback(self.worktrees.close)
                steps.callback(self.hub.close)
                for other in self._adopted:
                    steps.callback(other.close)
                steps.callback(self.callbacks.close)
                steps.callback(self.settling.close)
                if self._telemetry is not None:
                    steps.callback(self._telemetry.close)
                steps.callback(self._stop_supervisor)
                steps.callback(self.people.close)
                steps.callback(self.system.close, grace=0.0)
                if self._places is not None:
                    steps.callback(self._places.leave)
                if self._control is not None:
                    steps.callback(self._control.close)
                if self.housekeeping.is_alive():
                    # Not without end: of each of hundreds of runs somebody may hold the journal.
                    steps.callback(self.housekeeping.join, _CLOSE_MARGIN)
                steps.callback(self.worktrees.hurry_up)
                self._end_tasks()
        finally:
            self._close_lock.release()

    def _start_supervisor(self, telemetry: Telemetry | None, system: dict[str, Any]) -> None:
        # Imported here, and not when the first task runs: what cannot be imported ends no host with limits to hold.
        with fork_lock:  # a process forked in the middle of an import could never import that module
            from .place.local import LocalPlace  # noqa: PLC0415 - who imports the package may never run a task
            from .runs.worktree_keeper import WorktreeKeeper  # noqa: PLC0415 - the same
            from .supervisor.course import Course  # noqa: PLC0415 - the same
            from .supervisor.events import EventHub  # noqa: PLC0415 - the same
            from .supervisor.registry import TaskRegistry  # noqa: PLC0415 - the same
            from .supervisor.supervisor import TaskSupervisor  # noqa: PLC0415 - the same
            from .telemetry.finding import find_telemetry  # noqa: PLC0415 - the same

            self._telemetry = telemetry or find_telemetry()

        self.worktrees = WorktreeKeeper()
        here = LocalPlace(self.folder, self.worktrees)
        self._places: Places | None = None
        if self.team.settings.places:
            from .nodes.finding import places_of  # noqa: PLC0415 - most teams have one machine

            self._places = places_of(
                self.team, here, self.system, arguments=system, working_directory=self._working_directory
            )
        self.hub = EventHub()
        self.registry = TaskRegistry()
        self.supervisor = TaskSupervisor.start(
            self.system,
            self.team,
            self._places or here,
            self.journal,
            self.hub,
            registry=self.registry,
            outputs=self.folder.outputs,
            keys=self._keys,
            working_directory=self._working_directory,
            people=self.people,
            course=Course(self.journal, self._telemetry, self.folder.path.name),
        )

    def _end_tasks(self) -> None:
        """Have the supervisor end all tasks, and wait until they are gone."""
        done: Future[None] = Future()
        # The supervisor may be gone: `pykka.ActorRegistry.stop_all()` in the host stops it, too.
        with contextlib.suppress(TimeoutError, pykka.ActorDeadError):
            self.supervisor.tell(Close(done))
            result_of(done, self.team.settings.stop_grace + _CLOSE_MARGIN)

    def _stop_supervisor(self) -> None:
        with contextlib.suppress(pykka.Timeout):
            self.supervisor.stop(timeout=_CLOSE_MARGIN)

    def _answer_elsewhere(self, request: ControlRequest, reply_to: ReplyTo, face: Face) -> None:
        """Hand the supervisor a request of another process of the same user. Runs in the I/O thread."""
        title = (_SAYS if isinstance(request, SteerTask | AnswerQuestion) else _STOPS)[face]
        self.supervisor.tell(Call(request, Caller(title=title), reply_to))

    def _forget(self, reply_to: ReplyTo) -> None:
        """Tell the supervisor that another process has gone which waited for an answer. Runs in the I/O thread."""
        with contextlib.suppress(pykka.ActorDeadError):
            self.supervisor.tell(Forget(reply_to))

    def _keep_house(self) -> None:
        """See to runs that ended before: note what their hosts left unfinished, remove what is old and read."""
        with fork_lock:  # a process forked in the middle of an import could never import that module
            from .runs.upkeep import prune, recover  # noqa: PLC0415 - not needed before the first task may start
            from .runs.worktrees import sweep  # noqa: PLC0415 - the same

        with contextlib.suppress(StateError):
            recover(self.state_folder)
            prune(self.state_folder)
            sweep(self.state_folder, self.worktrees.hurry)


def _folder(working_dir: str | os.PathLike[str] | None) -> str:
    if working_dir is None:
        return ""
    folder = Path(os.fsdecode(working_dir)).absolute()
    if not folder.is_dir():
        raise ValueError(f"working_dir is {folder}, which is not a folder.")
    return str(folder)
