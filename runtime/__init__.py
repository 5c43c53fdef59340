"""The sub-agent runtime: background tasks of LLM agents, each a supervised actor in a process of its own.

    with Runtime.from_file("team.yaml") as runtime:
        task_id = runtime.run("researcher", "Find X")
        print(runtime.wait([task_id])[0].result)

Importing it starts nothing, and imports nothing yet: each name brings what it needs when it is first used. A task's
process has no use for the supervisor, and the help of the command line none for either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from ._toolset import AgentToolset
    from ._views import Status, TaskList, TaskView, Vitals

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
    "RateLimitError",
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

_HOMES: dict[str, str] = {
    "AgentConfig": "_team",
    "AgentToolset": "_toolset",
    "CapacityError": "_errors",
    "ContextLengthError": "_errors",
    "DelegationError": "_errors",
    "EmptyTaskError": "_errors",
    "EntrypointTask": "_entrypoint",
    "Event": "_events",
    "EventStream": "_events",
    "EventsMissed": "_events",
    "ImportTargetError": "_errors",
    "Limits": "_team",
    "LoopError": "_errors",
    "MissingKeyError": "_errors",
    "ModelConfig": "_team",
    "ModelError": "_errors",
    "Problem": "_problems",
    "RateLimitError": "_errors",
    "RefusalError": "_errors",
    "RequirementError": "_errors",
    "RunError": "_errors",
    "Runtime": "_runtime",
    "RuntimeClosedError": "_errors",
    "Settings": "_team",
    "StateError": "_errors",
    "Status": "_views",
    "SubactorsError": "_errors",
    "TaskCalledTool": "_events",
    "TaskEnded": "_events",
    "TaskEndedError": "_errors",
    "TaskGotToolAnswer": "_events",
    "TaskList": "_views",
    "TaskOutput": "_events",
    "TaskRestarting": "_events",
    "TaskStarted": "_events",
    "TaskView": "_views",
    "Team": "_team",
    "TeamFileError": "_errors",
    "ToolAnswer": "_tools",
    "ToolSchema": "_tools",
    "ToolsetConfig": "_team",
    "ToolsetError": "_errors",
    "UnknownAgentError": "_errors",
    "UnknownTaskError": "_errors",
    "Usage": "_model",
    "Vitals": "_views",
    "WorkdirError": "_errors",
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
