"""Surroundings: what an agent finds around it, in a task's process or in a host that runs an orchestrator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from ..tasks.gateway import Gateway
from ..team.config import Settings
from ..team.permissions import Permissions
from ..toolsets.letters import Letters

__all__ = ["Surroundings"]


class Surroundings(msgspec.Struct, frozen=True):
    """The things that an agent finds around it.

    Attributes:
        gateway: its way to the supervisor.
        sub_agents: name and description of each agent that it may start.
        permissions: which tool calls it may make.
        settings: the team's.
        working_directory: where its tools work.
        shared_directory: the runtime's working directory, for what is to outlive a folder of the task's own.
        environ: for keys, for what the agent's file refers to, and for what its tools start.
        withheld: names of those variables in `environ` that no program of its tools inherits.
        task: returns the task that the agent is, for tools that want it; None: it is none.
        is_asked: whether an agent that it may start may ask it something.
        letters: what is said to that task; None: nothing can be.
    """

    gateway: Gateway
    sub_agents: Sequence[tuple[str, str]]
    permissions: Permissions
    settings: Settings
    working_directory: Path
    shared_directory: Path
    environ: Mapping[str, str]
    withheld: Collection[str] = ()
    task: Callable[[], object] | None = None
    is_asked: bool = False
    letters: Letters | None = None
