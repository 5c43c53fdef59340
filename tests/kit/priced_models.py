"""Teams whose models have a price, for tests of budgets: each turn of theirs costs one cent."""

from __future__ import annotations

from typing import Any, Final

from model_server import ModelServer
from subactors.runtime import Limits, Runtime, TaskView
from teams import run_and_wait

__all__ = ["THINKER", "TURN", "priced_team", "run_with_cost"]

TURN: Final = (60, 40)
"""Tokens of a turn: 100, which cost one cent."""

THINKER: Final = {"toolsets": [{"type": "think"}]}


def priced_team(server: ModelServer, **agents: dict[str, Any]) -> dict[str, Any]:
    """Make a team of agents that each have a model of their own name, with a price."""
    cost = {"input": 100, "output": 100}
    models = {name: {"provider": "acme", "model": name, "base_url": server.base_url, "cost": cost} for name in agents}
    return {"agents": {name: {"model": name, **agent} for name, agent in agents.items()}, "models": models}


def run_with_cost(runtime: Runtime, agent: str, cost: float) -> TaskView:
    """Run an agent to its end, with a limit on cost."""
    return run_and_wait(runtime, agent, limits=Limits(cost=cost))
