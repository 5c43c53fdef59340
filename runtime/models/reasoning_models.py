"""Reasoning models: the names of OpenAI's. They take other parameters than all models before them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_openai_model", "is_reasoning_model", "samples_by_itself"]

_REASONING: Final = re.compile(r"(?:^|[/:.])(?:o[1-9]\d*|gpt-?(?:[5-9]|[12]\d))(?:[-.:@]|$)", re.IGNORECASE)
"""o1, o3-mini, gpt-5, gpt-5.1-codex, openai/gpt-6, azure/gpt5, with any router's prefix. Not gpt-35, nor gpt-4o."""

_FIXED_SAMPLING: Final = re.compile(r"(?:^|[/:.])(?:o[1-9]\d*|gpt-?5)(?:-(?!chat)|[:@]|$)", re.IGNORECASE)
"""Those that refuse `temperature` and its like at all times; gpt-5.1 and later do while they reason."""

_OPENAI: Final = re.compile(r"(?:^|[/:.])(?:o[1-9]\d*(?:[-:@]|$)|gpt-?\d|chatgpt|codex)", re.IGNORECASE)


def is_reasoning_model(name: str) -> bool:
    """Whether a model takes `max_completion_tokens` in place of `max_tokens`, and a `reasoning_effort`."""
    return _REASONING.search(name) is not None


def samples_by_itself(name: str) -> bool:
    """Whether a model refuses to be told how to sample."""
    return _FIXED_SAMPLING.search(name) is not None


def is_openai_model(provider: str, name: str) -> bool:
    """Whether a model is OpenAI's, whoever serves it."""
    return provider == "openai" or _OPENAI.search(name) is not None
