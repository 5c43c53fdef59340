"""Runtime: the product as a library whose methods block.

It is thin: a `Host` does the work, and lives and ends with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from .host import Host
from .host_way import HostWay
from .tasks.views import TaskView
from .team.config import NO_TEAM, Team
from .verbs.blocking import BlockingVerbs

if TYPE_CHECKING:
    from ..actors.fence import FenceOffer
    from .orchestrator import OrchestratorTools

__all__ = ["Runtime"]

TaskViews: TypeAlias = list[TaskView]
"""Has a name, as `list` is a method in what follows."""


class Runtime(BlockingVerbs):
    """Runs the agents of one team, each task in a process of its own.

    Every method may be called from any thread of the process that made the runtime; a process forked from it must make
    its own. Use it as a context manager, or call `close`. A runtime that is dropped without either is closed when the
    interpreter exits; one whose host is killed leaves no process behind.

    Args:
        team: a checked team; None: no agents, for a program that submits functions.
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
        team: Team | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        self._host = Host(team or NO_TEAM, state_dir=state_dir, working_dir=working_dir, for_many=True, **settings)
        super().__init__(HostWay(self._host))

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
        from .teamfile.load import team_from_mapping  # noqa: PLC0415 - a team that is a `Team` already needs no checks

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

    def history(self) -> TaskViews:
        """Return the tasks of earlier runs in the same state folder, oldest first; `view` has their output and result.

        What a host that died left unfinished is failed, with that reason. A run is kept for a week, and for as long as
        one of its results has not been read: `view` of a task is what reads it.

        Raises:
            StateError: the state folder cannot be read.
        """
        return self._host.history()

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
