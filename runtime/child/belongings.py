"""Belongings: what a function has of its agent in the team file, its tools and its model, made when first wanted."""

from __future__ import annotations

from ..agent.loop_thread import LoopThread
from ..agent.run import build_tool_box, open_model_of
from ..agent.surroundings import Surroundings
from ..team.config import AgentConfig
from .reporter import Reporter
from .task_model import TaskModel
from .task_tools import TaskTools

__all__ = ["Belongings"]


class Belongings:
    """See the module. Tools and model work in one event loop, on a thread that begins with the first use of either.

    Args:
        agent: whose they are.
        around: what the agent finds around it.
        reporter: hears what they do.
        has_budget: whether the model is asked within a budget.

    Attributes:
        agent: as given.
        tools: see `TaskTools`.
        model: see `TaskModel`.
    """

    def __init__(self, agent: AgentConfig, around: Surroundings, reporter: Reporter, *, has_budget: bool) -> None:
        self._loop = LoopThread("subactors-tools", "What this task has of its agent")
        self.agent = agent
        self.tools = TaskTools(self._loop, lambda: build_tool_box(agent, around), reporter, around.gateway.acknowledge)
        gateway = around.gateway if has_budget else None
        self.model = TaskModel(agent, self._loop, lambda: open_model_of(agent, around), reporter, gateway)

    def close(self) -> None:
        """Cancel what is at work, and close what is open. In the task's main thread, when the function has returned."""
        self._loop.close(self._close)

    async def _close(self) -> None:
        try:
            await self.tools.close()
        finally:
            await self.model.close()
