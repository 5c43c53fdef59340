"""Finish reasons: what servers' words for the end of an answer mean.

An unknown word never means that an answer is whole, because half an answer must not pass for all of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["End", "calls_tools", "finish_word", "meaning"]


class End(Enum):
    """The end of an answer."""

    WHOLE = "whole"
    """With all that the model wanted to say."""
    CUT = "cut"
    """At a limit of tokens."""
    REFUSED = "refused"
    """Because a filter of the provider, or the model, would not have it."""
    FAILED = "failed"
    """Because something broke, or for a reason that nobody knows."""


_CALLING: Final = frozenset({"tool_calls", "tool_call", "tool_use", "function_call", "function_calls"})
"""The words of a model that wants its tools called."""

_WHOLE: Final = _CALLING | {
    "stop",
    "stopped",
    "stop_sequence",
    "stop_token",
    "end",
    "end_turn",
    "end_of_turn",
    "end_of_text",
    "end_of_sequence",
    "endoftext",
    "eos",
    "eos_token",
    "complete",
    "completed",
    "finish",
    "finished",
    "done",
    "normal",
    "success",
}

_CUT: Final = frozenset(
    {
        "length",
        "limit",
        "max_length",
        "max_tokens",
        "max_new_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "max_tokens_reached",
        "model_length",
        "token_limit",
        "context_length",
        "context_length_exceeded",
        "context_window_exceeded",
        "model_context_window_exceeded",
    }
)

_REFUSED: Final = frozenset(
    {
        "content_filter",
        "content_filtered",
        "content_policy_violation",
        "refusal",
        "safety",
        "sensitive",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "guardrail_intervened",
        "guardrails",
        "moderation",
        "error_toxic",
    }
)

_NO_REASON: Final = frozenset({"", "null", "none", "not_finished", "in_progress", "false", "finish_reason_unspecified"})
"""With which a server says, in each chunk, that the answer goes on."""


def finish_word(reason: object) -> str | None:
    """Return a finish reason as one word, as the server wrote it; None where it says that the answer goes on."""
    if isinstance(reason, dict):
        # SGLang's own form is {"type": "length", "length": 16}.
        reason = reason.get("type") or reason.get("reason")
    word = "" if reason is None else str(reason).strip()
    return None if _plain(word) in _NO_REASON else word


def meaning(word: str) -> End:
    """Return what a finish reason means; upper case, blanks and the prefixes of enumerations make no difference."""
    plain = _plain(word)
    if plain in _WHOLE:
        return End.WHOLE
    if plain in _CUT:
        return End.CUT
    return End.REFUSED if plain in _REFUSED else End.FAILED


def calls_tools(word: str | None) -> bool:
    """Whether a finish reason says that tools are to be called."""
    return word is not None and _plain(word) in _CALLING


def _plain(word: str) -> str:
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    return plain.removeprefix("finishreason.").removeprefix("finish_reason_")
