"""Orchestrator: an agent's tools for a host with a loop of its own: schemas for its model, and a way to call them.

The tools run in an event loop on a thread that belongs to the toolset. So a call works from any thread, and from inside
any event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Self

from .agent.run import build_tool_box
from .errors import RuntimeClosedError, UnknownAgentError
from .models.base import ToolSchema
from .team.requirements import check_requirements
from .toolsets.base import ToolAnswer, ToolBox

if TYPE_CHECKING:
    from .host import Host

__all__ = ["OrchestratorTools", "open_tools"]


class OrchestratorTools:
    """The tools of one orchestrator that the host runs itself.

    Every method may be called from any thread. Use it as a context manager or call `close`; the runtime, when it is
    closed, closes those that are still open.

    Args:
        tools: the agent's tools, not yet used.
    """

    def __init__(self, tools: ToolBox) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()
        self._closed = False
        self._calls: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def schemas(self) -> list[ToolSchema]:
        """The tools in OpenAI's format, for the `tools` of a request."""
        return self._tools.schemas

    @property
    def instructions(self) -> str:
        """The text that the toolsets add to the agent's system prompt."""
        return "\n\n".join(self._tools.instructions)

    @property
    def missing(self) -> list[str]:
        """The agent's missing optional toolsets, and why, a sentence each. The instructions say so, too."""
        return self._tools.missing

    def call(self, name: str, arguments: str = "{}") -> ToolAnswer:
        """Call a tool with arguments as JSON text and wait for its answer; bad input is an answer too, never an error.

        Raises:
            RuntimeClosedError: the toolset is closed, before or meanwhile, or belongs to the process that this one was
                forked from.
        """
        if os.getpid() != self._owner:
            raise RuntimeClosedError("This toolset belongs to the process that this one was forked from.")
        with self._lock:
            if self._closed:
                raise RuntimeClosedError("The toolset is closed.")
            # Under the lock, so that a `close` finds the call in the loop.
            answer = asyncio.run_coroutine_threadsafe(self._call(name, arguments), self._running_loop())
        try:
            return answer.result()
        except CancelledError:
            raise RuntimeClosedError(f"The toolset was closed while {name} was at work.") from None

    def open(self) -> None:
        """Make ready the tools that need it.

        Raises:
            ToolsetError: one cannot be; the toolset is closed then.
        """
        with self._lock:
            opening = asyncio.run_coroutine_threadsafe(self._tools.open(), self._running_loop())
        try:
            opening.result()
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def close(self) -> None:
        """Cancel calls that are at work, close the tools and end the thread.

        Tasks that were started go on, and end with the runtime.
        """
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _call(self, name: str, arguments: str) -> ToolAnswer:
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a coroutine that runs is in a task
        self._calls.add(this)
        try:
            return await self._tools.call(name, arguments)
        finally:
            self._calls.discard(this)

    async def _shut_down(self) -> None:
        # The calls, and not every task of the loop: a toolset ends its own by closing.
        running = set(self._calls)
        for call in running:
            call.cancel()
        if running:
            await asyncio.wait(running)
        await self._tools.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop, which the first call starts. Called with the lock held."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="subactors-tools", daemon=True)
            self._thread.start()
        return self._loop


def open_tools(host: Host, agent: str) -> OrchestratorTools:
    """Return the tools of an agent, as a new orchestrator; see `Runtime.toolset`.

    Args:
        host: runs the tasks that the tools start, and closes the tools with itself.
        agent: the agent's name in the host's team.
    """
    config = host.team.agents.get(agent)
    if config is None:
        known = ", ".join(host.team.agents)
        raise UnknownAgentError(f"There is no agent {agent!r} in the team. Available: {known}.")
    around = host.surroundings(agent)
    check_requirements(host.team, agent, str(around.working_directory))
    box = build_tool_box(config, around)
    tools = OrchestratorTools(box)
    if box.needs_opening:
        tools.open()
    host.adopt(tools)
    return tools
