"""AsyncRuntime: the product as a library whose methods are awaited."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .host import Host
from .host_way import HostWay
from .team.config import NO_TEAM, Team
from .verbs.awaited import AsyncVerbs
from .verbs.awaiting import in_thread

if TYPE_CHECKING:
    from ..actors.fence import FenceOffer
    from .orchestrator import OrchestratorTools
    from .tasks.views import TaskView

__all__ = ["AsyncRuntime"]


class AsyncRuntime(AsyncVerbs):
    """Runs the agents of one team, each task in a process of its own; see `Runtime` for arguments and errors.

    To make one takes some tens of milliseconds, in which the event loop does nothing else. Its methods may be awaited
    in any event loop of the process, of asyncio or trio, and in several at once. Use it as a context manager, or await
    `close`: both wait until everything is gone, also when they are cancelled.
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
        """Make a runtime for a team file; raises as `Runtime.from_file`."""
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def team(self) -> Team:
        """The team, with the settings that are in force."""
        return self._host.team

    @property
    def fence(self) -> FenceOffer:
        """The fence that this kernel offers; see `Runtime.fence`."""
        from ..actors.fence import offer  # noqa: PLC0415 - for hosts that ask

        return offer()

    async def history(self) -> list[TaskView]:
        """Return the tasks of earlier runs in the same state folder; see `Runtime.history`."""
        return await in_thread(self._host.history)

    async def toolset(self, agent: str) -> OrchestratorTools:
        """Return the tools of an agent, for a loop of the host's own; see `Runtime.toolset`."""
        from .orchestrator import open_tools  # noqa: PLC0415 - brings the toolsets

        return await in_thread(lambda: open_tools(self._host, agent))

    async def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything. Bounded; may be repeated.

        A cancellation does not end the wait, and is raised after it.
        """
        await in_thread(self._host.close)
