"""The sub-agent runtime: background tasks of LLM agents, each a supervised actor in a process of its own.

    with Runtime.from_file("team.yaml") as runtime:
        task_id = runtime.run("researcher", "Find X")
        print(runtime.wait([task_id])[0].result)

Importing it starts nothing, and imports nothing yet: each name brings what it needs when it is first used. A task's
process does not need the supervisor, and the help of the command line needs neither.

General layout. A room imports only rooms above it in this list (`tests/test_layers.py` holds it). Public is what the
`__all__` of this package and of `testing` say.

    errors.py text.py  all errors; text with bounds
    net/               how servers are reached, and how ours are set up: proxies, certificates
    team/              what is configured: frozen values, keys, what this machine lacks
    models/            who answers a turn: clients of model servers, and functions in their place
    teamfile/          reads a team file into a team, and tells all of its mistakes at once
    tasks/             the language of tasks: requests, reports, views, gateways
    runs/              what outlives a host: journal, output, results, worktrees
    vitals/            what tasks use of the machine, looked at by a thread of its own
    place/             where tasks run, and what they use and leave there
    nodes/             other machines on which tasks run, and how they get there
    toolsets/          what an agent may do
    agent/             one agent at work: its loop, its prompt
    telemetry/         spans and metrics for OpenTelemetry, where a program wants them
    control/           other hosts: asks them, and is asked by their users
    watching/          one model of all runs, live and past, for whoever watches
    verbs/             what a program asks, blocking and awaited: one implementation of each verb
    child/             in a task's process: its actor, its work, its streams
    supervisor/        in the host, one thread: the truth about tasks
    people.py          the persons whom a host can ask
    host.py            builds, owns and closes all of the above; the way to the supervisor
    data_check.py      whether data is what an entrypoint takes, before a process starts for it
    host_way.py        the host program's way to the supervisor, for the verbs
    orchestrator.py    an agent's tools, for a host with a loop of its own
    runtime_base.py    what both forms of the library have: how one is made, its team
    runtime.py         `Runtime`: the library, blocking
    async_runtime.py   `AsyncRuntime`: the library, awaited
    testing.py         the fault kit (public)
    adapters/          other frameworks: our tools for their agents, their agents as our entrypoints (public)
    demo/              the demonstration
    bench/             measures fan-outs, and the same work by other ways
    timeline/          a picture of a run afterwards
    terminal/          what a program writes to a person, and how a person interrupts it
    dashboard/         a web page that shows all runs, and its server
    top/               the screen of a terminal that shows all runs
    serve/             the runtime as a server for other programs
    cli/               the program `subactors`
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers, which read no table; `tests/test_public_names.py` holds that both agree
    from ..actors import RestartPolicy as RestartPolicy
    from .async_runtime import AsyncRuntime as AsyncRuntime
    from .child.current import current_task as current_task
    from .child.entrypoint import EntrypointTask as EntrypointTask
    from .child.task_model import ModelAnswer as ModelAnswer
    from .child.task_model import TaskModel as TaskModel
    from .child.task_tools import TaskTools as TaskTools
    from .errors import BudgetError as BudgetError
    from .errors import CapacityError as CapacityError
    from .errors import ContextLengthError as ContextLengthError
    from .errors import DelegationError as DelegationError
    from .errors import EmptyTaskError as EmptyTaskError
    from .errors import ImportTargetError as ImportTargetError
    from .errors import LimitError as LimitError
    from .errors import LoopError as LoopError
    from .errors import MissingKeyError as MissingKeyError
    from .errors import ModelError as ModelError
    from .errors import NoAnswerError as NoAnswerError
    from .errors import OutputSchemaError as OutputSchemaError
    from .errors import Problem as Problem
    from .errors import RateLimitError as RateLimitError
    from .errors import RefusalError as RefusalError
    from .errors import RequirementError as RequirementError
    from .errors import RunError as RunError
    from .errors import RuntimeClosedError as RuntimeClosedError
    from .errors import StateError as StateError
    from .errors import SubactorsError as SubactorsError
    from .errors import TaskEndedError as TaskEndedError
    from .errors import TeamFileError as TeamFileError
    from .errors import ToolsetError as ToolsetError
    from .errors import UnknownAgentError as UnknownAgentError
    from .errors import UnknownQuestionError as UnknownQuestionError
    from .errors import UnknownTaskError as UnknownTaskError
    from .errors import UnreadResultsError as UnreadResultsError
    from .errors import WorkdirError as WorkdirError
    from .models.base import ToolSchema as ToolSchema
    from .models.base import Usage as Usage
    from .orchestrator import OrchestratorTools as OrchestratorTools
    from .runtime import Runtime as Runtime
    from .tasks.decoding import NotOfTypeError as NotOfTypeError
    from .tasks.ends import TaskFailed as TaskFailed
    from .tasks.ends import TaskStopped as TaskStopped
    from .tasks.events import Event as Event
    from .tasks.events import Lagged as Lagged
    from .tasks.events import TaskAnswered as TaskAnswered
    from .tasks.events import TaskAsked as TaskAsked
    from .tasks.events import TaskCalledTool as TaskCalledTool
    from .tasks.events import TaskEnded as TaskEnded
    from .tasks.events import TaskGotToolAnswer as TaskGotToolAnswer
    from .tasks.events import TaskOutput as TaskOutput
    from .tasks.events import TaskProgress as TaskProgress
    from .tasks.events import TaskQueued as TaskQueued
    from .tasks.events import TaskRestarting as TaskRestarting
    from .tasks.events import TaskStarted as TaskStarted
    from .tasks.nodes import NodeView as NodeView
    from .tasks.questions import Question as Question
    from .tasks.talk import SteerReceipt as SteerReceipt
    from .tasks.views import Budget as Budget
    from .tasks.views import Progress as Progress
    from .tasks.views import Status as Status
    from .tasks.views import TaskBudget as TaskBudget
    from .tasks.views import TaskList as TaskList
    from .tasks.views import TaskView as TaskView
    from .tasks.views import Vitals as Vitals
    from .team.config import AgentConfig as AgentConfig
    from .team.config import Limits as Limits
    from .team.config import ModelConfig as ModelConfig
    from .team.config import Settings as Settings
    from .team.config import Team as Team
    from .team.config import ToolsetConfig as ToolsetConfig
    from .team.places import RayPlace as RayPlace
    from .team.places import Resources as Resources
    from .team.places import SshPlace as SshPlace
    from .toolsets.base import ToolAnswer as ToolAnswer
    from .verbs.async_streams import AsyncEventStream as AsyncEventStream
    from .verbs.awaited import AsyncGroup as AsyncGroup
    from .verbs.awaited import AsyncTask as AsyncTask
    from .verbs.blocking import Group as Group
    from .verbs.executor import TaskCrashed as TaskCrashed
    from .verbs.executor import TaskExecutor as TaskExecutor
    from .verbs.streams import EventStream as EventStream
    from .verbs.task import Task as Task
else:
    _NAMES = {
        ".actors": "RestartPolicy",
        "async_runtime": "AsyncRuntime",
        "child.current": "current_task",
        "child.entrypoint": "EntrypointTask",
        "child.task_model": "ModelAnswer TaskModel",
        "child.task_tools": "TaskTools",
        "errors": (
            "BudgetError CapacityError ContextLengthError DelegationError EmptyTaskError "
            "ImportTargetError LimitError LoopError MissingKeyError ModelError NoAnswerError OutputSchemaError "
            "Problem RateLimitError RefusalError RequirementError RunError RuntimeClosedError StateError "
            "SubactorsError TaskEndedError TeamFileError ToolsetError UnknownAgentError "
            "UnknownQuestionError UnknownTaskError UnreadResultsError WorkdirError"
        ),
        "models.base": "ToolSchema Usage",
        "orchestrator": "OrchestratorTools",
        "runtime": "Runtime",
        "tasks.decoding": "NotOfTypeError",
        "tasks.ends": "TaskFailed TaskStopped",
        "tasks.events": (
            "Event Lagged TaskAnswered TaskAsked TaskCalledTool TaskEnded TaskGotToolAnswer TaskOutput TaskProgress "
            "TaskQueued TaskRestarting TaskStarted"
        ),
        "tasks.nodes": "NodeView",
        "tasks.questions": "Question",
        "tasks.talk": "SteerReceipt",
        "tasks.views": "Budget Progress Status TaskBudget TaskList TaskView Vitals",
        "team.config": "AgentConfig Limits ModelConfig Settings Team ToolsetConfig",
        "team.places": "RayPlace Resources SshPlace",
        "toolsets.base": "ToolAnswer",
        "verbs.async_streams": "AsyncEventStream",
        "verbs.awaited": "AsyncGroup AsyncTask",
        "verbs.blocking": "Group",
        "verbs.executor": "TaskCrashed TaskExecutor",
        "verbs.streams": "EventStream",
        "verbs.task": "Task",
    }
    """The public names by their modules. A module is imported when one of its names is first used."""

    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

    __all__ = list(_HOMES)

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f".{home}", __name__), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
