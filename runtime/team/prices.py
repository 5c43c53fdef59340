"""Prices: whether it is known what an agent's models cost, without which there is no limit on cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import AgentConfig, ModelConfig

__all__ = ["price_fault"]


def price_fault(agent: AgentConfig) -> str:
    """Return why an agent cannot run with a limit on cost, and what to do; empty if it can."""
    unpriced = [model for model in agent.models if not model.has_price]
    if not unpriced:
        return ""
    remedy = (
        "Give each a `cost` with `input` and `output` under `models` in the team file ({input: 0, output: 0} if it "
        "costs nothing)"
    )
    function = next((model for model in unpriced if model.is_function and model.cost is None), None)
    if function is not None:
        remedy += f"; a function is defined there as {{provider: python, model: '{function.name}', cost: …}}"
    return (
        f"Agent {agent.name!r} cannot run with a limit on cost, as nobody knows what these models cost: "
        f"{', '.join(map(_described, unpriced))}. {remedy}, or limit its tokens instead."
    )


def _described(model: ModelConfig) -> str:
    if model.cost is None:
        return model.reference
    missing = [name for name in ("input", "output") if getattr(model.cost, name) is None]
    return f"{model.reference} (its `cost` has no {' and no '.join(missing)})"
