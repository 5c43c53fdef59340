"""Thinking: turns a `thinking_budget` of a team file into the parameters that a provider has for it.

Pure. A budget is a number of tokens (0: none, -1: as the model likes) or a level. A provider takes one or the other, so
the missing one is derived. Where a model lacks a level, the nearest one that it has is taken.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .reasoning_models import is_openai_model, is_reasoning_model

__all__ = ["LEVELS", "thinking_parameters"]

LEVELS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "adaptive")
"""The words of Docker's agent files, `adaptive` being as the model likes; `adaptive/high` is `high`."""

_TOKENS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
"""What a level is for models that take a number only."""

_LEAST_TOKENS: Final = 1024
"""Anthropic's least."""

_BOUNDS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""Most tokens for which a number is this level, for models that take levels only; beyond, it is `high`."""

_CLAUDE_BY_TOKENS: Final = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5](?!\d)|-20|@|$))")
"""Claude models that take a number of tokens; later ones take a level, and some of them no number."""

_OPENAI_WITHOUT: Final = {
    re.compile(r"(?:^|[/:.])o\d"): {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"},
    re.compile(r"gpt-?5(?![.\d])"): {"none": "minimal", "xhigh": "high", "max": "high"},
    re.compile(r""): {"minimal": "low", "max": "xhigh"},
}
"""Levels that OpenAI's models do not have, and what is nearest; the first pattern that is found counts."""


def thinking_parameters(provider: str, model: str, budget: int | str) -> dict[str, Any]:
    """Return the parameters of a request for a thinking budget; none where there is nothing to be said.

    Args:
        provider: the provider's name.
        model: the model's name there.
        budget: tokens, or one of `LEVELS`.
    """
    if isinstance(budget, str):
        budget = budget.removeprefix("adaptive/")
    match provider:
        case "anthropic":
            return _anthropic(model, budget)
        case "google":
            return _google(budget)
        case "openrouter":
            return _openrouter(budget)
        case "deepseek" | "moonshot":
            return {} if budget in (-1, "adaptive") else {"thinking": {"type": _switch(budget)}}
        case "openai" if not is_reasoning_model(model):
            return {}  # as in Docker's tool: such a model refuses to be told how to think
        case _:
            return _effort(provider, model, _level(budget))


def _effort(provider: str, model: str, level: str | None) -> dict[str, Any]:
    if level is None:
        return {}
    if level == "none" and provider in ("dmr", "vllm"):
        # The templates of their models know a switch, and not the level `none`.
        return {"chat_template_kwargs": {"enable_thinking": False}}
    if is_openai_model(provider, model):
        nearest = next(levels for pattern, levels in _OPENAI_WITHOUT.items() if pattern.search(model.lower()))
        return {"reasoning_effort": nearest.get(level, level)}
    return {"reasoning_effort": {"minimal": "low", "xhigh": "high", "max": "high"}.get(level, level)}


def _anthropic(model: str, budget: int | str) -> dict[str, Any]:
    if budget in (0, "none"):
        return {"thinking": {"type": "disabled"}}
    by_tokens = _CLAUDE_BY_TOKENS.search(model.lower()) is not None
    if isinstance(budget, int) and budget > 0:
        return {"thinking": {"type": "enabled", "budget_tokens": max(budget, _LEAST_TOKENS)}}
    if by_tokens:
        return {} if _tokens(budget) == -1 else {"thinking": {"type": "enabled", "budget_tokens": _tokens(budget)}}
    effort = {"minimal": "low"}.get(str(budget), str(budget))
    level = {"output_config": {"effort": effort}} if budget in _TOKENS else {}
    return {"thinking": {"type": "adaptive"}, **level}


def _google(budget: int | str) -> dict[str, Any]:
    if isinstance(budget, int):
        # Google's own parameters go into a field of this name.
        return {"extra_body": {"google": {"thinking_config": {"thinking_budget": budget}}}}
    level = {"xhigh": "high", "max": "high"}.get(budget, budget)
    return {} if level == "adaptive" else {"reasoning_effort": level}


def _openrouter(budget: int | str) -> dict[str, Any]:
    match budget:
        case -1 | "adaptive":
            return {"reasoning": {"enabled": True}}
        case 0:
            return {"reasoning": {"effort": "none"}}
        case int():
            return {"reasoning": {"max_tokens": budget}}
        case _:
            return {"reasoning": {"effort": {"max": "xhigh"}.get(budget, budget)}}


def _level(budget: int | str) -> str | None:
    """Return a budget as a level; None: as the model likes."""
    if isinstance(budget, str):
        return None if budget == "adaptive" else budget
    if budget <= 0:
        return "none" if budget == 0 else None
    return next((level for most, level in _BOUNDS if budget <= most), "high")


def _tokens(budget: int | str) -> int:
    return budget if isinstance(budget, int) else _TOKENS.get(budget, -1)


def _switch(budget: int | str) -> str:
    return "disabled" if _level(budget) == "none" else "enabled"
