"""The sub-agent runtime: background tasks of LLM agents, each a supervised actor in a process of its own.

    with Runtime.from_file("team.yaml") as runtime:
        task_id = runtime.run("researcher", "Find X")
        print(runtime.wait([task_id])[0].result)

Importing it starts nothing and imports neither a model client nor YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._entrypoint import EntrypointTask
from ._errors import (
    CapacityError,
    ContextLengthError,
    DelegationError,
    EmptyTaskError,
    ImportTargetError,
    LoopError,
    MissingKeyError,
    ModelError,
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
from ._events import (
    Event,
    EventsMissed,
    EventStream,
    TaskCalledTool,
    TaskEnded,
    TaskGotToolAnswer,
    TaskOutput,
    TaskRestarting,
    TaskStarted,
)
from ._model import Usage
from ._problems import Problem
from ._runtime import Runtime
from ._team import AgentConfig, Limits, ModelConfig, Settings, Team, ToolsetConfig
from ._tools import ToolAnswer, ToolSchema
from ._views import Status, TaskList, TaskView, Vitals

if TYPE_CHECKING:
    from ._toolset import AgentToolset

__all__ = [
    "AgentConfig",
    "AgentToolset",
    "CapacityError",
    "ContextLengthError",
    "DelegationError",
    "EmptyTaskError",
    "EntrypointTask",
    "Event",
    "EventStream",
    "EventsMissed",
    "ImportTargetError",
    "Limits",
    "LoopError",
    "MissingKeyError",
    "ModelConfig",
    "ModelError",
    "Problem",
    "RefusalError",
    "RequirementError",
    "RunError",
    "Runtime",
    "RuntimeClosedError",
    "Settings",
    "StateError",
    "Status",
    "SubactorsError",
    "TaskCalledTool",
    "TaskEnded",
    "TaskEndedError",
    "TaskGotToolAnswer",
    "TaskList",
    "TaskOutput",
    "TaskRestarting",
    "TaskStarted",
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
]


def __getattr__(name: str) -> Any:
    # It brings asyncio and the agent loop, which a host that runs no tools itself should not pay for.
    if name == "AgentToolset":
        from ._toolset import AgentToolset  # noqa: PLC0415 - see above

        return AgentToolset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
