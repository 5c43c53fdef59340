"""Briefing: what a new task is, and what its process is given. Starts nothing, and changes nothing."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import ChildSpec, ProcessLimits, RestartPolicy, environment
from ..child.actor import TaskActor
from ..runs.output import OutputFiles
from ..tasks.gateway import Caller
from ..tasks.messages import RunTask
from ..tasks.past import Past, ResumePast, conversation_of
from ..tasks.spec import AgentSetup, TaskSpec
from ..tasks.views import ID_PREFIX, Ids
from ..team.config import AgentConfig, Limits, Team
from .groups import GroupTask, encode_group
from .task import LetterBook, Task

if TYPE_CHECKING:
    from ...actors.regular_files import Folder
    from ..place.base import Body, Place
    from ..team.key_variables import Keys

__all__ = ["Briefings"]

_MOST_RESTARTS: Final = 100
_LEAST_PAUSE: Final = 0.1
"""Restarts within a period, and seconds before each, that a task may ask for, for a task of its own."""


class Briefings:
    """Makes tasks, and what their processes are given.

    Args:
        team: the agents; its settings are in force.
        place: where tasks run.
        outputs: folder of what they say.
        keys: the team's key variables.
        working_directory: of tasks; empty: the host's current directory when they start.
    """

    def __init__(self, team: Team, place: Place, outputs: Folder, *, keys: Keys, working_directory: str) -> None:
        self._team = team
        self._settings = team.settings
        self._told_settings = msgspec.structs.replace(team.settings, places=())  # no task has a use for those
        self._place = place
        self._outputs = outputs
        self._keys = keys
        self._working_directory = working_directory
        self._setups: dict[str, tuple[AgentSetup, bytes]] = {}
        self._ids = Ids(ID_PREFIX)

    def task(
        self,
        request: RunTask,
        caller: Caller,
        parent: Task | None,
        chain: tuple[str, ...],
        continued: ResumePast | None = None,
        *,
        near: Body | None,
    ) -> Task:
        """Return a new task, as one that starts at once.

        Args:
            request: what it is to do.
            caller: who wants it done.
            parent: the caller's task, if it is one.
            chain: the agents from the orchestrator's down to the new task's own.
            continued: the task that it continues; None: it begins anew.
            near: what another task has, whose node is its first choice; None: none is.
        """
        task_id = self._ids.new()
        setup, pickled_setup = self._setup_of(request, parent)
        body = self._place.body(task_id, setup.agent.workdir, self._place_of(request, setup.agent), near)
        conversation = conversation_of(continued.past, continued.message, body.own_folder) if continued else ()
        group = request if isinstance(request, GroupTask) else None
        spec = TaskSpec(
            id=task_id,
            agent=request.agent,
            entrypoint=setup.agent.entrypoint,
            workdir=setup.agent.workdir,
            pickled_setup=pickled_setup,
            task=request.task,
            expected_output=request.expected_output,
            working_directory=self._working_directory,
            own_folder=body.own_folder,
            max_result=self._settings.max_result,
            conversation=conversation,
            former_folder=continued.past.folder if continued is not None else "",
            is_root=caller.is_person,
            data=request.data,
            call=request.call if group is None else self._group_call(group, body.items_file),
            output_schema=request.options.output_schema or "",
        )
        return Task(
            id=task_id,
            agent=request.agent,
            text=request.task,
            parent=caller.id,
            owners=_owners(caller, parent),
            chain=chain,
            setup=setup,
            spec=spec,
            output=OutputFiles(self._outputs, task_id, self._settings.max_output),
            body=body,
            key=request.options.key,
            is_root=caller.is_person,
            continues=continued.past.id if continued is not None else "",
            letters=_letters(continued.past) if continued is not None else None,
            message_count=len(conversation),
            conversation_size=sum(map(len, conversation)),
            group=group.remembered(body.items_file) if group is not None else None,
            is_owed=request.notify,
        )

    def _place_of(self, request: RunTask, agent: AgentConfig) -> str:
        """Return the name of the place where a task runs. A group itself stays where its files are."""
        if isinstance(request, GroupTask):
            return ""
        wanted = request.options.place
        return (agent.place or self._settings.place) if wanted is None else wanted

    def _group_call(self, request: GroupTask, file: str) -> bytes:
        return encode_group(request, file, max_running=self._settings.max_running)

    def child(self, task: Task) -> ChildSpec:
        """Return what a task's next process is given."""
        agent = task.setup.agent
        # Those of this moment, and for this attempt: the task itself is kept without them.
        keys = self._keys.of(agent, environment())
        letters = tuple(task.letters.waiting) if task.letters is not None else ()
        if task.body.placement is not None:
            variables = self._keys.addresses_of(agent, environment())
            task.spec = msgspec.structs.replace(task.spec, variables=variables)
        spec = task.spec
        if keys or letters:
            spec = msgspec.structs.replace(spec, keys=keys, shows_keys=agent.keys, letters=letters)
        return ChildSpec(
            TaskActor,
            (spec,),
            grace=self._settings.stop_grace,
            capture=task.body.capture,
            limits=_process_limits(task.setup.limits),
            fenced=agent.privileges == "drop",
            placement=task.body.placement,
        )

    def _setup_of(self, request: RunTask, parent: Task | None) -> tuple[AgentSetup, bytes]:
        """Return what a new task has in common with others that are asked for in the same way, and the same pickled."""
        options = request.options
        if (options.limits, options.restart, options.workdir) == (None, None, None) and (
            not request.call or not (parent or request.is_ours)
        ):
            name = "" if request.call else request.agent
            known = self._setups.get(name)
            if known is None:
                known = self._setups[name] = self._setup(*self._agent(request, parent))
            return known
        agent, limits = self._agent(request, parent)
        agent = msgspec.structs.replace(
            agent, restart=_restart(options.restart, parent) or agent.restart, workdir=options.workdir or agent.workdir
        )
        return self._setup(agent, limits if options.limits is None else limits.within(options.limits))

    def _agent(self, request: RunTask, parent: Task | None) -> tuple[AgentConfig, Limits]:
        """Return whose the task is, and its limits, before what the request itself has of these."""
        if request.call:
            limits = self._settings.limits if parent is None else parent.setup.limits
            function = _function(parent)
            if isinstance(request, GroupTask):  # it takes no turns itself
                limits = msgspec.structs.replace(limits, iterations=None)
                function = msgspec.structs.replace(function, sub_agents=(request.target,))
            return function, limits
        agent = self._team.agents[request.agent]
        return agent, agent.limits.over(self._settings.limits)

    def _setup(self, agent: AgentConfig, limits: Limits) -> tuple[AgentSetup, bytes]:
        if limits.iterations is not None:
            iterations = min(limits.iterations, agent.max_iterations or limits.iterations)
            agent = msgspec.structs.replace(agent, max_iterations=iterations)
        setup = AgentSetup(
            agent=agent,
            sub_agents=tuple((other, self._team.agents[other].description) for other in agent.sub_agents),
            permissions=self._team.permissions,
            settings=self._told_settings,
            limits=limits,
            is_asked=agent.name in self._team.agents and self._team.is_asked(agent.name),
        )
        return setup, pickle.dumps(setup)


def _owners(caller: Caller, parent: Task | None) -> tuple[str, ...]:
    return (*parent.owners, parent.id) if parent is not None else tuple(filter(None, [caller.id]))


def _letters(past: Past) -> LetterBook | None:
    """Return what a task still has to take that continues another."""
    return LetterBook(len(past.letters), list(past.letters)) if past.letters else None


def _restart(wanted: RestartPolicy | None, parent: Task | None) -> RestartPolicy | None:
    """Return the policy that a request asks for; one of a task must not keep the host busy with restarts."""
    if wanted is None or parent is None:
        return wanted
    return msgspec.structs.replace(
        wanted,
        max_restarts=min(wanted.max_restarts, _MOST_RESTARTS),
        backoff=max(wanted.backoff, _LEAST_PAUSE),
        max_backoff=max(wanted.max_backoff, _LEAST_PAUSE),
    )


def _function(parent: Task | None) -> AgentConfig:
    """Return what stands for an agent where a function is the task: it may do no more than the task that starts it."""
    if parent is None:
        return AgentConfig(name="", entrypoint="")
    agent = parent.setup.agent
    return AgentConfig(
        name="",
        entrypoint="",
        sub_agents=agent.sub_agents,
        privileges=agent.privileges,
        keys=agent.keys and agent.has_own_code,
    )


def _process_limits(limits: Limits) -> ProcessLimits | None:
    """Return what the kernel is to hold an attempt to; None if nothing, which makes a start cheaper."""
    if limits.cpu is None and limits.memory is None and limits.processes is None:
        return None
    return ProcessLimits(limits.cpu, limits.memory, tree_bytes=limits.memory, tree_processes=limits.processes)
