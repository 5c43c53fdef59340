"""The sub-agent runtime: background tasks of LLM agents, each a supervised actor in a process of its own.

    with Runtime.from_file("team.yaml") as runtime:
        task_id = runtime.run("researcher", "Find X")
        print(runtime.wait([task_id])[0].result)

Importing it starts nothing, and imports nothing yet: each name brings what it needs when it is first used. A task's
process does not need the supervisor, and the help of the command line needs neither.

General layout. A room imports only rooms above it in this list (`tests/test_layers.py` holds it). Public is what the
`__all__` of this package and of `testing` say.

    errors.py text.py  all errors; text with bounds
    net/               how servers are reached: proxies, certificates
    team/              what is configured: frozen values, keys, what this machine lacks
    models/            who answers a turn: clients of model servers, and functions in their place
    teamfile/          reads a team file into a team, and tells all of its mistakes at once
    tasks/             the language of tasks: requests, reports, views, gateways
    runs/              what outlives a host: journal, output, results, worktrees
    vitals/            what tasks use of the machine, looked at by a thread of its own
    place/             where tasks run, and what they use and leave there
    toolsets/          what an agent may do
    agent/             one agent at work: its loop, its prompt
    control/           other hosts: asks them, and is asked by their users
    verbs/             what a program asks, blocking and awaited: one implementation of each verb
    child/             in a task's process: its actor, its work, its streams
    supervisor/        in the host, one thread: the truth about tasks
    host.py            builds, owns and closes all of the above; the way to the supervisor
    data_check.py      whether data is what an entrypoint takes, before a process starts for it
    host_way.py        the host program's way to the supervisor, for the verbs
    orchestrator.py    an agent's tools, for a host with a loop of its own
    runtime.py         `Runtime`: the library, blocking
    async_runtime.py   `AsyncRuntime`: the library, awaited
    testing.py         the fault kit (public)
    demo/              the demonstration
    terminal/          what a program writes to a person, and how a person interrupts it
    serve/             the runtime as a server for other programs
    cli/               the program `subactors`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..actors import RestartPolicy
    from .async_runtime import AsyncRuntime
    from .child.current import current_task
    from .child.entrypoint import EntrypointTask
    from .child.task_model import ModelAnswer, TaskModel
    from .child.task_tools import TaskTools
    from .errors import (
        CapacityError,
        ContextLengthError,
        DelegationError,
        EmptyTaskError,
        ImportTargetError,
        LoopError,
        MissingKeyError,
        ModelError,
        Problem,
        RateLimitError,
        RefusalError,
        RequirementError,
        RunError,
        RuntimeClosedError,
        StateError,
        SubactorsError,
        TaskEndedError,
        TeamFileError,
        ToolsetError,
        UnknownAgentError,
        UnknownTaskError,
        WorkdirError,
    )
    from .models.base import ToolSchema, Usage
    from .orchestrator import OrchestratorTools
    from .runtime import Runtime
    from .tasks.decoding import NotOfTypeError
    from .tasks.ends import TaskFailed, TaskStopped
    from .tasks.events import (
        Event,
        Lagged,
        TaskCalledTool,
        TaskEnded,
        TaskGotToolAnswer,
        TaskOutput,
        TaskProgress,
        TaskQueued,
        TaskRestarting,
        TaskStarted,
    )
    from .tasks.views import Progress, Status, TaskList, TaskView, Vitals
    from .team.config import AgentConfig, Limits, ModelConfig, Settings, Team, ToolsetConfig
    from .toolsets.base import ToolAnswer
    from .verbs.async_streams import AsyncEventStream
    from .verbs.awaited import AsyncGroup, AsyncTask
    from .verbs.blocking import Group, Task
    from .verbs.executor import TaskCrashed, TaskExecutor
    from .verbs.streams import EventStream

__all__ = [
    "AgentConfig",
    "AsyncEventStream",
    "AsyncGroup",
    "AsyncRuntime",
    "AsyncTask",
    "CapacityError",
    "ContextLengthError",
    "DelegationError",
    "EmptyTaskError",
    "EntrypointTask",
    "Event",
    "EventStream",
    "Group",
    "ImportTargetError",
    "Lagged",
    "Limits",
    "LoopError",
    "MissingKeyError",
    "ModelAnswer",
    "ModelConfig",
    "ModelError",
    "NotOfTypeError",
    "OrchestratorTools",
    "Problem",
    "Progress",
    "RateLimitError",
    "RefusalError",
    "RequirementError",
    "RestartPolicy",
    "RunError",
    "Runtime",
    "RuntimeClosedError",
    "Settings",
    "StateError",
    "Status",
    "SubactorsError",
    "Task",
    "TaskCalledTool",
    "TaskCrashed",
    "TaskEnded",
    "TaskEndedError",
    "TaskExecutor",
    "TaskFailed",
    "TaskGotToolAnswer",
    "TaskList",
    "TaskModel",
    "TaskOutput",
    "TaskProgress",
    "TaskQueued",
    "TaskRestarting",
    "TaskStarted",
    "TaskStopped",
    "TaskTools",
    "TaskView",
    "Team",
    "TeamFileError",
    "ToolAnswer",
    "ToolSchema",
    "ToolsetConfig",
    "ToolsetError",
    "UnknownAgentError",
    "UnknownTaskError",
    "Usage",
    "Vitals",
    "WorkdirError",
    "current_task",
]

_HOMES: dict[str, str] = {
    "AgentConfig": "team.config",
    "AsyncGroup": "verbs.awaited",
    "AsyncEventStream": "verbs.async_streams",
    "AsyncRuntime": "async_runtime",
    "AsyncTask": "verbs.awaited",
    "CapacityError": "errors",
    "ContextLengthError": "errors",
    "DelegationError": "errors",
    "EmptyTaskError": "errors",
    "EntrypointTask": "child.entrypoint",
    "Event": "tasks.events",
    "EventStream": "verbs.streams",
    "Group": "verbs.blocking",
    "ImportTargetError": "errors",
    "Lagged": "tasks.events",
    "Limits": "team.config",
    "LoopError": "errors",
    "MissingKeyError": "errors",
    "ModelAnswer": "child.task_model",
    "ModelConfig": "team.config",
    "ModelError": "errors",
    "NotOfTypeError": "tasks.decoding",
    "OrchestratorTools": "orchestrator",
    "Problem": "errors",
    "Progress": "tasks.views",
    "RateLimitError": "errors",
    "RefusalError": "errors",
    "RequirementError": "errors",
    "RestartPolicy": "team.config",
    "RunError": "errors",
    "Runtime": "runtime",
    "RuntimeClosedError": "errors",
    "Settings": "team.config",
    "StateError": "errors",
    "Status": "tasks.views",
    "SubactorsError": "errors",
    "Task": "verbs.blocking",
    "TaskCalledTool": "tasks.events",
    "TaskCrashed": "verbs.executor",
    "TaskEnded": "tasks.events",
    "TaskEndedError": "errors",
    "TaskExecutor": "verbs.executor",
    "TaskFailed": "tasks.ends",
    "TaskGotToolAnswer": "tasks.events",
    "TaskList": "tasks.views",
    "TaskModel": "child.task_model",
    "TaskOutput": "tasks.events",
    "TaskProgress": "tasks.events",
    "TaskQueued": "tasks.events",
    "TaskRestarting": "tasks.events",
    "TaskStarted": "tasks.events",
    "TaskStopped": "tasks.ends",
    "TaskTools": "child.task_tools",
    "TaskView": "tasks.views",
    "Team": "team.config",
    "TeamFileError": "errors",
    "ToolAnswer": "toolsets.base",
    "ToolSchema": "models.base",
    "ToolsetConfig": "team.config",
    "ToolsetError": "errors",
    "UnknownAgentError": "errors",
    "UnknownTaskError": "errors",
    "Usage": "models.base",
    "Vitals": "tasks.views",
    "WorkdirError": "errors",
    "current_task": "child.current",
}
"""Which module each name is of."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
