"""AsyncRuntime: the product as a library whose methods are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeAlias

from .runtime_base import RuntimeBase
from .verbs import steps
from .verbs.awaited import AsyncVerbs
from .verbs.awaiting import driven, in_thread

if TYPE_CHECKING:
    from .orchestrator import OrchestratorTools
    from .tasks.nodes import NodeView
    from .tasks.views import TaskView

__all__ = ["AsyncRuntime"]

NodeViews: TypeAlias = "list[NodeView]"
"""Has a name, as `list` is a method of what follows."""


class AsyncRuntime(RuntimeBase, AsyncVerbs):
    """Runs the agents of one team, each task in a process of its own; see `Runtime` for arguments and errors.

    To make one takes some tens of milliseconds, in which the event loop does nothing else. Its methods may be awaited
    in any event loop of the process, of asyncio or trio, and in several at once. Use it as a context manager, or await
    `close`: both wait until everything is gone, also when they are cancelled.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def history(self) -> list[TaskView]:
        """Return the tasks of earlier runs in the same state folder; see `Runtime.history`."""
        return await in_thread(self._host.history)

    async def nodes(self) -> NodeViews:
        """Return the machines of all places; see `Runtime.nodes`."""
        return await driven(self._way, steps.nodes())

    async def drain(self, name: str, *, stop: bool = False) -> NodeView | None:
        """Have a node take no new task; see `Runtime.drain`."""
        return await driven(self._way, steps.drain(name, stop=stop))

    async def toolset(self, agent: str) -> OrchestratorTools:
        """Return the tools of an agent, for a loop of the host's own; see `Runtime.toolset`."""
        from .orchestrator import open_tools  # noqa: PLC0415 - brings the toolsets

        return await in_thread(lambda: open_tools(self._host, agent))

    async def close(self) -> None:
        """Stop every task, wait until all is gone, and give back everything. Bounded; may be repeated.

        A cancellation does not end the wait, and is raised after it.
        """
        await in_thread(self._host.close)
