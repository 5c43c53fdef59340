"""Orchestrator: an agent's tools for a host with a loop of its own: schemas for its model, and a way to call them.

The tools run in an event loop on a thread that belongs to the toolset. So a call works from any thread, and from inside
any event loop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from .agent.loop_thread import LoopThread
from .agent.run import build_tool_box
from .errors import UnknownAgentError
from .models.base import ToolSchema
from .team.requirements import check_requirements
from .toolsets.base import ToolAnswer, ToolBox
from .toolsets.told import Told

if TYPE_CHECKING:
    from .host import Host

__all__ = ["OrchestratorTools", "open_tools"]


class OrchestratorTools:
    """The tools of one orchestrator that the host runs itself.

    Every method may be called from any thread. Use it as a context manager or call `close`; the runtime, when it is
    closed, closes those that are still open.

    Args:
        tools: the agent's tools, not yet used.
        acknowledge: tells the supervisor of whose ends the host's loop has been told.
    """

    def __init__(self, tools: ToolBox, acknowledge: Callable[[Sequence[str]], object]) -> None:
        self._tools = tools
        self._told = Told(acknowledge, tools.note_asked)
        self._loop = LoopThread("subactors-tools", "The toolset")

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
        return self._told.answered(self._loop.run(self._tools.call, name, arguments, called=name))

    async def acall(self, name: str, arguments: str = "{}") -> ToolAnswer:
        """Call a tool, as `call` does, without holding up the event loop.

        Cancelled, it ends the call, but stops no task: not the one either that `transfer_task` waits for. An end that
        its answer would have shown is told by the next notice.
        """
        from .verbs.awaiting import tool_answer  # noqa: PLC0415 - for hosts that have an event loop

        answer = await tool_answer(
            lambda: self._loop.start(self._tools.call, name, arguments), lambda: self._loop.cut_short(name)
        )
        return self._told.answered(answer)

    def notices(self) -> str:
        """Return what is to be told of tasks that have ended since it was asked last, oldest first; empty: nothing.

        It is one block, marked as data and bounded, for the next message to the model. An end that an answer of a tool
        has shown is not in it. What is returned counts as told.

        Raises:
            RuntimeClosedError: as `call` does.
        """
        owed = functools.partial(self._tools.owed, known=self._told.asked)
        return self._told.notice(self._loop.run(owed, called="notices"))

    async def anotices(self) -> str:
        """As `notices`, without holding up the event loop; cancelled, it has told nothing."""
        from .verbs.awaiting import future_result  # noqa: PLC0415 - for hosts that have an event loop

        owed = functools.partial(self._tools.owed, known=self._told.asked)
        news = await future_result(self._loop.start(owed), lambda: self._loop.cut_short("notices"))
        return self._told.notice(news)

    async def next_notice(self) -> str:
        """Wait until there is something of that, and return it; empty as soon as nothing that was started runs.

        A wait that is cancelled takes nothing with it: the next one has it.
        """
        from .verbs.awaiting import tool_answer  # noqa: PLC0415 - for hosts that have an event loop

        while True:
            owed = functools.partial(self._tools.owed, wait=True, known=self._told.asked)
            news = await tool_answer(
                functools.partial(self._loop.start, owed), lambda: self._loop.cut_short("next_notice")
            )
            # Somebody else may have been told of it meanwhile.
            if (notice := self._told.notice(news)) or news is None:
                return notice

    def open(self) -> None:
        """Make ready the tools that need it.

        Raises:
            ToolsetError: one cannot be; the toolset is closed then.
        """
        try:
            self._loop.run(self._tools.open)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._loop.closed

    def close(self) -> None:
        """Cancel calls that are at work, close the tools and end the thread.

        Tasks that were started go on, and end with the runtime.
        """
        self._loop.close(self._tools.close)


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
    tools = OrchestratorTools(box, around.gateway.acknowledge)
    if box.needs_opening:
        tools.open()
    host.adopt(tools)
    return tools
