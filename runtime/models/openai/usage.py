"""Usage figures: reads the counts of a server, in whatever shape they come, and computes their cost.

Figures never fail an answer: anything but a number counts as missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ...team.config import Cost
from ..base import Message, ToolSchema, Turn, Usage

__all__ = ["UsageFigures", "estimated"]

_MILLION: Final = 1_000_000

_BYTES_OF_A_TOKEN: Final = 4

_MOST: Final = 2**53
"""The largest count that is taken: beyond it JSON's numbers are not exact, and no answer has that many tokens."""


@dataclass
class UsageFigures:
    """The tokens of one answer, as far as its server has said; see `Usage` for what they are."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    _details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def are_missing(self) -> bool:
        """Whether the server has said nothing."""
        return not self.prompt_tokens and not self.completion_tokens

    def add(self, figures: object) -> bool:
        """Take the figures of a chunk, and return whether there were any.

        Where every chunk has some, each is the sum so far, so the largest counts: a last chunk may have zeros.
        """
        if isinstance(figures, list):
            return sum(self.add(entry) for entry in figures if isinstance(entry, dict)) > 0
        if not isinstance(figures, dict):
            return False
        prompt = _count(figures, "prompt_tokens", "input_tokens")
        completion = _count(figures, "completion_tokens", "output_tokens")
        self.prompt_tokens = max(self.prompt_tokens, prompt)
        self.completion_tokens = max(self.completion_tokens, completion)
        for name in ("prompt_tokens_details", "input_tokens_details"):
            if isinstance(details := figures.get(name), dict):
                self._details = details
        return bool(prompt or completion)

    def usage(self, cost: Cost | None) -> Usage:
        """Return what one request has used, with what it cost if that is known."""
        return Usage(self.prompt_tokens, self.completion_tokens, 1, self._price(cost))

    def _price(self, cost: Cost | None) -> float:
        if cost is None:
            return 0.0
        total, plain = 0.0, self.prompt_tokens
        # What was read from or written to a cache has a price of its own.
        for name, price in (("cached_tokens", cost.cache_read), ("cache_write_tokens", cost.cache_write)):
            count = min(_count(self._details, name), plain)
            if price is not None:
                plain -= count
                total += count * price
        input_price, output_price = cost.input or 0.0, cost.output or 0.0
        return (total + plain * input_price + self.completion_tokens * output_price) / _MILLION


def estimated(messages: Sequence[Message], tools: Sequence[ToolSchema], turn: Turn, cost: Cost | None) -> Usage:
    """Return about what an answer has used, whose server does not say.

    Args:
        messages: what was sent.
        tools: the same.
        turn: the answer.
        cost: prices of the model; None: unknown.
    """
    answer = [turn.content, [(call.name, call.arguments) for call in turn.tool_calls], [*turn.opaque.values()]]
    figures = UsageFigures(_tokens_of([messages, tools]), _tokens_of(answer))
    return msgspec.structs.replace(figures.usage(cost), estimated=1)


def _tokens_of(data: Any) -> int:
    text = json.dumps(data, ensure_ascii=False)
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_OF_A_TOKEN)


def _count(figures: Mapping[str, Any], *names: str) -> int:
    """Return the first of these figures that is a number, also one in fractions or written as text; else 0."""
    for name in names:
        value = figures.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                continue
            if math.isfinite(number):
                return int(min(max(0.0, number), _MOST))
    return 0
